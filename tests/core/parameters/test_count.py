"""The sums of the table of parameters, judged by hand, by published figures and by the lesson."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import transformers
from configurations import BY_HAND, GPT2, T5, library_model
from safetensors.torch import load_file, save_file

import attn_core as ac
from attn_core.models.catalogue import CATALOGUE
from attn_core.parameters.count import count_parameters
from attn_core.parameters.presets import PRESETS


@pytest.mark.parametrize("name", BY_HAND)
def test_table_is_what_a_person_writes(name: str) -> None:
    config, by_hand, total = BY_HAND[name]
    table = count_parameters(config)
    assert {row.name: (row.count, row.times) for row in table.rows if not row.tied_to} == by_hand
    assert table.total == total == sum(count * times for count, times in by_hand.values())
    assert table.source == "formula"


def test_catalogue_has_its_published_numbers_here() -> None:
    for name, entry in CATALOGUE.items():
        if name not in PRESETS:
            assert entry.kind == "shipped"  # not trained in this copy yet
        elif entry.parameters is not None:
            assert count_parameters(name).total == entry.parameters, name


PUBLISHED = {  # totals that the models' own papers, cards and users print
    "gpt-3": 174_604_259_328,
    "gpt2": 124_439_808,
    "gpt2-medium": 354_823_168,
    "gpt2-large": 774_030_080,
    "gpt2-xl": 1_557_611_200,
    "bert-base": 109_482_240,
    "bert-large": 335_141_888,
    "llama-2-7b": 6_738_415_616,
    "llama-2-70b": 68_976_648_192,
    "llama-3-8b": 8_030_261_248,
    "mistral-7b": 7_241_732_096,
    "t5-small": 60_506_624,
    "minilm": 22_713_216,
    "bloom-176b": 176_247_271_424,
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_totals(name: str) -> None:
    assert count_parameters(name).total == PUBLISHED[name]


def test_gpt3_as_the_lesson_counts_it() -> None:
    table = ac.count_parameters("gpt-3")
    lines = {line.role: line.count for line in table.lesson}
    assert lines == {
        "embedding": 617_558_016,
        "key": 14_495_514_624,
        "query": 14_495_514_624,
        "value": 14_495_514_624,
        "output": 14_495_514_624,
        "up": 57_982_058_496,
        "down": 57_982_058_496,
        "unembedding": 617_558_016,
    }
    assert table.lesson_total == 175_181_291_520
    assert table.lesson_attention == 57_982_058_496
    assert table.lesson_attention // 96 == 603_979_776  # one block
    assert table.lesson_attention // 96 // 96 == 6_291_456  # one head
    assert round(100 * table.lesson_attention / table.lesson_total, 1) == 33.1
    assert "96 × 128 × 12,288 × 96" in next(line.formula for line in table.lesson if line.role == "query")


SIZES_BY_NAME = {
    "gpt-3-small": 125e6,
    "gpt-3-medium": 350e6,
    "gpt-3-large": 760e6,
    "gpt-3-xl": 1.3e9,
    "gpt-3-2.7b": 2.7e9,
    "gpt-3-6.7b": 6.7e9,
    "gpt-3-13b": 13e9,
    "gpt-3": 175e9,
}


@pytest.mark.parametrize("name", SIZES_BY_NAME)
def test_gpt3_sizes_are_what_their_names_say(name: str) -> None:
    assert count_parameters(name).total == pytest.approx(SIZES_BY_NAME[name], rel=0.02)


def test_the_papers_own_row_for_xl_does_not_give_its_name() -> None:
    as_printed = {**PRESETS["gpt-3-xl"].config, "n_heads": 24}
    assert count_parameters(as_printed).total > 1.5e9
    assert "24 heads" in PRESETS["gpt-3-xl"].note


def test_tied_weights_count_once_and_are_named() -> None:
    tied = count_parameters(GPT2)
    untied = count_parameters({**GPT2, "tie_word_embeddings": False})
    assert untied.total - tied.total == 11 * 6
    assert [(row.name, row.tied_to) for row in tied.tied] == [("lm_head.weight", "transformer.wte.weight")]
    assert untied.tied == ()
    assert tied.lesson_total == untied.lesson_total  # the lesson counts both ends, tied or not


def test_parts_biases_and_norms_sum_to_the_total() -> None:
    for name in PRESETS:
        table = count_parameters(name)
        assert sum(table.parts().values()) == table.total == sum(row.total for row in table.rows)
        kinds = {row.kind for row in table.rows}
        assert sum(table.sum_of(kind=kind) for kind in kinds) == table.total
        assert table.embeddings + table.without_embeddings == table.total
    gpt2 = count_parameters("gpt2")
    assert gpt2.embeddings == (50_257 + 1_024) * 768
    assert gpt2.sum_of(kind="norm") == 25 * 2 * 768
    assert gpt2.sum_of(kind="bias") == 12 * (4 * 768 + 5 * 768)


def test_products_of_the_lessons_table_multiply_to_their_counts() -> None:
    for name in PRESETS:
        for line in count_parameters(name).lesson:
            assert eval(line.formula.replace(",", "").replace("×", "*")) == line.count, (name, line)


def test_what_the_lesson_leaves_out_is_listed() -> None:
    assert dict(count_parameters("gpt-3").left_out) == {
        "position embeddings": 2_048 * 12_288,
        "biases": 96 * (4 * 12_288 + 5 * 12_288),
        "norms": (2 * 96 + 1) * 2 * 12_288,
        "unembedding, which is the embedding again": -617_558_016,
    }
    for name in PRESETS:
        table = count_parameters(name)
        assert table.lesson_total + sum(count for _, count in table.left_out) == table.total


def test_frame_is_the_table() -> None:
    frame = count_parameters("gpt2").frame()
    assert frame["total"].sum() == 124_439_808
    query = frame.set_index("name").loc["transformer.h.{}.attn.c_attn.weight"]
    assert (query["shape"], query["count"], query["times"]) == ("768 × 2,304", 1_769_472, 12)
    assert query["formula"] == "3 × d_model × heads × d_head = 3 × 768 × 12 × 64"
    assert frame.set_index("name").loc["lm_head.weight", "tied_to"] == "transformer.wte.weight"


def test_formulas_multiply_to_their_counts() -> None:
    for name in PRESETS:
        for row in count_parameters(name).rows:
            numbers = row.formula.split(" = ")[-1].replace(",", "").replace("×", "*")
            assert eval(numbers) == row.count, (name, row.name, row.formula)


def test_names_that_nobody_published() -> None:
    with pytest.raises(ac.UnknownModel, match="gpt2-xl"):
        count_parameters("gpt2-xxl")
    with pytest.raises(ac.UnknownModel, match="model_type"):
        count_parameters({"hidden_size": 4})
    with pytest.raises(ac.UnsupportedFamily, match="no-such-family"):
        count_parameters({"model_type": "no-such-family"})
    with pytest.raises(TypeError):
        count_parameters(42)
    for name in ("x" * 5000, "~nobody", "", "<b>x</b>", "🤗"):
        with pytest.raises(ac.UnknownModel, match="Nearest: "):
            count_parameters(name)


def test_a_model_that_is_open_can_be_counted() -> None:
    model = ac.load("tiny-translator")
    assert count_parameters(model).total == count_parameters(model.hf).total == model.n_parameters == 200_704


def test_a_folder_is_read_and_a_damaged_one_is_said(tmp_path: Any) -> None:
    (tmp_path / "config.json").write_text(json.dumps(GPT2))
    assert count_parameters(tmp_path).total == 1_650
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ac.DamagedModel, match="cannot be read"):
        count_parameters(str(tmp_path))
    (tmp_path / "config.json").write_text("[1]")
    with pytest.raises(ac.DamagedModel, match="no configuration"):
        count_parameters(str(tmp_path))


def test_counting_needs_neither_torch_nor_the_library() -> None:
    """But for families without a formula, whose tables are made of the library's own class: BLOOM's and Whisper's."""
    code = (
        "import sys, attn_core as ac; from attn_core.parameters import costs, presets, scaling; "
        "from attn_core.parameters.architectures.families import complete; "
        "built = [name for name, preset in presets.PRESETS.items() if complete(preset.config) is None]; "
        "[ac.count_parameters(name) for name in presets.PRESETS if name not in built]; "
        "print(built, [m for m in ('torch', 'transformers', 'pandas', 'streamlit') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['whisper-tiny.en', 'bloom-176b'] []"
    assert {count_parameters(name).source for name in ("bloom-176b", "whisper-tiny.en")} == {"built without memory"}


def t5_folder(folder: Path, tied: bool) -> Path:
    """A small T5 whose config.json says "tied", as the library writes it, whether or not its weights are."""
    model = library_model("T5Config", "T5ForConditionalGeneration", {**T5, "decoder_start_token_id": 0})
    model.save_pretrained(folder)
    if not tied:
        tensors = load_file(folder / "model.safetensors")
        tensors["lm_head.weight"] = tensors["shared.weight"] + 1.0
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.mark.parametrize("tied", [True, False])
def test_a_folder_has_one_total_whether_counted_or_loaded(tmp_path: Path, tied: bool) -> None:
    folder = t5_folder(tmp_path, tied)
    loaded = transformers.T5ForConditionalGeneration.from_pretrained(folder)
    learnt = sum(p.numel() for p in loaded.parameters())
    assert count_parameters(folder).total == count_parameters(loaded).total == learnt == 2_620 + (0 if tied else 19 * 6)


def test_an_unembedding_that_is_stored_twice_is_one(tmp_path: Path) -> None:
    folder = t5_folder(tmp_path, tied=True)
    tensors = load_file(folder / "model.safetensors")
    save_file(tensors | {"lm_head.weight": tensors["shared.weight"].clone()}, folder / "model.safetensors")
    assert count_parameters(folder).total == 2_620
    (folder / "model.safetensors").write_bytes(b"\xff" * 9)  # damaged: the configuration alone is counted
    assert count_parameters(folder).total == 2_620
