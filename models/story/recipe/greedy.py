"""Greedy text of a GGUF file in float32, with the smallest margin.

greedy.py FILE.gguf SPM N PROMPT...

The margin is the distance between the best and the second best logit; a recorded greedy text is a
fair test for other engines only if it is far larger than their rounding (about 0.01 with an F16
cache). Also a check that the file holds what was trained: llama.cpp must print the same text.
"""
import sys

import gguf
import sentencepiece as spm
import torch

from model import Config, Story, neighbours

NAMES = {"attn_norm": "attn_norm", "ffn_norm": "ffn_norm", "attn_q": "q", "attn_k": "k",
         "attn_v": "v", "attn_output": "o", "ffn_gate": "gate", "ffn_up": "up", "ffn_down": "down"}


def load(path):
    r = gguf.GGUFReader(path)
    field = lambda k: r.fields["llama." + k].contents()
    state = {}
    for t in r.tensors:
        w = torch.from_numpy(t.data.astype("float32").reshape([int(n) for n in t.shape[::-1]]))
        p = t.name.split(".")
        if p[-2] in ("attn_q", "attn_k"):
            heads = field("attention.head_count" + ("_kv" if p[-2] == "attn_k" else ""))
            w = neighbours(w, heads, back=True)
        state["embed.weight" if p[0] == "token_embd" else "norm.weight" if p[0] == "output_norm"
              else "layers.%s.%s.weight" % (p[1], NAMES[p[2]])] = w
    m = Story(Config(vocab=state["embed.weight"].shape[0], dim=field("embedding_length"),
                     layers=field("block_count"), heads=field("attention.head_count"),
                     kv_heads=field("attention.head_count_kv"), hidden=field("feed_forward_length"),
                     context=field("context_length"), rope_base=field("rope.freq_base"),
                     eps=field("attention.layer_norm_rms_epsilon")))
    m.load_state_dict(state)
    return m.eval()


@torch.no_grad()
def main():
    torch.set_num_threads(1)
    m, n = load(sys.argv[1]), int(sys.argv[3])
    sp = spm.SentencePieceProcessor(model_file=sys.argv[2])
    for prompt in sys.argv[4:]:
        ids = [1] + sp.encode(prompt)
        start, least, where = len(ids), 1e9, 0
        while len(ids) < start + n and ids[-1] != 2:
            top = m(torch.tensor([ids]))[0, -1].topk(2)
            if top.values[0] - top.values[1] < least:
                least, where = float(top.values[0] - top.values[1]), len(ids) - start
            ids.append(int(top.indices[0]))
        print(sp.decode([i for i in ids if i > 2]))
        print("-- %d tokens, smallest margin %.4f at token %d" % (len(ids) - start, least, where))


if __name__ == "__main__":
    main()
