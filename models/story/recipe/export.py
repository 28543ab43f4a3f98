"""Writes a checkpoint as a GGUF file that llama.cpp and lapilli read: export.py RUN SPM OUT.gguf

Matrices are stored as F16, norms as F32. The rows of Q and K are put in the order that the "llama"
architecture means in GGUF files: RoPE turns neighbouring pairs.
"""
import sys

import gguf
import numpy as np
import sentencepiece as spm
import torch

from model import neighbours


def main():
    run, spm_path, out = sys.argv[1:4]
    c = torch.load(run + "/ckpt.pt", weights_only=False, map_location="cpu")
    cfg, w = c["config"], c["model"]
    sp = spm.SentencePieceProcessor(model_file=spm_path)
    g = gguf.GGUFWriter(out, "llama")
    g.add_name("lapilli story")
    g.add_author("the lapilli authors")
    g.add_license("MIT")
    g.add_context_length(cfg["context"])
    g.add_embedding_length(cfg["dim"])
    g.add_block_count(cfg["layers"])
    g.add_feed_forward_length(cfg["hidden"])
    g.add_head_count(cfg["heads"])
    g.add_head_count_kv(cfg["kv_heads"])
    g.add_rope_dimension_count(cfg["dim"] // cfg["heads"])
    g.add_rope_freq_base(cfg["rope_base"])
    g.add_layer_norm_rms_eps(cfg["eps"])
    g.add_vocab_size(cfg["vocab"])
    g.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    tokens, scores, types = [], [], []
    for i in range(sp.vocab_size()):
        tokens.append(sp.id_to_piece(i).encode())
        scores.append(sp.get_score(i))
        kind = gguf.TokenType
        types.append(kind.UNKNOWN if sp.is_unknown(i) else kind.CONTROL if sp.is_control(i)
                     else kind.BYTE if sp.is_byte(i) else kind.NORMAL)
    g.add_tokenizer_model("llama")
    g.add_tokenizer_pre("default")
    g.add_token_list(tokens)
    g.add_token_scores(scores)
    g.add_token_types(types)
    g.add_bos_token_id(1)
    g.add_eos_token_id(2)
    g.add_unk_token_id(0)
    g.add_add_bos_token(True)
    g.add_add_eos_token(False)
    g.add_add_space_prefix(True)
    half = lambda name: w[name].float().numpy().astype(np.float16)
    full = lambda name: w[name].float().numpy()
    g.add_tensor("token_embd.weight", half("embed.weight"))
    for i in range(cfg["layers"]):
        a, b = "layers.%d." % i, "blk.%d." % i
        g.add_tensor(b + "attn_norm.weight", full(a + "attn_norm.weight"))
        g.add_tensor(b + "ffn_norm.weight", full(a + "ffn_norm.weight"))
        for x, y in (("q", "attn_q"), ("k", "attn_k"), ("v", "attn_v"), ("o", "attn_output"),
                     ("gate", "ffn_gate"), ("up", "ffn_up"), ("down", "ffn_down")):
            m, heads = half(a + x + ".weight"), dict(q=cfg["heads"], k=cfg["kv_heads"]).get(x)
            g.add_tensor(b + y + ".weight", neighbours(m, heads) if heads else m)
    g.add_tensor("output_norm.weight", full("norm.weight"))
    g.write_header_to_file()
    g.write_kv_data_to_file()
    g.write_tensors_to_file()
    g.close()


if __name__ == "__main__":
    main()
