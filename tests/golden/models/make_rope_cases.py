"""Writes rope_cases.json: rotary frequencies of transformers for many configurations.

    pip install torch transformers && python tests/golden/models/make_rope_cases.py
"""
import json
import pathlib

import torch
from transformers import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

BASE = dict(model_type="llama", vocab_size=8, hidden_size=64, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2,
            num_key_value_heads=1)
CASES = [
    (dict(rope_theta=10000.0, max_position_embeddings=64, head_dim=128), [1, 64, 200]),
    (dict(rope_theta=100000.0, max_position_embeddings=8192, head_dim=64), [1]),
    (dict(rope_theta=500000.0, max_position_embeddings=64, head_dim=8, rope_scaling=dict(type="linear", factor=2.5)), [7]),
    (dict(rope_theta=10000.0, max_position_embeddings=12, head_dim=32, rope_scaling=dict(rope_type="dynamic", factor=4.0)), [3, 12, 13, 24, 1000]),
    (dict(rope_theta=10000.0, max_position_embeddings=2048, head_dim=128, rope_scaling=dict(type="dynamic", factor=1.7)), [2048, 2049, 9000]),
    (dict(rope_theta=500000.0, max_position_embeddings=131072, head_dim=128,
          rope_scaling=dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=8192)), [1]),
    (dict(rope_theta=10000.0, max_position_embeddings=512, head_dim=16,
          rope_scaling=dict(rope_type="llama3", factor=32.0, low_freq_factor=1.5, high_freq_factor=3.0, original_max_position_embeddings=64)), [1]),
    (dict(rope_theta=10000.0, max_position_embeddings=8192, head_dim=128,
          rope_scaling=dict(type="yarn", factor=16.0, original_max_position_embeddings=512)), [1]),
    (dict(rope_theta=1000000.0, max_position_embeddings=131072, head_dim=64,
          rope_scaling=dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=32768, beta_fast=16.0, beta_slow=2.0, attention_factor=1.25)), [1]),
    (dict(rope_theta=10000.0, max_position_embeddings=163840, head_dim=64,
          rope_scaling=dict(rope_type="yarn", factor=40.0, original_max_position_embeddings=4096, mscale=0.707, mscale_all_dim=1.0)), [1]),
    (dict(rope_theta=150000.0, max_position_embeddings=131072, head_dim=64,
          rope_scaling=dict(rope_type="yarn", factor=32.0, original_max_position_embeddings=4096, truncate=False)), [1]),
]

cases = []
for keys, lengths in CASES:
    for length in lengths:
        config = LlamaConfig(**{k: v for k, v in {**BASE, **keys}.items() if k != "model_type"})
        rope = LlamaRotaryEmbedding(config)
        rope(torch.zeros(1), torch.arange(length)[None])  # lets dynamic scaling see the length
        cases.append({"config": {**BASE, **keys}, "length": length, "inverse": rope.inv_freq.double().tolist(),
                      "attention_factor": float(rope.attention_scaling)})
path = pathlib.Path(__file__).parent / "rope_cases.json"
path.write_text(json.dumps(cases, indent=0) + "\n")
