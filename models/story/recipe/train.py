"""Trains the story model: train.py DATA RUN SECONDS [key=value ...]

On one CPU thread, or on a GPU with device=cuda. Hidden matrices are trained with Muon
(orthogonalised momentum; K. Jordan 2024), the rest with AdamW. The learning rate follows the clock,
not a step count: warm-up, plateau, then a linear fall to zero that ends after SECONDS of training,
so that a run on a busy machine ends well, too. A checkpoint is kept every five minutes and when the
program is told to stop; started again, the run goes on from it, with other DATA or rates if given.
"""
import json
import os
import signal
import sys
import time

import numpy as np
import torch

from model import Config, Story

torch.set_num_threads(1)
data, run, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
opt = dict(batch=12, length=288, muon=0.012, fade=0.6, adam=0.01, human=0.05, decay=0.45, dim=256,
           heads=4, kv_heads=2, hidden=640, layers=4, vocab=3072, compile=1, seed=1, device="cpu")
for a in sys.argv[4:]:
    k, v = a.split("=")
    opt[k] = v if k == "device" else type(opt[k])(float(v))
device = opt["device"]
os.makedirs(run, exist_ok=True)
cfg = Config(**{k: opt[k] for k in ("vocab", "dim", "layers", "heads", "kv_heads", "hidden")})
torch.manual_seed(opt["seed"])
model = Story(cfg).to(device)
T, B = opt["length"], opt["batch"]


def newton_schulz(g):
    a, b, c = 3.4445, -4.7750, 2.0315
    x = g.bfloat16()
    flip = x.shape[0] > x.shape[1]
    x = x.T if flip else x
    x = x / (x.norm() + 1e-7)
    for _ in range(5):
        s = x @ x.T
        x = a * x + (b * s + c * (s @ s)) @ x
    return (x.T if flip else x).float()


class Muon(torch.optim.Optimizer):
    def __init__(self, params, lr, momentum=0.95, decay=0.02):
        super().__init__(params, dict(lr=lr, momentum=momentum, decay=decay))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                s = self.state[p]
                m = s.setdefault("m", torch.zeros_like(p))
                m.lerp_(p.grad, 1 - group["momentum"])
                u = newton_schulz(p.grad.lerp(m, group["momentum"]))
                p.mul_(1 - group["lr"] * group["decay"])
                p.add_(u, alpha=-group["lr"] * max(1, p.shape[0] / p.shape[1]) ** 0.5)


hidden = [p for n, p in model.named_parameters() if p.dim() == 2 and n != "embed.weight"]
embed, gains = [model.embed.weight], [p for n, p in model.named_parameters() if p.dim() == 1]
rest = embed + gains
muon = Muon(hidden, opt["muon"], decay=opt["fade"])
adam = torch.optim.AdamW([dict(params=embed, lr=opt["adam"]),
                          dict(params=gains, lr=opt["adam"] / 3)],
                         betas=(0.9, 0.95), weight_decay=0.0, fused=True)
for o in (muon, adam):
    for g in o.param_groups:
        g["peak"] = g["lr"]


def stream(name):
    return np.load(os.path.join(data, name + ".npy")).astype(np.int64)


made, human = stream("train-made"), stream("train-human")
starts = np.flatnonzero(made[:-T - 1] == 1)
order = []
held = {k: stream("held-" + k) for k in ("made", "human")}
rng = np.random.default_rng(opt["seed"])
state = dict(step=0, spent=0.0, tokens=0, made=0, human=0)
ckpt = os.path.join(run, "ckpt.pt")
if os.path.exists(ckpt):
    c = torch.load(ckpt, weights_only=False, map_location=device)
    model.load_state_dict(c["model"])
    if "muon" in c:
        for o, k in ((muon, "muon"), (adam, "adam")):
            peaks = [g["peak"] for g in o.param_groups]
            o.load_state_dict(c[k])
            for g, peak in zip(o.param_groups, peaks):
                g["peak"] = peak  # the rates given now, not those of the checkpoint
    state = c["state"]
    rng = np.random.default_rng(opt["seed"] + state["step"])
    if c["data"] != data:
        state["made"] = state["human"] = 0


def rows(n):
    """n rows of T+1 tokens. Each begins with a story that has not been read in this round; where it
    ends before the row does, the beginning of the next one fills the row."""
    out = []
    for _ in range(n):
        turn, i = divmod(state["made"], len(starts))
        if i == 0 or not len(order):
            order[:] = np.random.default_rng([opt["seed"], turn]).permutation(len(starts))
        k = int(order[i])
        out.append(made[starts[k]:starts[k] + T + 1])
        state["made"] += 1
    return out


def passages(n):
    """n rows of T+1 tokens of the human-written text, in order."""
    out = []
    for _ in range(n):
        i = state["human"]
        if i + T + 1 > len(human):
            i = int(rng.integers(0, T))
        out.append(human[i:i + T + 1])
        state["human"] = i + T
    return out


def batch():
    n = int(rng.binomial(B, opt["human"]))
    x = torch.from_numpy(np.stack(rows(B - n) + passages(n)))
    return x[:, :-1].contiguous(), x[:, 1:].contiguous()


fast = torch.compile(model, dynamic=False) if opt["compile"] else model


def loss_of(x, y):
    with torch.autocast(device, torch.bfloat16):
        return fast(x.to(device), y.to(device))


@torch.no_grad()
def held_loss():
    r = {}
    for k, ids in held.items():
        n = min(4, (len(ids) - 1) // (B * T))
        x = ids
        x = torch.from_numpy(x[: n * B * T + 1])
        a, b = x[:-1].view(n, B, T), x[1:].view(n, B, T)
        r[k] = round(sum(loss_of(a[i], b[i]).item() for i in range(n)) / n, 4)
    return r


def save():
    torch.save(dict(model=model.state_dict(), muon=muon.state_dict(), adam=adam.state_dict(),
                    state=state, data=data, config=cfg.dict(), opt=opt), ckpt + ".new")
    os.replace(ckpt + ".new", ckpt)


log = open(os.path.join(run, "log.jsonl"), "a")
log.write(json.dumps(dict(start=time.time(), data=data, seconds=seconds, opt=opt,
                          params=sum(p.numel() for p in model.parameters()))) + "\n")
stop = []
signal.signal(signal.SIGTERM, lambda *_: stop.append(1))  # kill keeps what was learnt
last = saved = time.time()
mean = None
while state["spent"] < seconds and not stop:
    u = state["spent"] / seconds
    lr = min(1.0, (state["step"] + 1) / 40) * min(1.0, max(0.0, (1 - u) / opt["decay"]))
    for o in (muon, adam):
        for g in o.param_groups:
            g["lr"] = g["peak"] * lr
    x, y = batch()
    loss = loss_of(x, y)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(rest, 1.0)
    muon.step()
    adam.step()
    muon.zero_grad(set_to_none=True)
    adam.zero_grad(set_to_none=True)
    now = time.time()
    state["spent"] += min(now - last, 20.0)
    last = now
    state["step"] += 1
    state["tokens"] += B * T
    mean = loss.item() if mean is None else 0.95 * mean + 0.05 * loss.item()
    if state["step"] % 20 == 0:
        log.write(json.dumps(dict(step=state["step"], t=round(state["spent"]),
                                  tokens=state["tokens"], loss=round(mean, 4),
                                  lr=round(lr, 4))) + "\n")
        log.flush()
    if now - saved > 300:
        save()
        log.write(json.dumps(dict(step=state["step"], held=held_loss())) + "\n")
        log.flush()
        saved = last = time.time()
save()
log.write(json.dumps(dict(step=state["step"], final=held_loss(), tokens=state["tokens"])) + "\n")
log.close()
