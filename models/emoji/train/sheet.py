#!/usr/bin/env python3
"""Pictures of prompts by lapilli, on one sheet: sheet.py LAPILLI data.npz ../ ../prompts.txt sheet.png [options]

On the right of each picture stands the nearest one of the training set (least squared distance of pixels), whose
name is printed. Further arguments go to lapilli: -s 2, --cfg-scale 3."""
import os
import subprocess
import sys
import tempfile

import numpy
import torch
from PIL import Image, ImageDraw

import parts

COLUMNS, TEXT, GAP = 5, 14, 8


def draw(lapilli, folder, prompt, options):
    with tempfile.TemporaryDirectory() as place:
        path = os.path.join(place, "picture.png")
        command = [lapilli, "image", "-q", "-m", folder, "-p", prompt, "-s", "1", "-o", path, *options]
        subprocess.run(command, check=True)
        return Image.open(path).convert("RGB").copy()


def nearest(picture, pictures):
    x = torch.from_numpy(numpy.array(picture)).permute(2, 0, 1).float() / 127.5 - 1
    return int((pictures - x).square().mean((1, 2, 3)).argmin())


def main(lapilli, data, folder, prompts, path, *options):
    pictures, rows = parts.read_data(data)
    prompts = open(prompts, encoding="utf-8").read().splitlines()
    width, height = 2 * parts.SIDE + GAP, parts.SIDE + TEXT + GAP
    sheet = Image.new("RGB", (COLUMNS * width, -(-len(prompts) // COLUMNS) * height), "white")
    pen = ImageDraw.Draw(sheet)
    for i, prompt in enumerate(prompts):
        picture = draw(lapilli, folder, prompt, options)
        other = nearest(picture, pictures)
        print(f"{prompt}: nearest {rows[other]['name']}", flush=True)
        x, y = i % COLUMNS * width, i // COLUMNS * height
        sheet.paste(picture, (x, y))
        sheet.paste(Image.fromarray(((pictures[other].permute(1, 2, 0) + 1) * 127.5).round().byte().numpy()),
                    (x + parts.SIDE, y))
        pen.text((x + 2, y + parts.SIDE), prompt, fill="black")
    sheet.save(path, optimize=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
