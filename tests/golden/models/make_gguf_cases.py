"""Writes the GGUF cases of this folder with gguf-py, the reference reader and quantizer of the format.

    pip install gguf numpy safetensors && python tests/golden/models/make_gguf_cases.py

gguf_blocks.safetensors  random blocks of every type and the weights gguf-py makes of them
gguf_llama/, gguf_rope/  tiny random models: model.gguf and, in expected.safetensors, their weights under Hugging Face names
"""
import pathlib

import gguf
import numpy as np
from safetensors.numpy import save_file

HERE = pathlib.Path(__file__).parent
TYPES = "F32 F16 BF16 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q2_K Q3_K Q4_K Q5_K Q6_K IQ4_NL".split()


def random_blocks(rng, kind, count):
    """Random bytes, with the fp16 scales replaced by finite numbers."""
    weights, size = gguf.GGML_QUANT_SIZES[kind]
    blocks = rng.integers(0, 256, (count, size), dtype=np.uint8)
    scales = {"Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "IQ4_NL": [0], "Q2_K": [80, 82],
              "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208], "F16": [0]}.get(kind.name, [])
    for offset in scales:
        values = rng.normal(0, 1, count) * 10.0 ** rng.integers(-7, 2, count)  # subnormals included
        blocks[:, offset:offset + 2] = values.astype(np.float16).reshape(-1, 1).view(np.uint8)
    if kind.name in ("F32", "BF16"):
        values = rng.normal(0, 1, count).astype(np.float32).view(np.uint32)
        blocks = values.reshape(-1, 1).view(np.uint8) if kind.name == "F32" else (values >> 16).astype(np.uint16).reshape(-1, 1).view(np.uint8)
    return np.ascontiguousarray(blocks)


def block_cases():
    rng = np.random.default_rng(5)
    out = {}
    for name in TYPES:
        kind = gguf.GGMLQuantizationType[name]
        blocks = random_blocks(rng, kind, 24)
        flat = blocks.reshape(1, -1)
        out[f"{name}.blocks"] = blocks
        out[f"{name}.weights"] = gguf.quants.dequantize(flat, kind).reshape(-1).astype(np.float32)
    save_file(out, HERE / "gguf_blocks.safetensors")


def interleave(w, heads):
    """The row order converters write: rotary pairs next to each other."""
    return w.reshape(heads, 2, w.shape[0] // heads // 2, *w.shape[1:]).swapaxes(1, 2).reshape(w.shape)


def model_case(folder, seed, arch="llama", heads=4, kv_heads=2, head_dim=16, hidden=64, inner=96, vocab=90, layers=2, tied=False,
               freqs=None, version_extra=None, context=128, kinds=("Q4_1", "Q8_0", "Q5_0", "F16")):
    rng = np.random.default_rng(seed)
    (HERE / folder).mkdir(exist_ok=True)
    writer = gguf.GGUFWriter(str(HERE / folder / "model.gguf"), arch)
    writer.add_block_count(layers)
    writer.add_context_length(context)
    writer.add_embedding_length(hidden)
    writer.add_feed_forward_length(inner)
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_rope_freq_base(50000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(head_dim)
    if head_dim * heads != hidden:
        writer.add_key_length(head_dim)
        writer.add_value_length(head_dim)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list([f"t{i}" for i in range(vocab)])
    writer.add_token_types([1] * vocab)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    expected = {}

    def add(name, hf, shape, kind, permuted_heads=0):
        stored = rng.normal(0, 0.1, shape).astype(np.float32)
        kind = gguf.GGMLQuantizationType[kind]
        data = gguf.quants.quantize(stored, kind)
        writer.add_tensor(name, data, raw_dtype=kind)
        weights = gguf.quants.dequantize(data, kind).reshape(shape).astype(np.float32)
        if permuted_heads:  # undo the interleaving
            back = weights.reshape(permuted_heads, shape[0] // permuted_heads // 2, 2, *shape[1:]).swapaxes(1, 2).reshape(shape)
            assert np.array_equal(interleave(back, permuted_heads), weights)
            weights = back
        expected[hf] = np.ascontiguousarray(weights)

    llama = arch == "llama"
    q, kv = heads * head_dim, kv_heads * head_dim
    add("token_embd.weight", "model.embed_tokens.weight", (vocab, hidden), kinds[1])
    if freqs is not None:
        writer.add_tensor("rope_freqs.weight", np.asarray(freqs, dtype=np.float32))
    for i in range(layers):
        b, m = f"blk.{i}.", f"model.layers.{i}."
        add(b + "attn_norm.weight", m + "input_layernorm.weight", (hidden,), "F32")
        add(b + "ffn_norm.weight", m + "post_attention_layernorm.weight", (hidden,), "F32")
        add(b + "attn_q.weight", m + "self_attn.q_proj.weight", (q, hidden), kinds[0], heads if llama else 0)
        add(b + "attn_k.weight", m + "self_attn.k_proj.weight", (kv, hidden), kinds[2], kv_heads if llama else 0)
        add(b + "attn_v.weight", m + "self_attn.v_proj.weight", (kv, hidden), kinds[3])
        add(b + "attn_output.weight", m + "self_attn.o_proj.weight", (hidden, q), kinds[0])
        if not llama:
            add(b + "attn_q.bias", m + "self_attn.q_proj.bias", (q,), "F32")
            add(b + "attn_k.bias", m + "self_attn.k_proj.bias", (kv,), "F32")
            add(b + "attn_v.bias", m + "self_attn.v_proj.bias", (kv,), "F32")
        add(b + "ffn_gate.weight", m + "mlp.gate_proj.weight", (inner, hidden), kinds[2])
        add(b + "ffn_up.weight", m + "mlp.up_proj.weight", (inner, hidden), "Q4_0")
        add(b + "ffn_down.weight", m + "mlp.down_proj.weight", (hidden, inner), "Q5_1")
    add("output_norm.weight", "model.norm.weight", (hidden,), "F32")
    if not tied:
        add("output.weight", "lm_head.weight", (vocab, hidden), "BF16")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    save_file(expected, HERE / folder / "expected.safetensors")


def llama3_divisors(head_dim, base, factor, low=1.0, high=4.0, old=8192):
    inverse = 1.0 / base ** (np.arange(0, head_dim, 2) / head_dim)
    out = []
    for f in inverse:
        wavelength = 2 * np.pi / f
        smooth = (old / wavelength - low) / (high - low)
        out.append(1.0 if wavelength < old / high else factor if wavelength > old / low else 1 / ((1 - smooth) / factor + smooth))
    return out


if __name__ == "__main__":
    block_cases()
    model_case("gguf_llama", 1)
    model_case("gguf_rope", 2, tied=True, head_dim=32, kv_heads=1, freqs=llama3_divisors(32, 50000.0, 8.0), layers=1)
    model_case("gguf_qwen2", 3, arch="qwen2", layers=1)
