#!/usr/bin/env python3
"""Every architecture that llama.cpp runs, too: lapilli and llama.cpp on the same GGUF files.

  bench/models-beside-llama.py [--json FILE] [NAME...]      (Python's own library is enough)

Each fixture of tests/fixtures/models (NAME: only these) gets a tokenizer that fits its vocabulary
and becomes a GGUF file by `lapilli convert`. On this one file are compared:

- logits: llama.cpp's log-probabilities of all tokens after 1, 11, 24 and all 40 tokens, against
  the fixture's, which are those of the transformers library in float64; as a normalised mean
  squared error. This judges names, layouts and metadata of the file. Encoders: last hidden states.
- greedy text: 64 tokens, or as many as the model has positions for. Where texts part, the two
  likeliest tokens of llama.cpp are told with their distance: a near tie is no mistake.
- perplexity of the letters of tests/data/stories.txt, 16 chunks.

All is F32, weights too, and runs on the CPU: llama.cpp would round activations to the type of the
weights. What GGUF or llama.cpp cannot do is a row with
the reason. Exit code 1 if anything disagrees.

LLAMA_BIN: the folder of llama.cpp's programs (llama-server, llama-perplexity, llama-completion);
without it they are those on the PATH, for example of the packages llama.cpp and llama.cpp-tools of
Debian and its relatives, or of a build of https://github.com/ggml-org/llama.cpp. LAPILLI: the
command (build/lapilli)."""
import argparse
import json
import math
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MODELS = ROOT / "tests" / "fixtures" / "models"
STORIES = ROOT / "tests" / "data" / "stories.txt"
LAPILLI = os.environ.get("LAPILLI", str(ROOT / "build" / "lapilli"))
PROMPT = "one day the "
# Normalised squared error, relative difference (of numbers with four places), distance of two
# log-probabilities. llama.cpp's GELU is a table of F16 numbers.
GATES = {"logits": 1e-9, "perplexity": 1e-5, "text": 1e-4}
GELU_GATES = {"logits": 1e-4, "perplexity": 2e-3, "text": 0.02}

# What llama.cpp does not heed or has no key for: the file is made with another value, which both
# then compute. Of the fixture's logits those count that do not depend on it: the first N positions.
CHANGES = {
    "flan-t5": ({"relative_attention_max_distance": 128}, 0, "distances up to 128"),
    "deepseek_v2-groups": ({"topk_method": "greedy", "rope_scaling": {"mscale": 0.6}}, 0,
                           "other groups of experts, one mscale"),
    "gemma3": ({"query_pre_attn_scalar": None}, 1, "no query_pre_attn_scalar"),
    "gpt_oss": ({"swiglu_limit": 7.0, "rope_scaling": None}, 0,
                "limit of gated parts is 7, bounds of YaRN are rounded"),
    "mistral": ({"sliding_window": None}, 11, "no window"),
    "mpt-storywriter": ({"attn_config": {"softmax_scale": None}}, 1, "no softmax_scale"),
    "phi3": ({"sliding_window": None}, 13, "no window"),
    "qwen2-window": ({"use_sliding_window": False}, 9, "no window"),
    "smollm3": ({"no_rope_layer_interval": 4, "no_rope_layers": None}, 1,
                "every fourth layer does not rotate"),
    "starcoder2": ({"sliding_window": None}, 12, "no window"),
}

# Models that llama.cpp runs in a few shapes only: made by `lapilli synth` with these changes, without
# logits of the transformers library to compare with.
MADE = {
    "chatglm2": ({"hidden_size": 72}, "heads of N / H elements"),
    "cohere-norm": ({"num_hidden_layers": 64}, "norms of heads from 64 layers on"),
    "deepseek_v2": ({"num_hidden_layers": 27}, "queries without a latent with 27 layers"),
    "llama4": ({"use_qk_norm": True, "attention_chunk_size": 8192, "floor_scale": 8192,
                "no_rope_layers": None, "num_hidden_layers": 4},
               "chunks and steps of 8192 tokens, a layer that sees everything"),
    "qwen2_moe": ({"mlp_only_layers": []}, "experts in all layers"),
    "qwen3_moe": ({"decoder_sparse_step": 1}, "experts in all layers"),
}


def llama(name):
    folder = os.environ.get("LLAMA_BIN")
    return str(Path(folder) / name) if folder else name


LETTERS = [chr(c) for c in range(97, 123)] + list(".,!?'")  # all that PROMPT and plain() have


def byte_level(n):
    """n tokens, of which each is one character, but for pairs."""
    tokens = ["<|endoftext|>", "Ġ", "Ċ"] + LETTERS
    merges = [f"{a} {b}" for a in "Ġthiseo" for b in "abcdefghijklmnopq"][:n - len(tokens)]
    tokens += [m.replace(" ", "") for m in merges]
    assert len(set(tokens)) == n
    return {"version": "1.0",
            "added_tokens": [{"id": 0, "content": tokens[0], "special": True}],
            "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True},
            "decoder": {"type": "ByteLevel"},
            "model": {"type": "BPE", "vocab": {t: i for i, t in enumerate(tokens)},
                      "merges": merges}}


def word_pieces(n):
    """n tokens of BERT's kind."""
    letters = [chr(c) for c in range(97, 123)]
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + letters + list(".,;:!?")
    tokens += [f"##{c}" for c in letters]
    tokens += [a + b for a in "thw" for b in "aeiouhr"] + [f"##{a}e" for a in "bcdfghklmnprstvw"]
    tokens += [f"##{a}{b}" for a in "bcdfghklmnprstvw" for b in "ou"]
    tokens = tokens[:n]
    assert len(set(tokens)) == n
    around = [{"SpecialToken": {"id": "[CLS]", "type_id": 0}},
              {"Sequence": {"id": "A", "type_id": 0}},
              {"SpecialToken": {"id": "[SEP]", "type_id": 0}}]
    return {"version": "1.0",
            "added_tokens": [{"id": i, "content": tokens[i], "special": True} for i in range(5)],
            "normalizer": {"type": "BertNormalizer", "clean_text": True,
                           "handle_chinese_chars": True, "strip_accents": None, "lowercase": True},
            "pre_tokenizer": {"type": "BertPreTokenizer"},
            "post_processor": {"type": "TemplateProcessing", "single": around,
                               "pair": around + [{"Sequence": {"id": "B", "type_id": 1}},
                                                 {"SpecialToken": {"id": "[SEP]", "type_id": 1}}],
                               "special_tokens": {
                                   t: {"id": t, "ids": [tokens.index(t)], "tokens": [t]}
                                   for t in ("[CLS]", "[SEP]")}},
            "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
            "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                      "max_input_chars_per_word": 100,
                      "vocab": {t: i for i, t in enumerate(tokens)}}}


def unigram_pieces(n):
    """n tokens of T5's kind."""
    pieces = ["<pad>", "</s>", "<unk>", "▁"] + LETTERS
    pieces += [a + c for a in ("▁", "▁x", "e", "t") for c in LETTERS][:n - len(pieces)]
    assert len(set(pieces)) == n
    behind = {"SpecialToken": {"id": "</s>", "type_id": 0}}
    texts = [{"Sequence": {"id": name, "type_id": 0}} for name in "AB"]
    marks = {"type": "Metaspace", "replacement": "▁", "add_prefix_space": True}
    return {"version": "1.0",
            "added_tokens": [{"id": i, "content": pieces[i], "special": True} for i in range(3)],
            "pre_tokenizer": {"type": "Sequence",
                              "pretokenizers": [{"type": "WhitespaceSplit"}, marks]},
            "post_processor": {"type": "TemplateProcessing", "single": [texts[0], behind],
                               "pair": [texts[0], behind, texts[1], behind],
                               "special_tokens": {
                                   "</s>": {"id": "</s>", "ids": [1], "tokens": ["</s>"]}}},
            "decoder": marks,
            "model": {"type": "Unigram", "unk_id": 2,
                      "vocab": [[p, -float(i % 7) - 1] for i, p in enumerate(pieces)]}}


def read_tensors(path):
    data = path.read_bytes()
    n, = struct.unpack("<Q", data[:8])
    out = {}
    for name, t in json.loads(data[8:8 + n]).items():
        if name != "__metadata__":
            begin, end = (8 + n + o for o in t["data_offsets"])
            kind = {"F32": "f", "I32": "i"}[t["dtype"]]
            out[name] = (t["shape"], struct.unpack(f"<{(end - begin) // 4}{kind}", data[begin:end]))
    return out


ENCODERS = ("bert", "distilbert", "roberta", "modernbert")
TOKENIZERS = {"bert": word_pieces, "distilbert": word_pieces, "electra": word_pieces,
              "t5": unigram_pieces, "switch_transformers": unigram_pieces}


def make_folder(fixture, scratch):
    folder = scratch / "model"  # a neutral name: llama.cpp looks for "phi3" in it
    folder.mkdir()
    for file in fixture.iterdir():
        if file.name not in ("expected.safetensors", "mutants.json", "config.json"):
            shutil.copy(file, folder)
    config = json.loads((fixture / "config.json").read_text())
    for key in ("bos_token_id", "eos_token_id", "pad_token_id"):
        if key in config and config["model_type"] not in (*TOKENIZERS, *ENCODERS):
            config[key] = 0
    changes = MADE.get(fixture.name) or CHANGES.get(fixture.name, ({},))
    for key, value in changes[0].items():
        config[key] = {**config[key], **value} if isinstance(value, dict) else value
    (folder / "config.json").write_text(json.dumps(config))
    if fixture.name in MADE:
        made = scratch / "made"
        subprocess.run([LAPILLI, "synth", "-t", "F32", str(folder / "config.json"), "-o", str(made)],
                       check=True, stderr=subprocess.DEVNULL)
        folder = made
    make = TOKENIZERS.get(config["model_type"], byte_level)
    sizes = config.get("text_config", config)
    n_vocab = sizes.get("padded_vocab_size") or sizes.get("vocab_size")
    if n_vocab:  # not of a model that reads pictures only
        (folder / "tokenizer.json").write_text(json.dumps(make(n_vocab)))
    return folder, config


def context(config):
    for key in ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length"):
        if key in config:
            return config[key]
    return 512


def activation(config):
    """Its name; families that do not tell have GELU."""
    keys = ("hidden_activation", "hidden_act", "activation_function", "feed_forward_proj")
    return next((config[key] for key in keys if config.get(key)), "gelu")


def convert(folder, file):
    done = subprocess.run([LAPILLI, "convert", "-q", "-t", "F32", str(folder), str(file)],
                          capture_output=True, text=True)
    if done.returncode == 0:
        return None
    return done.stderr.strip().split(f"{folder}: ")[-1].splitlines()[-1]


class Server:
    def __init__(self, file, n_ctx, log, *options):
        self.log = log
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.process = subprocess.Popen(
            [llama("llama-server"), "-m", str(file), "-ngl", "0", "-dev", "none", "-c", str(n_ctx),
             "--port", str(self.port), "-t", "2", "-ctk", "f32", "-ctv", "f32", "-fa", "off",
             "--no-warmup", "--no-webui", "-np", "1", *options], stdout=log, stderr=log)

    def __enter__(self):
        for _ in range(300):
            if self.process.poll() is not None:
                raise RuntimeError(refusal(self.log))
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=5)
                return self
            except OSError:
                time.sleep(0.1)
        raise RuntimeError("llama-server does not answer")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def complete(self, **body):
        return self.ask("completion", {"temperature": 0, "cache_prompt": False, **body})

    def ask(self, what, body):
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/{what}", json.dumps(body).encode(),
            {"Content-Type": "application/json"})
        try:
            return json.load(urllib.request.urlopen(request, timeout=600))
        except OSError as error:
            raise RuntimeError(f"llama-server: {error}") from error


def refusal(log):
    log.flush()
    lines = Path(log.name).read_text(errors="replace").splitlines()
    for line in lines:
        found = re.search(r"(error loading model.*|unknown model architecture.*|GGML_ASSERT.*|"
                          r"missing tensor.*|key not found.*|terminate called.*)", line)
        if found:
            return found.group(1)
    return lines[-1] if lines else "no output"


def log_softmax(x):
    top = max(x)
    total = math.log(sum(math.exp(v - top) for v in x))
    return [v - top - total for v in x]


def judge_logits(server, expected, most):
    """The largest NMSE over several lengths, of at most that many tokens."""
    tokens, (_, vocab), logits = expected["tokens"][1], *expected["logits"]
    worst = 0.0
    for length in sorted({min(n, most) for n in (1, 11, 24, len(tokens))}):
        reply = server.complete(prompt=list(tokens[:length]), n_predict=1, n_probs=vocab)
        got = [None] * vocab
        for choice in reply["completion_probabilities"][0]["top_logprobs"]:
            got[choice["id"]] = choice["logprob"]
        want = log_softmax(logits[(length - 1) * vocab:length * vocab])
        assert None not in got and reply["tokens_evaluated"] == length
        worst = max(worst, sum((a - b) ** 2 for a, b in zip(got, want)) / sum(a * a for a in want))
    return worst


def greedy(server, file, n):
    """Whether the texts are equal, and what there is to say of it."""
    reply = server.complete(prompt=PROMPT, n_predict=n, n_probs=2, ignore_eos=True)
    theirs = reply["content"]
    ours = subprocess.run(
        [LAPILLI, "run", "-q", "-m", str(file), "-d", "cpu", "--cache-type", "f32", "--temp", "0",
         "-n", str(n), "-c", str(n + 24), "--no-context-shift", "--no-echo", "-p", PROMPT,
         "--logit-bias", "0=-inf"], capture_output=True, text=True)
    if ours.returncode != 0:
        return math.inf, ours.stderr.strip().splitlines()[-1]
    ours, at, same = ours.stdout.rstrip("\n"), 0, 0
    for step in reply["completion_probabilities"]:
        if not ours.startswith(step["token"], at):
            first, second = step["top_logprobs"]
            return first["logprob"] - second["logprob"], (
                f"token {same + 1}: llama.cpp {first['token']!r} before {second['token']!r} by "
                f"{first['logprob'] - second['logprob']:.2g}; lapilli goes on with "
                f"{ours[at:at + 2]!r}")
        at += len(step["token"])
        same += 1
    assert theirs.rstrip("\n") == ours, "texts of equal tokens"
    return 0.0, f"{same} tokens equal"


def judge_vectors(file, n_ctx, log):
    """The largest squared distance of two vectors of a text, of length 1."""
    texts = ("One day the old miller went to the wood.", "a", "Why? 42 times, she said!")
    ours = subprocess.run([LAPILLI, "embed", "-q", "-m", str(file), "-d", "cpu", "--json",
                           "--pooling", "mean", *texts],
                          capture_output=True, text=True)
    if ours.returncode != 0:
        raise RuntimeError(ours.stderr.strip().splitlines()[-1])
    vectors = [v["vector"] for v in json.loads(ours.stdout)["embeddings"]]
    with Server(file, n_ctx, log, "--embedding", "--pooling", "mean") as server:
        theirs = [server.ask("embedding", {"content": t})[0]["embedding"][0] for t in texts]
    return max(sum((x - y) ** 2 for x, y in zip(a, b)) for a, b in zip(vectors, theirs))


def answer(file):
    """Greedy answers of an encoder-decoder."""
    end = "1=-inf" # what ends an answer
    ours = subprocess.run(
        [LAPILLI, "run", "-q", "-m", str(file), "-d", "cpu", "--cache-type", "f32", "--temp", "0",
         "-n", "40", "-p", PROMPT.strip(), "--logit-bias", end], capture_output=True, text=True)
    theirs = subprocess.run(
        [llama("llama-completion"), "-m", str(file), "-ngl", "0", "-dev", "none", "-c", "128",
         "-ctk", "f32", "-ctv", "f32", "-fa", "off", "--no-warmup", "-t", "2", "-n", "40",
         "--temp", "0", "-p", PROMPT.strip(), "-no-cnv", "--ignore-eos", "--no-display-prompt"],
        capture_output=True, text=True, stdin=subprocess.DEVNULL)
    for done in (ours, theirs):
        if done.returncode != 0 or not done.stdout.strip():
            raise RuntimeError((done.stderr or "no output").strip().splitlines()[-1])
    if ours.stdout.strip() == theirs.stdout.strip():
        return 0.0, "40 tokens equal"
    return math.inf, f"{ours.stdout.strip()!r}, llama.cpp {theirs.stdout.strip()!r}"


def perplexity(command, pattern):
    """llama-perplexity's last lines are lost at times."""
    for _ in range(5):
        done = subprocess.run(command, capture_output=True, text=True)
        found = re.findall(pattern, done.stdout, re.M)
        if found:
            return float(found[0])
    raise RuntimeError((done.stderr or done.stdout).strip().splitlines()[-1])


def plain(text):
    """As small vocabularies can tell it: programs differ in what they make of the rest."""
    return re.sub(r"[^a-z.,!?' ]+", "", text.lower())


def perplexities(file, n_ctx):
    stories = file.with_name("stories.txt")
    stories.write_text(plain(STORIES.read_text()))
    common = ["-m", str(file), "-c", str(n_ctx), "--chunks", "16"]
    return [
        perplexity([LAPILLI, "perplexity", "-q", *common, "-d", "cpu", "--cache-type", "f32",
                    str(stories)], r"^perplexity\D*([\d.]+)"),
        perplexity([llama("llama-perplexity"), *common, "-f", str(stories), "-b", str(n_ctx),
                    "-ngl", "0", "-dev", "none", "-ctk", "f32", "-ctv", "f32", "-fa", "off", "-t",
                    "2", "--no-warmup"], r"\[16\]([\d.]+)")]


def verdict(row, differences, config):
    gates = GELU_GATES if "gelu" in activation(config) else GATES
    wrong = [what for what, d in differences.items() if not d <= gates[what]]
    return {**row, "verdict": "differs: " + ", ".join(wrong) if wrong else "agrees", "note": ""}


def examine(fixture, scratch, log):
    folder, config = make_folder(fixture, scratch)
    row = {"name": fixture.name, "model_type": config["model_type"]}
    file = scratch / f"{fixture.name}.gguf"
    reason = convert(folder, file)
    if reason:
        return {**row, "verdict": "no GGUF form", "note": reason}
    row["architecture"] = json.loads(subprocess.run(
        [LAPILLI, "inspect", "--json", str(file)], capture_output=True, text=True,
        check=True).stdout)["metadata"]["general.architecture"]
    expected = read_tensors(fixture / "expected.safetensors")
    n_ctx = min(context(config), 96)
    _, most, row["changed"] = CHANGES.get(fixture.name, ({}, len(expected["tokens"][1]), ""))
    if fixture.name in MADE:
        most, row["changed"] = 0, "made by synth: " + MADE[fixture.name][1]
    differences = {}
    try:
        if config["model_type"] in ENCODERS or config.get("architectures") == ["T5EncoderModel"]:
            row["nmse"] = differences["logits"] = judge_vectors(file, n_ctx, log)
        elif config["model_type"] == "t5":
            differences["text"], row["greedy"] = answer(file)
        if differences:
            return verdict(row, differences, config)
        with Server(file, n_ctx, log) as server:
            if most > 0:
                row["nmse"] = differences["logits"] = judge_logits(server, expected, most)
            differences["text"], row["greedy"] = greedy(server, file, min(64, n_ctx - 24))
        row["perplexity"] = perplexities(file, min(n_ctx, 64))
    except RuntimeError as error:
        return {**row, "verdict": "llama.cpp refuses", "note": str(error)}
    ours, theirs = row["perplexity"]
    differences["perplexity"] = abs(ours - theirs) / theirs
    return verdict(row, differences, config)


def print_row(row):
    nmse = f"{row['nmse']:.1e}" if "nmse" in row else ""
    ppl = " / ".join(f"{p:.4f}" for p in row.get("perplexity", []))
    changed = f"; {row['changed']}" if row.get("changed") else ""
    print(f"| {row['name']} | {row.get('architecture', '')} | {nmse} | {row.get('greedy', '')} "
          f"| {ppl} | {row['verdict']}{changed}{': ' if row['note'] else ''}{row['note']} |", flush=True)


def versions():
    ours = subprocess.run([LAPILLI, "--version"], capture_output=True, text=True).stdout
    theirs = subprocess.run([llama("llama-server"), "--version"], capture_output=True, text=True)
    found = re.search(r"version: (.*)", theirs.stdout + theirs.stderr)
    return ours.split("\n")[0].strip(), f"llama.cpp {found.group(1) if found else '?'}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--json", metavar="FILE")
    args = parser.parse_args()
    fixtures = [MODELS / n for n in args.names] or sorted(
        p.parent for p in MODELS.glob("*/config.json"))
    rows, (ours, theirs) = [], versions()
    print(f"{ours}, {theirs}\n")
    print("| Fixture | GGUF architecture | NMSE of llama.cpp's log-probabilities | Greedy text "
          "| Perplexity, lapilli / llama.cpp | Verdict |\n|---|---|---|---|---|---|")
    for fixture in fixtures:
        with tempfile.TemporaryDirectory() as scratch, \
                open(Path(scratch) / "log", "w+") as log:
            rows.append(examine(fixture, Path(scratch), log))
        print_row(rows[-1])
    if args.json:
        Path(args.json).write_text(json.dumps(
            {"lapilli": ours, "llama.cpp": theirs, "rows": rows}, indent=1) + "\n")
    sys.exit(any(row["verdict"].startswith("differs") for row in rows))


main()
