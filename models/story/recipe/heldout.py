"""Held-out loss of a GGUF file, in float32: heldout.py FILE.gguf SPM TEXT...

TEXT files hold documents between "<|end|>" lines. Each document is read in pieces of at most 511
tokens, every piece after a fresh beginning-of-text token; the end-of-text token counts, too.
"""
import math
import sys

import sentencepiece as spm
import torch

from greedy import load
from overlap import texts


@torch.no_grad()
def main():
    torch.set_num_threads(1)
    m, sp = load(sys.argv[1]), spm.SentencePieceProcessor(model_file=sys.argv[2])
    for path in sys.argv[3:]:
        nats = tokens = size = 0
        for t in texts(path):
            ids = sp.encode(t.strip("\n")) + [2]
            size += len(t.strip("\n").encode())
            for i in range(0, len(ids), 511):
                part = torch.tensor([[1] + ids[i:i + 511]])
                lp = m(part[:, :-1])[0].log_softmax(-1)
                nats -= lp.gather(-1, part[0, 1:, None]).double().sum().item()
                tokens += part.shape[1] - 1
        print("%s: %d tokens, %d bytes: %.4f nats per token, %.4f bits per byte"
              % (path.split("/")[-1], tokens, size, nats / tokens, nats / math.log(2) / size))


if __name__ == "__main__":
    main()
