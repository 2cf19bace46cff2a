"""Models of which something cannot be known, opened from a folder: a page says so, and none breaks."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
import transformers as tf
from families import FAMILIES, TARGET, TEXT, word_tokenizer
from page_driver import ROOT, checked, everything, html, lead, open_page, text
from streamlit.testing.v1 import AppTest

from ui.step_by_step.strip import LAST

SMALL = {"vocab_size": 99, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}


def gated() -> tf.PreTrainedModel:
    """Each number of the stream is scaled before something is added to it, so E is not found."""
    config = tf.AutoConfig.for_model("doge", **SMALL, num_key_value_heads=2)
    model = tf.AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for layer in model.model.layers:
            layer.input_residual.uniform_(0.5, 1.5)
    return model


def uneven() -> tf.PreTrainedModel:
    """An encoder of two heads and a decoder of four."""
    config = FAMILIES["bart"].config()
    config.encoder_attention_heads = 2
    return tf.BartForConditionalGeneration(config)


def listener() -> tf.PreTrainedModel:
    """A model that reads no text at all."""
    config = FAMILIES["bart"].config().to_dict()
    keep = {k: v for k, v in config.items() if k.startswith(("encoder_", "decoder_")) or k in ("vocab_size", "d_model")}
    return tf.WhisperForConditionalGeneration(
        tf.WhisperConfig(**keep, max_source_positions=20, num_mel_bins=8, max_target_positions=32, pad_token_id=0)
    )


def spoiled() -> tf.PreTrainedModel:
    """The embedding of one word is not a number; the words before it are well."""
    model = tf.GPT2LMHeadModel(FAMILIES["gpt2"].config())
    with torch.no_grad():
        model.transformer.wte.weight[word_tokenizer()(TEXT)["input_ids"][4]] = torch.nan
    return model


def sinking() -> tf.PreTrainedModel:
    """Its heads have learnt a score for looking at no word, so a row has one weight more than there are words."""
    sizes = {**SMALL, "num_key_value_heads": 2, "head_dim": 8, "sliding_window": 6}
    model = tf.GptOssForCausalLM(tf.GptOssConfig(**sizes, num_local_experts=2, num_experts_per_tok=1))
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.sinks.copy_(torch.tensor([1.0, 2.0, 3.0, 4.0]))
    return model


@pytest.fixture(scope="module", params=[gated, uneven, listener, spoiled, sinking], ids=lambda build: build.__name__)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    where = tmp_path_factory.mktemp(request.param.__name__)
    request.param().save_pretrained(where)
    word_tokenizer().save_pretrained(where)
    return where


@pytest.mark.parametrize(
    "page_name",
    [
        "app.py",
        *(
            f"pages/{name}.py"
            for name in (
                "step_by_step",
                "delta_e",
                "why_there",
                "patching",
                "compare_heads",
                "find_heads",
                "study",
                "parameters",
            )
        ),
    ],
)
def test_no_page_breaks(folder: Path, page_name: str) -> None:
    page = AppTest.from_file(str(ROOT / page_name), default_timeout=300)
    page.query_params["model"], page.query_params["text"] = str(folder), TEXT
    page.query_params["target"] = TARGET if "uneven" in str(folder) else ""
    said = html(checked(page.run()))
    assert "Something went wrong" not in said
    if "listener" in str(folder) and page_name != "app.py":
        assert "listens to speech" in said
    if "uneven" in str(folder) and page_name == "app.py":
        assert "it has two stacks: Translate and transcribe opens it, with translator= in the link" in said
    if "spoiled" in str(folder) and page_name in ("app.py", "pages/delta_e.py"):
        assert "✕ not a number" in said and "✓ checked" not in said
    if "sinking" in str(folder) and page_name == "app.py":
        where = {"app.py": "on [CLS] [SEP] no word", "pages/why_there.py": "✓ the parts add up"}
        assert where[page_name] in said
    if "gated" in str(folder) and page_name == "app.py":
        assert "; residual not compared" in said


@pytest.mark.parametrize("folder", [sinking], indirect=True, ids=["sinking"])
def test_why_there_reads_a_model_that_has_learnt_to_look_at_no_word(folder: Path) -> None:
    """“No word” may be chosen, its score is what the head has learnt, it brings nothing, and no flow comes from it."""
    asked = {"model": str(folder), "text": TEXT, "layer": 1, "query": 5}
    page = open_page("why_there", **asked, key=25, compared="zero")
    assert page.selectbox[2].options[-1] == "no word (25)"
    found = re.sub(r"\s+", " ", lead(page))
    assert found == (
        "Head 1.3, updating far, scores no word 4.00 above zero, mostly because of the score that it has learnt for "
        "looking at no word."
    )
    brought = next(table.value for table in page.dataframe if "along" in table.value)
    assert brought.to_numpy().tolist() == [["no word", 0.0, 0.0]]
    page = open_page("why_there", **asked, key=3)
    assert "no word" in text(page) and "✓ the parts add up" in text(page)
    page = open_page("why_there", **asked, why="flow")
    assert lead(page).startswith("The final vector of far came ")
    assert "from [CLS] [SEP], often just a resting place" in text(page) and "no word" not in everything(page)


def test_step_by_step_opens_a_model_whose_values_read_something_else_than_its_keys(tmp_path: Path) -> None:
    """MobileBERT: keys read a bottleneck, values the whole stream. The page's own steps agree with the model."""
    sizes = SMALL | {"hidden_size": 64, "embedding_size": 32, "intra_bottleneck_size": 64}
    model = tf.MobileBertModel(tf.MobileBertConfig(**sizes))
    model.save_pretrained(tmp_path)
    word_tokenizer().save_pretrained(tmp_path)
    page = open_page("step_by_step", model=str(tmp_path), text=TEXT, layer=1, head=2, step=LAST)
    assert re.search(r"✓ the steps: \S+ × 10⁻[⁶-⁸] from what the model gave", text(page))


@pytest.mark.parametrize("name", ["num_hidden_layers", "hidden_size"])
@pytest.mark.parametrize("page_name", ["app.py", "pages/parameters.py", "pages/compare_heads.py"])
def test_a_folder_that_asks_for_a_forged_size_gets_one_sentence_and_nothing_is_built(
    tmp_path: Path, page_name: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tf.BertConfig(**SMALL).to_dict() | {"model_type": "bert", name: 100_000_000}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "model.safetensors").write_bytes(bytes(8))
    word_tokenizer().save_pretrained(tmp_path)
    page = AppTest.from_file(str(ROOT / page_name), default_timeout=120)
    page.query_params.update({"v": "1", "model": str(tmp_path), "text": TEXT})
    built: list[object] = []
    monkeypatch.setattr(tf.BertModel, "__init__", lambda *what, **_: built.append(what))
    checked(page.run())
    assert f"asks for {name} = 100,000,000; no model that is known has more" in html(page)
    assert built == []


def test_a_link_reaches_every_head_of_the_larger_stack(tmp_path: Path) -> None:
    uneven().save_pretrained(tmp_path)
    word_tokenizer().save_pretrained(tmp_path)
    page = AppTest.from_file(str(ROOT / "pages/step_by_step.py"), default_timeout=300)
    asked = {"model": str(tmp_path), "text": TEXT, "target": TARGET, "stream": "decoder", "layer": "1", "head": "3"}
    for name, value in asked.items():
        page.query_params[name] = value
    said = html(checked(page.run()))
    assert "head 1.3" in said and "head=3" not in said  # a value that does not fit would be named in a note
