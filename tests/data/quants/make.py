#!/usr/bin/env python3
"""Makes quants.gguf: f32 data, its quantised forms and what the Python package `gguf` makes of them.

Each TYPE has three tensors: TYPE (the blocks), TYPE.source (f32) and TYPE.expected (the blocks made
f32 again by gguf.quants). Run: python3 make.py (needs gguf and numpy).
"""
import os

import gguf
import numpy as np
from gguf import quants

rng = np.random.default_rng(7)
source = rng.standard_normal((12, 64)).astype(np.float32)
source[1] *= 1e-3
source[2] *= 1e4
source[3] = 0
source[4] = 1.0
source[5] = -np.abs(source[5])          # extreme of one sign
source[6] *= 1e-6                       # subnormal scales
source[7, :32] = np.arange(32) - 16     # ties
source[8] = np.round(source[8] * 127) / 127
source[9, ::2] = 0
source[10] *= 60000 / np.abs(source[10]).max()
source[11] = np.float32(2.0) ** rng.integers(-20, 10, 64)

here = os.path.dirname(os.path.abspath(__file__))
writer = gguf.GGUFWriter(os.path.join(here, "quants.gguf"), "quants")
for name in ("F16", "BF16", "Q8_0", "Q4_0", "MXFP4"):
    kind = gguf.GGMLQuantizationType[name]
    blocks = quants.quantize(source, kind)
    expected = quants.dequantize(blocks, kind).astype(np.float32)
    if name == "F16":
        writer.add_tensor(name, blocks)
    else:
        writer.add_tensor(name, blocks, raw_dtype=kind)
    writer.add_tensor(name + ".source", source)
    writer.add_tensor(name + ".expected", expected)
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
