#!/usr/bin/env python3
"""Makes more.gguf: types whose blocks need a search for scales.

"source" [8, 256] is f32 data. Each TYPE has three tensors: TYPE.theirs, the blocks that llama.cpp's
llama-quantize makes of "source"; TYPE, random blocks, with extreme, subnormal, infinite and NaN scales
among them; TYPE.expected, these made f32 by gguf.quants.
Run: python3 make_more.py LLAMA-QUANTIZE (needs gguf and numpy).
"""
import os
import subprocess
import sys
import tempfile

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type, quants

# name, llama-quantize's name, where its halves are in a block
TYPES = [
    ("Q4_1", "Q4_1", (0, 2)),
    ("Q5_0", "Q5_0", (0,)),
    ("Q5_1", "Q5_1", (0, 2)),
    ("IQ4_NL", "IQ4_NL", (0,)),
    ("Q2_K", "Q2_K", (80, 82)),
    ("Q3_K", "Q3_K_S", (108,)),
    ("Q4_K", "Q4_K_S", (0, 2)),
    ("Q5_K", "Q5_K_S", (0, 2)),
    ("Q6_K", "Q6_K", (208,)),
    ("IQ4_XS", "IQ4_XS", (0,)),
    ("TQ1_0", "TQ1_0", (52,)),
    ("TQ2_0", "TQ2_0", (64,)),
]
HALVES = (0x0001, 0x03ff, 0x0400, 0x7bff, 0xfbff, 0x8001, 0x7c00, 0xfc00, 0x7e00, 0x0000, 0x8000, 0x3555)

rng = np.random.default_rng(11)
source = rng.standard_normal((8, 256)).astype(np.float32)
source[1] *= rng.random(256).astype(np.float32) ** 4  # many small ones
source[2] *= 1e-4
source[3] *= 1e3
source[4] = np.abs(source[4]) + np.float32(0.5)       # of one sign, far from 0
source[5, ::7] *= 12                                  # outliers
source[6] = rng.standard_t(2.5, 256)
source[7] *= np.repeat(rng.random(16).astype(np.float32) * 4, 16)


def theirs(name):
    """The blocks that llama-quantize makes of the source."""
    with tempfile.TemporaryDirectory() as folder:
        before, after = os.path.join(folder, "a.gguf"), os.path.join(folder, "b.gguf")
        writer = gguf.GGUFWriter(before, "llama")
        writer.add_block_count(1)
        writer.add_context_length(32)
        writer.add_embedding_length(256)
        writer.add_feed_forward_length(256)
        writer.add_head_count(4)
        writer.add_layer_norm_rms_eps(1e-5)
        writer.add_vocab_size(8)
        writer.add_tensor("blk.0.ffn_up.weight", source)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        subprocess.run([sys.argv[1], "--pure", before, after, name, "1"], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return np.array(gguf.GGUFReader(after).tensors[0].data)


def random_blocks(kind, halves):
    elements, size = gguf.GGML_QUANT_SIZES[kind]
    n = len(HALVES) // len(halves)
    blocks = rng.integers(0, 256, (n, size), dtype=np.uint8)
    for i in range(n):
        for j, at in enumerate(halves):
            half = HALVES[(i * len(halves) + j) % len(HALVES)]
            blocks[i, at:at + 2] = (half & 255, half >> 8)
    return blocks.reshape(1, -1)


here = os.path.dirname(os.path.abspath(__file__))
writer = gguf.GGUFWriter(os.path.join(here, "more.gguf"), "quants")
writer.add_tensor("source", source)
for name, their_name, halves in TYPES:
    kind = Type[name]
    blocks = random_blocks(kind, halves)
    with np.errstate(all="ignore"):
        expected = quants.dequantize(blocks, kind).astype(np.float32)
    writer.add_tensor(name, blocks, raw_dtype=kind)
    writer.add_tensor(name + ".expected", expected)
    writer.add_tensor(name + ".theirs", theirs(their_name).reshape(8, -1), raw_dtype=kind)
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
