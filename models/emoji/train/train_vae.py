#!/usr/bin/env python3
"""The autoencoder: train_vae.py data.npz ../ decoder|encoder SECONDS

The latents are fixed (Patches in parts.py), so the halves learn apart: the decoder to make pictures of latents,
the encoder to make latents of pictures. The decoder also sees latents with a little noise, as the U-Net's are
never quite right, and mirrored and shifted pictures, as it has little to learn from. Started again, it goes on
from the weights in the folder.
"""
import itertools
import sys
import time

import torch
import torch.nn.functional as F

import parts

BATCH, RATE, NOISE = 16, 2e-3, 0.08


def batches(pictures):
    g = torch.Generator().manual_seed(int(time.time()))
    while True:
        x = pictures[torch.randint(len(pictures), (BATCH,), generator=g)]
        dx, dy = torch.randint(-3, 4, (2,), generator=g).tolist()
        x = F.pad(x, (3, 3, 3, 3), value=1)[..., 3 + dy:3 + dy + parts.SIDE, 3 + dx:3 + dx + parts.SIDE]
        yield x.flip(3) if torch.rand(1, generator=g) < 0.5 else x


def edges(x):
    return x[..., 1:, :] - x[..., :-1, :], x[..., 1:] - x[..., :-1]


def decoder_loss(vae, patches, x):
    z = patches.latents(x)
    noise = NOISE * torch.rand(len(x), 1, 1, 1) * torch.randn_like(z)
    y = vae.decoder(vae.post_quant_conv((z + noise).contiguous(memory_format=torch.channels_last)))
    sharp = sum(F.l1_loss(a, b) for a, b in zip(edges(y), edges(x)))
    return F.l1_loss(y, x) + 0.5 * sharp + F.mse_loss(y, x), F.mse_loss(y, x).item()


def encoder_loss(vae, patches, x):
    mean, log_variance = vae.quant_conv(vae.encoder(x.contiguous(memory_format=torch.channels_last))).chunk(2, 1)
    error = F.mse_loss(mean, patches.latents(x))
    return error + 0.001 * (log_variance + 12).square().mean(), error.item()


def main(data, folder, half, seconds):
    torch.set_num_threads(1)
    pictures, _ = parts.read_data(data)
    patches, vae = parts.Patches(pictures), parts.load("vae", folder).to(memory_format=torch.channels_last)
    loss_of = {"decoder": decoder_loss, "encoder": encoder_loss}[half]
    modules = [vae.decoder, vae.post_quant_conv] if half == "decoder" else [vae.encoder, vae.quant_conv]
    weights = [p for m in modules for p in m.parameters()]
    optimizer = torch.optim.AdamW(weights, RATE, betas=(0.9, 0.99), weight_decay=1e-3, fused=True)
    start = saved = time.time()
    mean = None
    for step, x in enumerate(itertools.takewhile(lambda _: time.time() < start + seconds, batches(pictures))):
        done = (time.time() - start) / seconds
        optimizer.param_groups[0]["lr"] = RATE * min(1, (step + 1) / 50, (1 - done) / 0.6 + 0.01)
        loss, error = loss_of(vae, patches, x)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        mean = error if mean is None else mean + 0.01 * (error - mean)
        if step % 100 == 0:
            print(f"{half} step {step} {time.time() - start:.0f} s mse {mean:.5f}", flush=True)
        if time.time() > saved + 120:
            parts.save("vae", vae, folder)
            saved = time.time()
    parts.save("vae", vae, folder)
    print(f"{half}: {step + 1} steps of {BATCH}, {time.process_time():.0f} s of CPU time, mse {mean:.5f}")


if __name__ == "__main__":
    main(*sys.argv[1:4], float(sys.argv[4]))
