"""Writes made-up stories: generate.py SEED COUNT > file; stories end with a line of "<|end|>".

Deterministic: story number i of seed s is always the same text.
"""
import sys

import plots
from world import World


def story(seed, i):
    w = World(seed * 1_000_003 + i)
    w.r.choice(plots.PLOTS)(w)
    return w.text()


if __name__ == "__main__":
    seed, count = int(sys.argv[1]), int(sys.argv[2])
    for i in range(count):
        print(story(seed, i))
        print("<|end|>")
