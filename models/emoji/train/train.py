#!/usr/bin/env python3
"""The U-Net and the text encoder, together: train.py data.npz ../ RUN SECONDS [key=value ...]

Velocity prediction (Salimans and Ho 2022). The loss counts less where there is little noise, as in min-SNR (Hang
et al. 2023), but not less where there is much: there the shape is decided, and such times are drawn more often.
One caption in eight is left out, for guidance without a classifier (Ho and Salimans 2022). Matrices and kernels
learn by Muon (orthogonalised momentum, K. Jordan 2024), the rest by AdamW.

The rate follows the clock: it rises, stays, and falls to nothing over the last part (`fall`) of SECONDS. The
folder gets the mean of the weights over the last steps, in F16, every five minutes and at the end, also if the
program is told to stop; RUN/state.pt has what is needed to go on exactly. Without that file the run starts from
the folder's weights, if there are any.
"""
import os
import signal
import sys
import time

import torch

import parts

options = dict(batch=32, muon=0.01, adam=1e-3, words=5e-3, fall=0.8, average=0.998, empty=0.12, gamma=5.0)
BETAS, MOMENTUM, DECAY = (0.9, 0.98), 0.95, 0.003


class Muon(torch.optim.Optimizer):
    def __init__(self, weights, rate):
        super().__init__(weights, {"lr": rate})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                state = self.state[p]
                if not state:
                    state["momentum"] = torch.zeros_like(p.grad)
                momentum = state["momentum"].mul_(MOMENTUM).add_(p.grad)
                direction = orthogonal((p.grad + MOMENTUM * momentum).flatten(1))
                p.mul_(1 - group["lr"] * DECAY)
                p.add_(direction.view(p.shape), alpha=-group["lr"] * max(1, len(direction) / direction.shape[1]) ** 0.5)


def orthogonal(g):
    """Near to U V' of g = U S V': a few steps of Newton and Schulz. All of them are polynomials of g g', so only the
    last product is with g itself."""
    x = g if g.shape[0] <= g.shape[1] else g.T
    x = x / (x.norm() + 1e-7)
    gram, product = x @ x.T, None
    for _ in range(4):
        step = -4.7750 * gram + 2.0315 * gram @ gram
        step.diagonal().add_(3.4445)
        product = step if product is None else step @ product
        gram = step @ gram @ step
    x = product @ x
    return x if g.shape[0] <= g.shape[1] else x.T


class Captions:
    """Draws pictures and what they are called, both by weight."""

    def __init__(self, rows, tokenizer):
        texts = sorted({c for r in rows for c in r["captions"]})
        places = {c: i for i, c in enumerate(texts)}
        self.ids = tokenizer(texts + [""], padding="max_length", truncation=True, max_length=parts.LENGTH,
                             return_tensors="pt").input_ids
        width = max(len(r["captions"]) for r in rows)
        self.of, self.weights = torch.zeros(len(rows), width, dtype=torch.long), torch.zeros(len(rows), width)
        for i, row in enumerate(rows):
            for k, (caption, weight) in enumerate(row["captions"].items()):
                self.of[i, k], self.weights[i, k] = places[caption], weight
        self.chance = torch.tensor([r["weight"] if r["captions"] else 0.0 for r in rows])

    def draw(self, n, empty):
        which = torch.multinomial(self.chance, n, replacement=True)
        caption = self.of[which, torch.multinomial(self.weights[which], 1)[:, 0]]
        caption[torch.rand(n) < empty] = len(self.ids) - 1
        return which, self.ids[caption]


def loss_of(unet, encoder, alphas, clean, ids):
    n = len(clean)
    times = (((torch.arange(n) + torch.rand(n)) / n).sqrt() * len(alphas)).long().clamp(max=len(alphas) - 1)
    a = alphas[times].view(-1, 1, 1, 1)
    noise = torch.randn_like(clean)
    noisy, velocity = a.sqrt() * clean + (1 - a).sqrt() * noise, a.sqrt() * noise - (1 - a).sqrt() * clean
    context = encoder(ids).last_hidden_state
    guess = unet(noisy.contiguous(memory_format=torch.channels_last), times, context).sample
    ratio = a / (1 - a)
    weights = (ratio + 1).clamp(max=options["gamma"]) / (ratio + 1)
    return (weights * (guess - velocity).square()).mean()


class Run:
    """The models, what their optimizers remember, and the mean of the last weights."""

    def __init__(self, folder, run):
        os.makedirs(run, exist_ok=True)
        self.folder, self.path = folder, os.path.join(run, "state.pt")
        self.unet = parts.load("unet", folder).to(memory_format=torch.channels_last)
        self.encoder = parts.load("text_encoder", folder)
        self.models = {"unet": self.unet, "text_encoder": self.encoder}
        self.weights = [p for model in self.models.values() for p in model.parameters()]
        self.mean = [p.detach().clone() for p in self.weights]
        self.rates, self.optimizers = zip(*self.make_optimizers())
        self.steps, self.spent = 0, 0.0
        if os.path.exists(self.path):
            self.go_on(torch.load(self.path))

    def make_optimizers(self):
        """(rate, optimizer) of matrices, of the vectors of words and places, and of the rest."""
        matrices, words, others = [], [], []
        for model in self.models.values():
            for name, p in model.named_parameters():
                is_matrix = p.ndim > 1 and not name.startswith("conv_")
                (words if "embedding.weight" in name else matrices if is_matrix else others).append(p)
        yield options["muon"], Muon(matrices, options["muon"])
        for key, group in (("adam", others), ("words", words)):
            yield options[key], torch.optim.AdamW(group, options[key], BETAS, weight_decay=DECAY, fused=True)

    def go_on(self, state):
        self.steps, self.spent, self.mean = state["steps"], state["spent"], state["mean"]
        for p, saved in zip(self.weights, state["weights"]):
            p.data.copy_(saved)
        for optimizer, saved in zip(self.optimizers, state["optimizers"]):
            optimizer.load_state_dict(saved)

    def save(self):
        torch.save({"steps": self.steps, "spent": self.spent, "mean": self.mean,
                    "weights": [p.data for p in self.weights],
                    "optimizers": [o.state_dict() for o in self.optimizers]}, self.path + ".new")
        os.replace(self.path + ".new", self.path)
        mean = iter(self.mean)
        for part, model in self.models.items():
            parts.save(part, model, self.folder, {name: next(mean) for name, _ in model.named_parameters()})
        parts.save_index(self.folder)

    def step(self, loss, slow):
        """One step at `slow` times the rates."""
        for rate, optimizer in zip(self.rates, self.optimizers):
            optimizer.param_groups[0]["lr"] = rate * slow
            optimizer.zero_grad()
        loss.backward()
        for optimizer in self.optimizers:
            optimizer.step()
        self.steps += 1
        keep = min(options["average"], (1 + self.steps) / (10 + self.steps))
        with torch.no_grad():
            torch._foreach_lerp_(self.mean, [p.data for p in self.weights], 1 - keep)


def train(data, folder, run, seconds):
    torch.set_num_threads(1)
    pictures, rows = parts.read_data(data)
    latents, captions = parts.Patches(pictures).latents(pictures), Captions(rows, parts.make_tokenizer())
    run, alphas = Run(folder, run), parts.make_scheduler().alphas_cumprod
    told, smooth, saved = [], None, run.spent
    signal.signal(signal.SIGTERM, lambda *_: told.append(True))
    while run.spent < seconds and not told:
        begun = time.time()
        slow = min(1, (run.steps + 1) / 100, max(0.0, 1 - run.spent / seconds) / options["fall"])
        which, ids = captions.draw(options["batch"], options["empty"])
        loss = loss_of(run.unet, run.encoder, alphas, latents[which], ids)
        run.step(loss, slow)
        smooth = loss.item() if smooth is None else smooth + 0.01 * (loss.item() - smooth)
        run.spent += time.time() - begun
        if run.steps % 50 == 0:
            print(f"step {run.steps} {run.spent:.0f} s loss {smooth:.4f} rate {slow:.2f}", flush=True)
        if run.spent > saved + 300:
            run.save()
            saved = run.spent
    run.save()
    print(f"{run.steps} steps of {options['batch']}, loss {smooth:.4f}, {time.process_time():.0f} s of CPU time")


if __name__ == "__main__":
    for argument in sys.argv[5:]:
        key, value = argument.split("=")
        options[key] = type(options[key])(float(value))
    train(*sys.argv[1:4], float(sys.argv[4]))
