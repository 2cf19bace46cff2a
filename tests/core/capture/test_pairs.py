"""Two texts as one pair: the library's own call with both is the judge, whatever is done to the pass afterwards."""

from __future__ import annotations

import csv
import io
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as tf
from families import FAMILIES, word_tokenizer
from tokenizers import processors

import attn_core as ac
from attn_core.__main__ import main
from attn_core.capture.again import trace_again
from attn_core.capture.batches import traces_beside
from attn_core.capture.patched_batches import patched_rows
from attn_core.circuits.writers.inputs import before_layer_0
from attn_core.residual.input_parts import input_parts
from attn_core.text.pairs import segment_rows, segment_shares
from attn_core.views import files
from attn_core.views.view import View

A, B = "who roamed the forest?", "a fluffy blue creature <b>roamed</b>"
SMALL = {"num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24, "hidden_size": 16}


@pytest.fixture(scope="module")
def model() -> ac.Model:
    return ac.load("minilm")


@pytest.fixture(scope="module")
def pair(model: ac.Model) -> ac.Trace:
    return ac.trace(model, (A, B))


def robertas() -> tuple[Any, Any]:
    """A RoBERTa with `<s> A </s></s> B </s>` around a pair, which tells its segments by these alone."""
    tokenizer = word_tokenizer()
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] [SEP] $B [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    tokenizer.model_input_names = ["input_ids", "attention_mask"]
    torch.manual_seed(0)
    made = tf.RobertaModel(tf.RobertaConfig(**SMALL, vocab_size=99, max_position_embeddings=66, pad_token_id=0))
    return made.eval(), tokenizer


def judged(model: Any, tokenizer: Any, first: str, second: str) -> np.ndarray:
    with torch.inference_mode():
        return np.asarray(model(**tokenizer(first, second, return_tensors="pt")).last_hidden_state[0])


def test_a_pair_is_read_as_the_library_reads_it(model: ac.Model, pair: ac.Trace) -> None:
    np.testing.assert_allclose(pair.final_embedding(), judged(model.hf, model.tokenizer, A, B), atol=1e-5)
    assert pair.tokens.ids == model.tokenizer(A, B)["input_ids"]
    assert pair.tokens.types == model.tokenizer(A, B)["token_type_ids"]
    at = pair.tokens.second
    assert at == pair.tokens.types.index(1) and pair.tokens.labels[at - 1 : at + 1] == ["[SEP]", "a"]
    assert (pair.tokens.text, pair.tokens.second_text) == (A, B)
    assert pair.check().ok and not pair.tokens.doubled
    zeros = ac.trace(model, pair.tokens.ids)
    assert np.abs(zeros.final_embedding() - pair.final_embedding()).max() > 0.01  # what segments do
    by_ids = ac.trace(model, pair.tokens.as_ids)
    np.testing.assert_array_equal(by_ids.final_embedding(), pair.final_embedding())
    assert eval(by_ids.tokens.as_python()) == pair.tokens.as_ids and eval(pair.tokens.as_python()) == (A, B)


def test_robertas_pair_has_its_own_frame() -> None:
    made, tokenizer = robertas()
    model = ac.wrap(made, tokenizer)
    trace = ac.trace(model, ("the fox", "one grey fox ran"))
    np.testing.assert_allclose(
        trace.final_embedding(), judged(made, tokenizer, "the fox", "one grey fox ran"), atol=1e-5
    )
    at, special = trace.tokens.second, [i for i, is_special in enumerate(trace.tokens.special) if is_special]
    assert special == [0, 3, 4, len(trace.tokens) - 1] and at == 4  # the first closes A, the second opens B
    by_ids = ac.trace(model, trace.tokens.as_ids)
    np.testing.assert_array_equal(by_ids.final_embedding(), trace.final_embedding())


def test_words_end_where_a_segment_does(model: ac.Model, pair: ac.Trace) -> None:
    words, at = pair.tokens.words, pair.tokens.second
    assert words[at - 1] is None and words[at] == words[at - 2] + 1
    ids = model.tokenizer("unbelievably", add_special_tokens=False)["input_ids"]
    split = ac.trace(model, (ids[:1], ids[1:]))
    assert len(ids) > 1 and split.tokens.words[1] != split.tokens.words[0] and split.tokens.second == 1


@pytest.mark.parametrize("first_longer", [True, False])
def test_both_count_against_the_limit_and_the_longer_is_cut_first(model: ac.Model, first_longer: bool) -> None:
    long, short = "blue " * 30, "red fox"
    given = (long, short) if first_longer else (short, long)
    with pytest.warns(ac.TextWasCut, match="20 more"):
        cut = ac.trace(model, given, limit=15)
    sizes = [
        sum(not s for s in cut.tokens.special[part])
        for part in (slice(0, cut.tokens.second), slice(cut.tokens.second, None))
    ]
    assert len(cut.tokens) == 15 and sorted(sizes) == [2, 10] and (sizes[0] == 10) == first_longer
    assert [i for i, s in enumerate(cut.tokens.special) if s][-1] == 14
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = trace_again(model, cut, without=[(5, 1)])  # the same tokens once more are no new cut
    assert again.tokens.ids == cut.tokens.ids
    with pytest.warns(ac.TextWasCut, match="more, and 35,200 characters after them"):
        huge = ac.trace(model, ("x " * 9_000, "y " * 9_000), limit=20)
    assert len(huge.tokens.text) == len(huge.tokens.second_text) == 400 and len(huge.tokens) == 20
    with pytest.raises(ValueError, match="leaves no room"):
        ac.trace(model, (A, B), limit=4)


def test_what_is_no_pair_is_refused(model: ac.Model) -> None:
    for empty in (("", B), (A, "  "), ([], [5])):
        with pytest.raises(ac.EmptyText, match="pair"):
            ac.trace(model, empty)
    with pytest.raises(ac.HeadlightError, match="not one of each"):
        ac.trace(model, (A, [5]))
    with pytest.raises(ac.HeadlightError, match="takes no pair"):
        ac.trace(ac.load("tiny-decoder"), (A, B))
    with pytest.raises(ac.HeadlightError, match="takes no pair"):
        ac.trace(ac.wrap(FAMILIES["bert"].build(), word_tokenizer()), ("one", "fox"))  # nothing tells the two apart
    assert ac.trace(model, (101, 7592)).tokens.second is None  # two ids are one text


def test_a_typed_separator_is_remarked(model: ac.Model) -> None:
    assert ac.trace(model, ("[CLS] who", "[SEP] a fox [SEP]")).tokens.doubled == ("[CLS]", "[SEP]", "[SEP]")


@pytest.mark.parametrize("layer", [0, 3])
def test_a_changed_pair_keeps_its_segments(model: ac.Model, pair: ac.Trace, layer: int) -> None:
    without = ac.trace(model, (A, B), without=[(layer, 2)])
    again, (plain, beside) = trace_again(model, pair, without=[(layer, 2)]), traces_beside(model, (A, B), [(layer, 2)])
    np.testing.assert_allclose(again.final_embedding(), without.final_embedding(), atol=1e-6)
    np.testing.assert_allclose(beside.final_embedding(), without.final_embedding(), atol=1e-5)
    np.testing.assert_allclose(plain.final_embedding(), pair.final_embedding(), atol=1e-5)
    assert again.tokens.second == pair.tokens.second and again.changes


def test_a_patch_from_a_pair_and_patched_rows(model: ac.Model, pair: ac.Trace) -> None:
    other = "who roamed the desert?", B
    patched = ac.trace(model, (A, B), patch={ac.at.head(2, 1): ac.trace(model, other)})
    said = patched.changes.as_python()
    assert repr(other) in said
    rows = patched_rows(model, pair, [{ac.at.head(2, 1): "zero"}, {}])
    without = ac.trace(model, (A, B), without=[(2, 1)])
    np.testing.assert_allclose(rows.final[0].numpy(), without.final_embedding(), atol=1e-5)
    np.testing.assert_allclose(rows.final[1].numpy(), pair.final_embedding(), atol=1e-5)


def test_many_pairs_in_one_pass(model: ac.Model, pair: ac.Trace) -> None:
    texts = ["a fox", (A, B), ("red", "blue fox ran away")]
    for text, ours in zip(texts, ac.trace_many(model, texts), strict=True):
        alone = ac.trace(model, text)
        np.testing.assert_allclose(ours.final_embedding(), alone.final_embedding(), atol=1e-5)
        assert ours.tokens == alone.tokens and ours.check().ok


def test_a_saved_pair_is_the_same(model: ac.Model, pair: ac.Trace, tmp_path: Path) -> None:
    changed = ac.trace(model, (A, B), patch={ac.at.mlp(1): ac.trace(model, ("who roamed the desert?", B))})
    for n, trace in enumerate((pair, changed)):
        trace.save(tmp_path / f"{n}")
        opened = ac.open_trace(tmp_path / f"{n}", model)
        assert opened.tokens == trace.tokens and opened.changes == trace.changes
        again = trace_again(model, opened, without=[(0, 1)])
        np.testing.assert_allclose(
            again.final_embedding(), ac.trace(model, (A, B), without=[(0, 1)]).final_embedding(), atol=1e-6
        )


def test_e_holds_the_segment_as_a_part_of_its_own(model: ac.Model, pair: ac.Trace) -> None:
    embedding = torch.from_numpy(pair.embedding(0))
    parts = input_parts(model.hf, pair.tokens.ids, embedding, pair.tokens.types)
    table = model.hf.embeddings.token_type_embeddings.weight
    assert parts is not None and torch.equal(parts.segment, table[pair.tokens.types])
    assert input_parts(model.hf, pair.tokens.ids, embedding) is None  # all of one segment is not what it read
    names = [str(writer) for writer, _ in before_layer_0(pair.stream(), np.arange(len(pair.tokens)))]
    assert names[:3] == ["embedding", "position", "segment"]


def test_shares_are_counted_by_hand(pair: ac.Trace) -> None:
    pattern, at = pair.pattern(2, 5).astype(float), pair.tokens.second
    rows = [
        [float(sum(row[keys])) for row in pattern[own]]
        for own in (slice(0, at), slice(at, None))
        for keys in (slice(0, at), slice(at, None))
    ]
    by_hand = [sum(row) / len(row) for row in rows]
    found = pair.segment_shares(2, 5)
    np.testing.assert_allclose(found.ravel(), by_hand, atol=1e-6)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)
    with pytest.raises(ac.HeadlightError, match="no pair"):
        ac.trace("minilm", A).segment_shares(0, 0)


def test_rows_without_numbers_are_no_part_of_a_share() -> None:
    pattern = np.array([[np.nan, np.nan], [0.25, 0.75]])
    found = segment_shares(pattern, segment_rows(1, 2))
    assert np.isnan(found[0]).all() and found[1].tolist() == [0.25, 0.75]
    masked = np.array([[0.5, 0.5, np.nan], [0.5, np.nan, 0.5], [np.nan, np.nan, 1.0]])
    assert segment_shares(masked, segment_rows(2, 3)).tolist() == [[0.75, 0.25], [0.0, 1.0]]


@pytest.mark.parametrize("options", [{}, {"words": True}, {"hide_sink": True}, {"words": True, "hide_sink": True}])
def test_a_view_says_the_shares_of_what_it_shows(pair: ac.Trace, options: dict[str, bool]) -> None:
    view = View(pair, 2, 5, **options)
    asks = view.sides[0]
    at, special = pair.tokens.second, sum(pair.tokens.special[: pair.tokens.second])
    hidden = special if options.get("hide_sink") else 0
    if not options.get("words"):
        assert view.segments.row == at - hidden
    first_of_b = asks.labels[view.segments.row]
    assert first_of_b == "a" and asks.places[view.segments.row - 1][0] < at <= asks.places[view.segments.row][0]
    shown = view.pattern[: view.segments.row, : view.segments.column].sum(axis=1)
    np.testing.assert_allclose(view.segments.shares[0, 0], shown.mean(), atol=1e-6)
    assert view.segments.said in view.caption()


def test_files_of_a_pair_say_its_segments_and_shares(pair: ac.Trace) -> None:
    view = View(pair, 2, 5)
    first, *lines = csv.reader(io.StringIO(files.csv(view)))
    table = [dict(zip(first, line, strict=True)) for line in lines]
    at, n = pair.tokens.second, len(pair.tokens)
    assert [line["query_segment"] for line in table[::n]] == ["A"] * at + ["B"] * (n - at)
    assert [line["key_segment"] for line in table[:n]] == ["A"] * at + ["B"] * (n - at)
    to_b = [float(line["weight"]) for line in table if (line["query_segment"], line["key_segment"]) == ("A", "B")]
    share = float(view.segments.shares[0, 1])
    assert sum(to_b) / at == pytest.approx(share, abs=1e-6)
    said = json.loads(files.json(view))
    assert said["segment_shares"]["A→B"] == pytest.approx(share) and said["second_segment"] == {"query": at, "key": at}
    assert said["link"]["text"] == A and said["link"]["second_text"] == B
    numbers = np.load(io.BytesIO(files.npz(view)))
    assert int(numbers["second"]) == at
    np.testing.assert_allclose(numbers["segment_shares"][2, 5], view.segments.shares, atol=1e-6)
    lines_drawn = [shape for shape in files.figure(view).layout.shapes if shape.type == "line"]
    assert [shape.y0 for shape in lines_drawn] == [at - 0.5, -0.5] and lines_drawn[1].x0 == at - 0.5
    assert "second_text" not in json.loads(files.json(View(ac.trace("minilm", A))))["link"]


def test_the_lines_of_python_give_the_pair_again(pair: ac.Trace) -> None:
    names: dict[str, Any] = {}
    exec(View(pair, 2, 5).as_python().replace("Showing(view)", ""), names)
    np.testing.assert_array_equal(names["view"].pattern, pair.pattern(2, 5))


def test_the_command_line_takes_a_pair(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([A, "--second", B, "--quiet"]) == 0
    assert "query_segment" in capsys.readouterr().out.splitlines()[0]
    with pytest.raises(SystemExit):
        main([A, "--second", B, "--model", "tiny-decoder", "--quiet"])
    assert "no pair: leave out --second" in capsys.readouterr().err
