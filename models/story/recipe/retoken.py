"""Gives a run another tokenizer: retoken.py RUN OLD.model NEW.model NEWRUN

A token keeps its embedding; a token that is new starts as the old token that differs from it only by
the space in front, or else as the mean of the pieces that the old tokenizer makes of it. The moments
of the embedding's optimizer begin at nothing.
"""
import os
import sys

import sentencepiece as spm
import torch


def main():
    run, old_path, new_path, out = sys.argv[1:5]
    old, new = (spm.SentencePieceProcessor(model_file=p) for p in (old_path, new_path))
    c = torch.load(run + "/ckpt.pt", weights_only=False)
    was = c["model"]["embed.weight"]
    index = {old.id_to_piece(i): i for i in range(old.vocab_size())}
    rows, kept = [], 0
    for i in range(new.vocab_size()):
        p = new.id_to_piece(i)
        kept += p in index
        twin = p[1:] if p.startswith("\u2581") else "\u2581" + p
        ids = [index[x] for x in (p, twin) if x in index][:1] or \
            [index[x] for x in old.encode(p, out_type=str) if x in index and x != "\u2581"]
        rows.append(was[ids].mean(0))
    c["model"]["embed.weight"] = torch.stack(rows)
    c["config"]["vocab"] = c["opt"]["vocab"] = len(rows)
    state = c["adam"]["state"][0]
    state.update({k: torch.zeros(len(rows), was.shape[1]) for k in ("exp_avg", "exp_avg_sq")})
    state["step"] = torch.zeros_like(state["step"])
    os.makedirs(out, exist_ok=True)
    torch.save(c, out + "/ckpt.pt")
    print(len(rows), "tokens,", kept, "of them as before")


if __name__ == "__main__":
    main()
