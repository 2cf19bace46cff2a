"""A Whisper in CTranslate2's form: a tiny random one, written as their converter writes it, is read back the same."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import families
import numpy as np
import pytest
import torch

import attn_core as ac
from attn_core.errors import DamagedModel, UnsupportedFamily
from attn_core.models.checkpoint import check_sizes
from attn_core.models.formats import ctranslate2

SIGNS = {"<|endoftext|>": 2, "<|startoftranscript|>": 3, "<|notimestamps|>": 4}


def arrays_of(model: Any) -> dict[str, np.ndarray]:
    """A Whisper's weights under the converter's names: q, k and v on top of each other, zeros for the keys' bias."""
    own = {name.removeprefix("model."): p.detach().numpy() for name, p in model.state_dict().items()}

    def stacked(name: str, *projections: str) -> dict[str, np.ndarray]:
        width = own[f"{name}.out_proj.bias"].shape
        biases = [own.get(f"{name}.{p}.bias", np.zeros(width, np.float32)) for p in projections]
        return {
            "weight": np.concatenate([own[f"{name}.{p}.weight"] for p in projections]),
            "bias": np.concatenate(biases),
        }

    found: dict[str, np.ndarray] = {}

    def put(key: str, parts: dict[str, np.ndarray]) -> None:
        found.update({f"{key}/{part}": array for part, array in parts.items()})

    def norm(name: str) -> dict[str, np.ndarray]:
        return {"gamma": own[f"{name}.weight"], "beta": own[f"{name}.bias"]}

    for stack, n_heads in (("encoder", 4), ("decoder", 4)):
        found[f"{stack}/num_heads"] = np.array(n_heads, "<i2")
        found[f"{stack}/position_encodings/encodings"] = own[f"{stack}.embed_positions.weight"]
        put(f"{stack}/layer_norm", norm(f"{stack}.layer_norm"))
        for layer in range(2):
            key, name = f"{stack}/layer_{layer}", f"{stack}.layers.{layer}"
            put(f"{key}/self_attention/linear_0", stacked(f"{name}.self_attn", "q_proj", "k_proj", "v_proj"))
            put(f"{key}/self_attention/linear_1", stacked(f"{name}.self_attn", "out_proj"))
            put(f"{key}/self_attention/layer_norm", norm(f"{name}.self_attn_layer_norm"))
            put(f"{key}/ffn/layer_norm", norm(f"{name}.final_layer_norm"))
            for i, linear in enumerate(("fc1", "fc2")):
                put(f"{key}/ffn/linear_{i}", {part: own[f"{name}.{linear}.{part}"] for part in ("weight", "bias")})
            if stack == "decoder":
                put(f"{key}/attention/linear_0", stacked(f"{name}.encoder_attn", "q_proj"))
                put(f"{key}/attention/linear_1", stacked(f"{name}.encoder_attn", "k_proj", "v_proj"))
                put(f"{key}/attention/linear_2", stacked(f"{name}.encoder_attn", "out_proj"))
                put(f"{key}/attention/layer_norm", norm(f"{name}.encoder_attn_layer_norm"))
    for conv in ("conv1", "conv2"):
        put(f"encoder/{conv}", {part: own[f"encoder.{conv}.{part}"] for part in ("weight", "bias")})
    found["decoder/embeddings/weight"] = own["decoder.embed_tokens.weight"]
    return found


def write(file: Path, arrays: dict[str, np.ndarray], name: str = "WhisperSpec", version: int = 6) -> None:
    def words(text: str) -> bytes:
        return struct.pack("<H", len(text) + 1) + text.encode() + b"\0"

    said = [struct.pack("<I", version), words(name), struct.pack("<II", 3, len(arrays))]
    for key, array in arrays.items():
        kind = ctranslate2.TYPES.index(array.dtype.str)
        shape = struct.pack(f"<B{array.ndim}I", array.ndim, *array.shape)
        said += [words(key), shape, struct.pack("<BI", kind, array.nbytes), array.tobytes()]
    said += [struct.pack("<I", 1), words("decoder/projection/weight"), words("decoder/embeddings/weight")]
    file.write_bytes(b"".join(said))


@pytest.fixture(scope="module")
def whisper() -> Any:
    model = families.whisper(20)
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))  # no bias and no norm as it begins
    return model.eval()


@pytest.fixture
def folder(tmp_path: Path, whisper: Any) -> Path:
    """A folder as the package has it."""
    tokenizer = families.word_tokenizer()
    own = json.loads(tokenizer.backend_tokenizer.to_str())
    for content, i in SIGNS.items():
        own["added_tokens"] = [a for a in own["added_tokens"] if a["id"] != i]
        own["model"]["vocab"] = {word: at for word, at in own["model"]["vocab"].items() if at != i} | {content: i}
        flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
        own["added_tokens"].append({"id": i, "content": content, **flags})
    own["added_tokens"].sort(key=lambda added: added["id"])
    own["post_processor"] = None
    (tmp_path / "tokenizer.json").write_text(json.dumps(own))
    said = {"alignment_heads": [[1, 0], [1, 3]], "suppress_ids": [5], "suppress_ids_begin": [6]}
    (tmp_path / "config.json").write_text(json.dumps(said))
    write(tmp_path / "model.bin", arrays_of(whisper))
    return tmp_path


def converted(folder: Path) -> Path:
    into = folder / "into"
    into.mkdir()
    ctranslate2.convert(folder / "model.bin", into, "Whisper", check_sizes)
    return into


@torch.no_grad()
def test_it_says_what_the_original_says(folder: Path, whisper: Any) -> None:
    model = ac.load(converted(folder))
    mel, ids = torch.randn(8, 40, generator=torch.Generator().manual_seed(2)), [3, 4, 20, 21]
    judge = whisper(input_features=mel[None], decoder_input_ids=torch.tensor([ids]), output_attentions=True)
    trace = ac.trace(model, audio=mel, target=ids)
    assert trace.check().ok
    for stream, theirs in (
        ("encoder", judge.encoder_attentions), ("decoder", judge.decoder_attentions), ("cross", judge.cross_attentions)
    ):  # fmt: skip
        for layer in range(2):
            assert np.abs(trace.stream(stream).patterns(layer) - theirs[layer][0].numpy()).max() < 2e-6
    logits = np.stack([trace.logits(i) for i in range(4)])
    assert np.abs(logits - judge.logits[0].numpy()).max() < 2e-6 * float(judge.logits.abs().max())
    settings = model.hf.generation_config
    assert settings.alignment_heads == [[1, 0], [1, 3]] and settings.no_timestamps_token_id == 4
    assert (settings.suppress_tokens, settings.begin_suppress_tokens) == ([5], [6])
    assert model.hf.config.decoder_start_token_id == 3 and model.tokenizer.eos_token_id == 2


def test_halves_are_said_and_become_float32(folder: Path, whisper: Any) -> None:
    halves = {key: array.astype("<f2") if array.dtype == "<f4" else array for key, array in arrays_of(whisper).items()}
    write(folder / "model.bin", halves)
    into = folder / "into"
    into.mkdir()
    assert ctranslate2.convert(folder / "model.bin", into, "Whisper", check_sizes) == "16-bit weights"
    assert {p.dtype for p in ac.load(into).hf.parameters()} == {torch.float32}


@pytest.mark.parametrize("cut", [3, 40, 5_000, 100_000])
def test_a_cut_file_is_one_sentence(folder: Path, cut: int) -> None:
    file = folder / "model.bin"
    file.write_bytes(file.read_bytes()[:cut])
    with pytest.raises(DamagedModel, match="Whisper is no file of CTranslate2 that can be read"):
        converted(folder)


def test_another_model_or_version_is_named(folder: Path, whisper: Any) -> None:
    write(folder / "model.bin", arrays_of(whisper), name="TransformerSpec")
    with pytest.raises(UnsupportedFamily, match="TransformerSpec"):
        ctranslate2.convert(folder / "model.bin", folder, "It", check_sizes)
    write(folder / "model.bin", arrays_of(whisper), version=7)
    with pytest.raises(UnsupportedFamily, match="version 7"):
        ctranslate2.convert(folder / "model.bin", folder, "It", check_sizes)


def test_a_bias_of_keys_is_not_dropped_in_silence(folder: Path, whisper: Any) -> None:
    arrays = arrays_of(whisper)
    arrays["encoder/layer_0/self_attention/linear_0/bias"][40] = 1.0
    write(folder / "model.bin", arrays)
    with pytest.raises(DamagedModel, match="has a bias of its keys"):
        converted(folder)
