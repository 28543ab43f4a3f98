"""Builds what the training reads: prepare.py CORPORA OUT STORIES SEED [LEAVE_OUT]

CORPORA holds the human-written texts (see the model card: ten books, and pratham/*.md); OUT gets
train-*.txt (one document per <|end|>), the tokenizer (spm.model, if it is not there already) and the
token streams (*.npy). The stream of stories goes without those that match LEAVE_OUT.
"""
import glob
import hashlib
import os
import re
import sys
import unicodedata
from collections import Counter

import numpy as np
import sentencepiece as spm

import generate

END = "\n<|end|>\n"
VOCAB = 3072
REPEAT_PRATHAM = 3  # picture books are closest to what the model shall write


def plain(t):
    for a, b in (("“", '"'), ("”", '"'), ("‘", "'"), ("’", "'"), ("—", " - "), ("–", "-"),
                 ("…", "..."), ("æ", "ae"), ("Æ", "Ae"), ("œ", "oe")):
        t = t.replace(a, b)
    t = unicodedata.normalize("NFKD", t)
    t = "".join(c for c in t if ord(c) < 128 and (c == "\n" or ord(c) >= 32))
    return re.sub(r"[ \t]+", " ", t)


def held_out(key):
    return hashlib.sha256(key.encode()).digest()[0] < 13  # one in twenty


def pratham(path):
    t = open(path, encoding="utf-8").read()
    keep = [l.strip() for l in t.splitlines()
            if l.strip() and not l.startswith(("#", "*", "!")) and "http" not in l]
    return plain("\n".join(keep))


def book(path):
    """A book cut at paragraphs into passages of about 1500 characters."""
    text = plain(open(path, encoding="utf-8").read())
    paras = [re.sub(r"\s+", " ", p).strip() for p in re.split(r"\n\s*\n", text)]
    out, cur = [], ""
    for p in paras:
        if len(p) < 40 and not p.endswith((".", "!", "?", '"')):
            continue  # headings
        cur += ("\n" if cur else "") + p
        if len(cur) > 1400:
            out.append(cur)
            cur = ""
    return out


def human(corpora):
    train, held = [], []
    for path in sorted(glob.glob(os.path.join(corpora, "pratham", "*.md"))):
        t = pratham(path)
        if len(t) > 200:
            key = os.path.basename(path)
            if held_out(key):
                held.append(t)
            else:
                train += [t] * REPEAT_PRATHAM
    for path in sorted(glob.glob(os.path.join(corpora, "*.txt"))):
        for i, t in enumerate(book(path)):
            # whole runs of passages are held out, so that no neighbour gives the text away
            (held if held_out("%s %d" % (os.path.basename(path), i // 8)) else train).append(t)
    return train, held


def openers(docs):
    """Words that begin paragraphs and speeches. No space stands before them, so without help most
    would have no token of their own, and a name would be one token here and three there."""
    found = Counter(w for t in docs for w in re.findall(r'(?:^|[\n"])([A-Z][a-z]+)', t))
    return ["".join('"%s" ' % w for w, n in sorted(found.items()) if n >= 40)] * 1000


def main():
    corpora, out, count, first = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    leave_out = re.compile(sys.argv[5]) if len(sys.argv) > 5 else None
    os.makedirs(out, exist_ok=True)
    made = [generate.story(first, i) for i in range(count)]
    train, held = human(corpora)
    made_held = [generate.story(77, i) for i in range(400)]
    texts = {"train-made": made, "train-human": train, "held-made": made_held, "held-human": held}
    for name, docs in texts.items():
        with open(os.path.join(out, name + ".txt"), "w") as f:
            f.write(END.join(docs) + END)
    model = os.path.join(out, "spm.model")
    if not os.path.exists(model):
        with open(os.path.join(out, "spm.txt"), "w") as f:
            for t in made[:8000] + train[::4] + openers(made[:8000]):
                f.write(t + "\n")
        spm.SentencePieceTrainer.train(
            input=os.path.join(out, "spm.txt"), model_prefix=model[:-6], vocab_size=VOCAB,
            model_type="bpe", byte_fallback=True, character_coverage=1.0,
            normalization_rule_name="identity",
            remove_extra_whitespaces=False, add_dummy_prefix=True, split_digits=True,
            allow_whitespace_only_pieces=True, max_sentence_length=20000, num_threads=1,
            unk_id=0, bos_id=1, eos_id=2, pad_id=-1)
    sp = spm.SentencePieceProcessor(model_file=model)
    for name, docs in texts.items():
        if leave_out and name == "train-made":
            docs = [t for t in docs if not leave_out.search(t)]
        ids = [x for t in docs for x in [1] + sp.encode(t) + [2]]
        np.save(os.path.join(out, name + ".npy"), np.array(ids, np.uint16))
        size = sum(len(t) for t in docs)
        print(name, len(docs), "documents", len(ids), "tokens", size, "bytes")


if __name__ == "__main__":
    main()
