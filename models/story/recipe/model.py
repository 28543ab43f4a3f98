"""The network: Llama (RMS norm, SwiGLU, grouped-query attention, RoPE on pairs (2k, 2k+1)).

RoPE turns neighbouring pairs, as the original Llama does and as GGUF files of that architecture
expect, so that Q and K need no permutation on export. Input and output embedding are one matrix.
"""
from dataclasses import asdict, dataclass

import torch
import torch.nn as nn
import torch.nn.functional as F


@dataclass
class Config:
    vocab: int = 2048
    dim: int = 256
    layers: int = 6
    heads: int = 4
    kv_heads: int = 2
    hidden: int = 704
    context: int = 512
    rope_base: float = 10000.0
    eps: float = 1e-5

    def dict(self):
        return asdict(self)


def rope_table(c):
    d = c.dim // c.heads
    freq = c.rope_base ** (-torch.arange(0, d, 2).float() / d)
    angle = torch.outer(torch.arange(c.context).float(), freq)
    return torch.cos(angle), torch.sin(angle)


def rope(x, cos, sin):  # x [B, T, H, D]; pairs (k, k + D/2), which vectorises; export.py reorders
    a, b = x.chunk(2, -1)
    cos, sin = cos[:, None, :].to(x.dtype), sin[:, None, :].to(x.dtype)
    return torch.cat((a * cos - b * sin, a * sin + b * cos), -1)


def neighbours(w, heads, back=False):
    """Rows of Q or K: from pairs (k, k + D/2) to the pairs (2k, 2k + 1) of GGUF files, or back."""
    rows, cols = w.shape
    shape = (heads, rows // heads // 2, 2, cols) if back else (heads, 2, rows // heads // 2, cols)
    return w.reshape(shape).swapaxes(1, 2).reshape(rows, cols)


class Layer(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c, d = c, c.dim // c.heads
        self.attn_norm, self.ffn_norm = (nn.RMSNorm(c.dim, eps=c.eps) for _ in range(2))
        self.q = nn.Linear(c.dim, c.heads * d, bias=False)
        self.k = nn.Linear(c.dim, c.kv_heads * d, bias=False)
        self.v = nn.Linear(c.dim, c.kv_heads * d, bias=False)
        self.o = nn.Linear(c.heads * d, c.dim, bias=False)
        self.gate = nn.Linear(c.dim, c.hidden, bias=False)
        self.up = nn.Linear(c.dim, c.hidden, bias=False)
        self.down = nn.Linear(c.hidden, c.dim, bias=False)

    def forward(self, x, cos, sin, mask):
        c, (B, T, _) = self.c, x.shape
        h = self.attn_norm(x)
        q = rope(self.q(h).view(B, T, c.heads, -1), cos, sin).transpose(1, 2)
        k = rope(self.k(h).view(B, T, c.kv_heads, -1), cos, sin).transpose(1, 2)
        v = self.v(h).view(B, T, c.kv_heads, -1).transpose(1, 2)
        r = c.heads // c.kv_heads
        k, v = k.repeat_interleave(r, 1), v.repeat_interleave(r, 1)
        # spelt out: on CPUs, at these lengths, several times faster than the fused attention
        score = (q @ k.transpose(-2, -1)) * q.shape[-1] ** -0.5 + mask
        y = torch.softmax(score.float(), -1).to(v.dtype) @ v
        x = x + self.o(y.transpose(1, 2).reshape(B, T, -1))
        h = self.ffn_norm(x)
        return x + self.down(F.silu(self.gate(h)) * self.up(h))


class Story(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        self.embed = nn.Embedding(c.vocab, c.dim)
        self.layers = nn.ModuleList(Layer(c) for _ in range(c.layers))
        self.norm = nn.RMSNorm(c.dim, eps=c.eps)
        cos, sin = rope_table(c)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        mask = torch.full((c.context, c.context), float("-inf")).triu(1)
        self.register_buffer("mask", mask, persistent=False)
        # Which word it was must not drown in what the layers add: a wide embedding, a small gain at
        # the end instead, and heads that hand on what they look at (O is the transpose of V).
        nn.init.normal_(self.embed.weight, std=0.5)
        nn.init.constant_(self.norm.weight, 0.15)
        d, r = c.dim // c.heads, c.heads // c.kv_heads
        for l in self.layers:
            for w in (l.q, l.k, l.gate, l.up):
                nn.init.normal_(w.weight, std=c.dim ** -0.5)
            nn.init.orthogonal_(l.v.weight)
            with torch.no_grad():
                for h in range(c.heads):
                    g = h // r
                    l.o.weight[:, h * d:(h + 1) * d] = l.v.weight[g * d:(g + 1) * d].T * 0.5
            nn.init.zeros_(l.down.weight)

    def forward(self, ids, targets=None):
        T = ids.shape[1]
        x = self.embed(ids)
        for l in self.layers:
            x = l(x, self.cos[:T], self.sin[:T], self.mask[:T, :T])
        logits = F.linear(self.norm(x), self.embed.weight)
        if targets is None:
            return logits
        return F.cross_entropy(logits.float().view(-1, self.c.vocab), targets.reshape(-1))
