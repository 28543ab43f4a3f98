"""Does the model keep its people apart? names.py FILE.gguf SPM TEXT COUNT

Wherever one of the first COUNT stories names somebody again, all names compete: prints the share of
their probability that goes to the right one, to others of the same story, and to strangers.
"""
import sys

import sentencepiece as spm
import torch

import words
from greedy import load
from overlap import texts


@torch.no_grad()
def main():
    torch.set_num_threads(1)
    m, sp = load(sys.argv[1]), spm.SentencePieceProcessor(model_file=sys.argv[2])
    names = torch.tensor([sp.piece_to_id("\u2581" + n) for n in words.GIRLS + words.BOYS])
    is_name = torch.zeros(sp.vocab_size(), dtype=torch.bool)
    is_name[names] = True
    is_name[0] = False
    right = known = best = count = 0
    for t in texts(sys.argv[3])[:int(sys.argv[4])]:
        ids = [1] + sp.encode(t.strip("\n"))
        p = m(torch.tensor([ids]))[0].softmax(-1)
        for i in range(1, len(ids)):
            seen = sorted({x for x in ids[:i] if is_name[x]})
            if is_name[ids[i]] and ids[i] in seen:
                q = p[i - 1] * is_name
                right += float(q[ids[i]] / q.sum())
                known += float(q[seen].sum() / q.sum())
                best += int(q.argmax()) == ids[i]
                count += 1
    print("%d names: %.3f right, %.3f others of the story, %.3f strangers; the likeliest name is "
          "right %.3f of the time" % (count, right / count, (known - right) / count,
                                      1 - known / count, best / count))


if __name__ == "__main__":
    main()
