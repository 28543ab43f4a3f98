#!/usr/bin/env python3
"""A CLIP tokenizer of the captions' words: words.py data.npz ../tokenizer"""
import json
import os
import sys

import numpy
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

SIZE = 2304
LENGTH = 16
START, END = "<|startoftext|>", "<|endoftext|>"
PATTERN = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


def learnt_merges(captions, n):
    """Byte pair encoding; Hugging Face's trainer marks the end of a word as CLIP does."""
    tokenizer = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(PATTERN), behavior="removed", invert=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.train_from_iterator(captions, trainers.BpeTrainer(
        vocab_size=n + 100, end_of_word_suffix="</w>", show_progress=False))
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    return [tuple(m) if isinstance(m, list) else tuple(m.split(" ")) for m in merges]


def main(data, folder):
    rows = json.loads(str(numpy.load(data)["rows"]))
    captions = sorted({c for row in rows for c in row["captions"]})
    letters = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = [chr(b) for b in letters] + [chr(256 + i) for i in range(256 - len(letters))]
    vocab = letters + [c + "</w>" for c in letters]
    merges = learnt_merges(captions, SIZE)[:SIZE - len(vocab) - 2]
    vocab += ["".join(m) for m in merges] + [START, END]
    assert len(set(vocab)) == len(vocab)
    os.makedirs(folder, exist_ok=True)

    def save(name, value):
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            json.dump(value, file, ensure_ascii=False, indent=1)
            file.write("\n")

    with open(os.path.join(folder, "vocab.json"), "w", encoding="utf-8") as file:
        json.dump({token: i for i, token in enumerate(vocab)}, file, ensure_ascii=False, separators=(",", ":"))
        file.write("\n")
    with open(os.path.join(folder, "merges.txt"), "w", encoding="utf-8") as file:
        file.write("#version: 0.2\n" + "".join(" ".join(m) + "\n" for m in merges))
    special = {"bos_token": START, "eos_token": END, "pad_token": END, "unk_token": END}
    save("special_tokens_map.json", special)
    save("tokenizer_config.json", special | {"tokenizer_class": "CLIPTokenizer", "model_max_length": LENGTH,
                                             "do_lower_case": True, "add_prefix_space": False, "errors": "replace"})
    print(f"{len(vocab)} tokens")


if __name__ == "__main__":
    main(*sys.argv[1:])
