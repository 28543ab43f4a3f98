#!/usr/bin/env python3
"""Pictures of prompts, by diffusers: sample.py ../ PROMPTS.txt sheet.png [seed] [steps] [guidance] [data.npz]

With data.npz, each picture stands beside the nearest of the training set (least squared distance of pixels)."""
import json
import os
import sys

import numpy
import torch
from diffusers import StableDiffusionPipeline
from PIL import Image, ImageDraw

import parts

COLUMNS, TEXT = 5, 14


def draw(folder, prompts, seed, steps, guidance):
    pipe = StableDiffusionPipeline.from_pretrained(folder, safety_checker=None).to(torch.float32)
    pipe.set_progress_bar_config(disable=True)
    n = parts.SIDE // parts.PATCH
    noise = [torch.randn((1, parts.CHANNELS, n, n), generator=torch.Generator().manual_seed(seed)) for _ in prompts]
    return pipe(prompts, latents=torch.cat(noise), num_inference_steps=steps, guidance_scale=guidance).images


def nearest(picture, pictures):
    x = torch.from_numpy(numpy.asarray(picture)).permute(2, 0, 1).float() / 127.5 - 1
    return int((pictures - x).square().mean((1, 2, 3)).argmin())


def sheet(prompts, images, others):
    """Rows of pictures with captions; a pair each if there are others."""
    width = parts.SIDE * (2 if others else 1) + 8
    width = max(width, 112)
    rows = -(-len(prompts) // COLUMNS)
    result = Image.new("RGB", (COLUMNS * width, rows * (parts.SIDE + TEXT)), "white")
    pen = ImageDraw.Draw(result)
    for i, prompt in enumerate(prompts):
        x, y = i % COLUMNS * width + 4, i // COLUMNS * (parts.SIDE + TEXT)
        result.paste(images[i], (x, y))
        if others:
            result.paste(others[i], (x + parts.SIDE, y))
        pen.text((x, y + parts.SIDE), prompt, fill="black")
    return result


def main(folder, prompts, path, seed=1, steps=25, guidance=4.0, data=None):
    torch.set_num_threads(1)
    prompts = open(prompts, encoding="utf-8").read().splitlines()
    images = draw(folder, prompts, int(seed), int(steps), float(guidance))
    others = None
    if data:
        pictures, rows = parts.read_data(data)
        which = [nearest(image, pictures) for image in images]
        others = [Image.fromarray(((pictures[i].permute(1, 2, 0) + 1) * 127.5).round().byte().numpy()) for i in which]
        for prompt, i in zip(prompts, which):
            print(f"{prompt}: {rows[i]['name']}")
    sheet(prompts, images, others).save(path, optimize=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
