"""Proves that samples are not copied: overlap.py TRAIN.txt... -- SAMPLE.txt...

Exit status 1 if any sample shares RUN words in a row with the training text. Words are compared in
lower case, without punctuation. Inside a sample, "<|end|>" lines separate texts.
"""
import re
import sys

RUN = 12


def words(text):
    return re.findall(r"[a-z0-9']+", text.lower())


def runs(ws):
    return [" ".join(ws[i:i + RUN]) for i in range(len(ws) - RUN + 1)]


def texts(path):
    with open(path, encoding="utf-8") as f:
        return [t for t in f.read().split("<|end|>") if t.strip()]


def main():
    split = sys.argv.index("--")
    samples = [(p, i, words(t)) for p in sys.argv[split + 1:] for i, t in enumerate(texts(p))]
    wanted = {}
    for k, (_, _, ws) in enumerate(samples):
        for r in runs(ws):
            wanted.setdefault(r, set()).add(k)
    bad, trained = {}, 0
    for path in sys.argv[1:split]:
        for t in texts(path):
            ws = words(t)
            trained += len(ws)
            for r in runs(ws):
                if r in wanted:
                    for k in wanted[r]:
                        bad.setdefault(k, set()).add(r)
    for k, rs in sorted(bad.items()):
        for r in sorted(rs):
            print("%s #%d: %s" % (samples[k][0], samples[k][1], r))
    print("%d samples, %d words, against %d words of training text: "
          "%d samples share %d words in a row"
          % (len(samples), sum(len(w) for _, _, w in samples), trained, len(bad), RUN))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
