"""The page Why there?, run as a page: its sentence by the rule, its numbers against the library, links, bad input."""

from __future__ import annotations

import io
import re
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from families import FAMILIES, TARGET, TEXT, word_tokenizer
from page_driver import array, checked, figure, html, lead, load, notes, open_page, table, text

import attn_core as ac
from attn_core.circuits import explanation
from attn_core.circuits.score_parts import compared_score
from attn_core.errors import DoesNotAddUp
from attn_core.text.numbers import hundredths, signed, signed_percent
from ui import stream_links
from ui.shell import save
from ui.why_there import next_click, trail
from ui.why_there.trail import Step

STARTER = "a fluffy blue creature roamed the verdant forest"
CREATURE, FLUFFY = 4, 2
opened = partial(open_page, "why_there", every_fold=True)
DEEP = {"layer": 5, "head": 3, "query": CREATURE, "key": FLUFFY}


def address(page) -> dict[str, str]:
    return {name: said if isinstance(said, str) else said[-1] for name, said in page.query_params.items()}


WROTE = {  # how writers are named in the headline
    "embedding": "the embedding of {word}",
    "position": "the position of {word}",
    "segment": "the segment of {word}",
    "head": "what {name} wrote into {word}",
    "mlp": "what MLP {layer} wrote into {word}",
    "bias": "a bias in {word} ({name})",
    "shift": "what a norm always adds to {word} ({name})",
    "own": "the head’s own {name}",
}


def headline(trace: ac.Trace, layer: int, head: int, query: int, key: int, against: int | str | None = "mean") -> str:
    """The whole headline of a score: from the model's row of scores, and by the rule from the parts of this one."""
    labels, row = trace.tokens.labels, trace.scores(layer, head)[query].astype(float)
    zero = row[np.isfinite(row)].mean() if against == "mean" else 0.0 if against is None else row[int(against)]
    score, parts = row[key] - zero, trace.score_parts(layer, head, query, key, against)
    way = "more" if score >= 0 else "less"
    than = {
        "mean": f"{way} than the words it may look at on average",
        None: "above zero" if score >= 0 else "below zero",
    }
    start = f"Head {layer}.{head}, updating {labels[query]}, scores {labels[key]} {abs(score):.2f} "
    start += than[against] if against in than else f"{way} than {labels[int(against or 0)]}"
    found = [(part, a, b) for a, each in zip(parts.query_writers, parts.matrix, strict=True)
             for b, part in zip(parts.key_writers, each, strict=True)]  # fmt: skip
    along = sorted(found, key=lambda each: -each[0] * np.sign(score))
    (best, writer, reader), opposing = along[0], -along[-1][0] * np.sign(score)
    if best * np.sign(score) >= abs(score) / 2 and opposing < abs(best) / 2:
        said = [
            WROTE[who.kind].format(name=str(who), layer=who.layer, word=labels[at])
            for who, at in ((writer, query), (reader, key))
        ]
        return f"{start}, mostly because {said[0]} meets {said[1]}."
    three = explanation.grouped(parts).largest(3)
    named = [f"{each.query} × {each.key} ({signed(each.part)})" for each in three]
    return f"{start}; no single pair explains it. The largest are {named[0]}, {named[1]} and {named[2]}."


@pytest.fixture(scope="module")
def trace() -> ac.Trace:
    """The judge: the same sentence, traced outside the page."""
    return ac.trace(load("minilm"), STARTER)


@pytest.fixture(scope="module")
def deep():
    """Head 5.3 from creature to fluffy, of which no single pair is half."""
    return opened(**DEEP)


def test_it_opens_on_the_lessons_head_and_the_word_it_looks_at_most(trace) -> None:
    page = opened()
    row = trace.pattern(0, 3)[CREATURE].copy()
    row[[0, CREATURE, len(row) - 1]] = 0  # neither a sink nor the word itself
    assert lead(page) == headline(trace, 0, 3, CREATURE, int(row.argmax()))
    assert "✓ checked" in text(page) and "✓ the parts add up" in text(page)
    assert "No head has written yet" in text(page) and notes(page) == ""  # it is no fault of the visitor's


def test_the_sentence_names_one_pair_only_where_one_explains_the_score(trace) -> None:
    """Scores of several layers, as the page says them, against the rule."""
    said = {True: 0, False: 0}
    for layer, head, query, key in ((0, 1, 4, 2), (0, 4, 2, 3), (1, 3, 7, 2), (2, 5, 4, 2), (3, 4, 7, 3), (5, 3, 4, 2)):
        sentence = lead(open_page("why_there", layer=layer, head=head, query=query, key=key))
        assert sentence == headline(trace, layer, head, query, key)
        said["mostly because" in sentence] += 1
    assert min(said.values()) > 0


def test_one_pair_is_said_in_words(trace) -> None:
    for query in range(1, len(trace.tokens) - 1):
        pair = explanation.single_pair(trace.score_parts(0, 6, query, FLUFFY, "mean"))
        if pair and (pair.query, pair.key) == ("embedding", "embedding"):
            break
    word, sentence = trace.tokens.labels[query], lead(open_page("why_there", layer=0, head=6, query=query, key=FLUFFY))
    assert sentence == headline(trace, 0, 6, query, FLUFFY)
    assert sentence.endswith(f", mostly because the embedding of {word} meets the embedding of fluffy.")


def test_without_a_single_pair_the_largest_groups_are_said(deep, trace) -> None:
    said = headline(trace, 5, 3, CREATURE, FLUFFY)
    assert lead(deep) == said and "(+0.51)" in said and said.endswith(" (+0.191).")


def test_the_matrix_is_the_scores_by_layer_and_opens_layer_by_layer(deep, trace) -> None:
    parts = trace.score_parts(5, 3, CREATURE, FLUFFY, "mean")
    drawn = figure(deep, "writers")
    grouped = explanation.grouped(parts)
    np.testing.assert_allclose(array(drawn["data"][0]["z"]), grouped.matrix, atol=1e-9)
    assert drawn["layout"]["yaxis"]["ticktext"] == [*grouped.query_names]
    written = [note["text"] for note in drawn["layout"]["annotations"]]
    assert written == [hundredths(round(float(part), 2) or 0.0) for part in grouped.matrix.ravel()]
    assert "−0.15" in written and not {"−0.00", "-0.00"} & set(written)
    assert grouped.query_names == ("input", *(f"layer {layer}" for layer in range(5)), "own bias")
    wider = figure(opened(**DEEP, opened=2), "writers")
    names = wider["layout"]["xaxis"]["ticktext"]
    assert names[:3] == ["input", "head 0.0", "head 0.1"] and "layer 1" in names and "layer 0" not in names
    np.testing.assert_allclose(array(wider["data"][0]["z"]), explanation.grouped(parts, ["layer 0"]).matrix, atol=1e-9)


def test_the_ten_largest_pairs_are_lines_and_a_list_and_all_of_them_a_table(deep, trace) -> None:
    parts = trace.score_parts(5, 3, CREATURE, FLUFFY, "mean")
    largest = explanation.grouped(parts).largest(10)
    lines = figure(deep, "pairs")["data"]
    assert len(lines) == 10 and sum(line["line"]["color"] == "#406cae" for line in lines) == sum(
        pair.part < 0 for pair in largest
    )
    for pair in largest:
        assert f"{pair.query} × {pair.key}" in text(deep)
    assert html(deep).count('<i class="delta') == 10
    every = table(deep, "query_writer")
    assert len(every) == parts.matrix.size
    assert every["part"].sum() == pytest.approx(parts.score, abs=1e-6)


@pytest.mark.parametrize(("compared", "other", "against"), [("key", 6, 6), ("zero", "auto", None)])
def test_it_is_compared_with_another_word_or_with_nothing(trace, compared, other, against) -> None:
    page = opened(**DEEP, compared=compared, other=other)
    parts = trace.score_parts(5, 3, CREATURE, FLUFFY, against)
    np.testing.assert_allclose(array(figure(page, "writers")["data"][0]["z"]), explanation.grouped(parts).matrix)
    assert lead(page) == headline(trace, 5, 3, CREATURE, FLUFFY, against)


def test_a_writer_that_is_taken_out_has_its_score_of_one_more_pass(deep, trace) -> None:
    model, said = load("minilm"), table(deep, "really")
    parts = trace.score_parts(5, 3, CREATURE, FLUFFY, "mean")
    assert len(said) == 6 and said["adds"].abs().is_monotonic_decreasing
    kinds = set()
    for row in said.itertuples(index=False):
        kind, _, place = row[0].partition(" ")
        kinds.add(kind)
        if kind == "head":
            without = ac.trace(model, STARTER, without=[tuple(map(int, place.split(".")))])
        elif kind == "mlp":
            without = ac.trace(model, STARTER, patch={ac.at.mlp(int(place)): np.zeros((len(trace.tokens), 384))})
        else:  # which the core's tests judge by a copy of the model
            writer = parts.query_writers[parts.query_writers.index(row[0])]
            without = ac.trace(model, STARTER, **explanation.taking_out(trace, parts, writer))
        judge = without.scores(5, 3)[CREATURE].astype(float)
        assert row.really == pytest.approx(judge[FLUFFY] - judge.mean(), abs=2e-3)
        rows = [name != row[0] for name in parts.query_writers]
        columns = [name != row[0] for name in parts.key_writers]
        left = parts.matrix[rows][:, columns].sum()
        assert row[2] == pytest.approx(left, abs=2e-3) and row[1] == pytest.approx(parts.score - left, abs=2e-3)
        assert row[4] == pytest.approx(row[2] - row[3], abs=2e-3)
    assert len(kinds) > 1 and list(said["without"].str.startswith("head")).count(True) == 3
    assert compared_score(trace.stream(), 5, 3, CREATURE, FLUFFY, "mean") == parts.score
    worst = said["off by"].abs().max()
    assert f"off by at most {worst:.2f}; the score is {parts.score:.2f}" in text(deep)


def test_every_table_of_a_score_is_a_file_and_the_lines_take_a_writer_out(monkeypatch, trace) -> None:
    kept = []
    add_views = save.SaveMenu.add_views

    def seen(menu, views, *numbers):
        kept.extend(numbers)
        add_views(menu, views, *numbers)

    monkeypatch.setattr(save.SaveMenu, "add_views", seen)
    page = opened(**DEEP, menus=True)
    files = [pd.read_csv(io.StringIO(numbers.make())) for numbers in kept]
    parts, brought = trace.score_parts(5, 3, CREATURE, FLUFFY, "mean"), trace.value_parts(5, 3, CREATURE, FLUFFY)
    assert [len(file) for file in files] == [parts.matrix.size, len(brought.writers), 6]
    assert files[0]["part"].sum() == pytest.approx(parts.score, abs=1e-6)
    np.testing.assert_allclose(files[2]["really"], table(page, "really")["really"], atol=6e-4)
    (lines,) = [code.value for code in page.code if "score_parts" in code.value]
    names: dict = {}
    said = lines.splitlines()
    exec("\n".join(said[:-1]) + f"\nresult = {said[-1]}", names)
    (first,) = files[2][files[2]["without"] == str(names["writer"])].itertuples()
    assert names["result"] == pytest.approx((first.really, first[3]), abs=1e-4)


def test_before_any_head_has_written_the_vectors_of_words_and_places_are_taken_out(trace) -> None:
    said = table(opened(layer=0, head=1, query=CREATURE, key=FLUFFY), "really")
    parts = trace.score_parts(0, 1, CREATURE, FLUFFY, "mean")
    assert list(said["without"]) == [str(writer) for writer, _ in explanation.effects(parts)][:3]
    assert {"embedding", "position"} < set(said["without"]) <= {"embedding", "position", "embedding norm shift"}


def test_a_pass_without_a_head_is_looked_at_and_left_again(deep, trace) -> None:
    page = opened(**DEEP)
    button = next(b for b in page.button if b.key.startswith("without_") and "mlp" not in b.key)
    name = button.label.removeprefix("Look at it without ")
    layer, head = map(int, name.removeprefix("head ").split("."))
    checked(button.click().run())
    assert address(page)["off"] == f"{layer}.{head}"
    assert f"You look at a changed pass: without {name} (nothing in its place)." in text(page)
    changed = ac.trace(load("minilm"), STARTER, without=[(layer, head)])
    parts = changed.score_parts(5, 3, CREATURE, FLUFFY, "mean")
    np.testing.assert_allclose(array(figure(page, "writers")["data"][0]["z"]), explanation.grouped(parts).matrix)
    every = table(page, "query_writer")
    assert not every[every["query_writer"] == name]["part"].any()
    again = table(page, "really")  # those stay off, too
    first = again.iloc[0]
    assert first["frozen split"] == pytest.approx(explanation.when_taken_out(parts, first["without"]), abs=2e-3)
    lines = opened(**DEEP, off=f"{layer}.{head}", menus=True)
    (said,) = [code.value for code in lines.code if "score_parts" in code.value]
    assert f"without=[({layer}, {head})]" in said
    names: dict = {}
    exec("\n".join(said.splitlines()[:-1]) + f"\nresult = {said.splitlines()[-1]}", names)
    (row,) = again[again["without"] == str(names["writer"])].itertuples()  # in the lines they stay off, too
    assert names["result"] == pytest.approx((row.really, row[3]), abs=2e-3)
    checked(page.button(key="all_on").click().run())
    assert lead(page) == lead(deep) and "changed pass" not in text(page)


def test_a_pass_without_an_mlp_is_looked_at_and_left_again(deep, trace) -> None:
    page = opened(**DEEP, off="0.1", parts_off="mlp.3_attention.2")
    changed = ac.trace(
        load("minilm"), STARTER, without=[(0, 1)], patch={ac.at.mlp(3): "zero", ac.at.attention(2): "zero"}
    )
    parts = changed.score_parts(5, 3, CREATURE, FLUFFY, "mean")
    np.testing.assert_allclose(array(figure(page, "writers")["data"][0]["z"]), explanation.grouped(parts).matrix)
    for row in table(page, "really").itertuples(index=False):  # what is taken out comes on top of what is off already
        assert row[0] not in ("head 0.1", "mlp 3")
        frozen = explanation.when_taken_out(parts, row[0])
        assert row[2] == pytest.approx(frozen, abs=2e-3)
    further = page.button(key=next(b.key for b in page.button if b.key.startswith("without_mlp_")))
    layer = int(further.label.rpartition(" ")[2])
    checked(further.click().run())
    assert address(page)["parts_off"] == "_".join(
        sorted(f"{part}" for part in ("attention.2", "mlp.3", f"mlp.{layer}"))
    )
    assert address(page)["off"] == "0.1" and f"mlp {layer}" in text(page)
    checked(page.button(key="all_on").click().run())
    assert lead(page) == lead(deep) and "changed pass" not in text(page)


def test_a_bias_and_every_shift_of_a_norm_are_taken_out(trace) -> None:
    """Of post-norm blocks the one between attention and the MLP, too."""
    page = opened(layer=1, head=1, query=CREATURE, key=FLUFFY)
    parts = trace.score_parts(1, 1, CREATURE, FLUFFY, "mean")
    ranked = [writer for writer, _ in explanation.effects(parts) if writer.kind != "head"]
    said = [name for name in table(page, "really")["without"] if not name.startswith("head")]
    assert said == [str(writer) for writer in ranked[:3]] and "Not taken out" not in text(page)
    shown = table(page, "really").set_index("without")
    writer = next(each for each in ranked[:3] if "attention norm shift" in each)
    after = ac.trace(load("minilm"), STARTER, **explanation.taking_out(trace, parts, writer))
    judge = after.scores(1, 1)[CREATURE].astype(float)
    assert shown.loc[str(writer), "really"] == pytest.approx(judge[FLUFFY] - judge.mean(), abs=2e-3)


def test_a_split_that_does_not_add_up_is_never_drawn(monkeypatch) -> None:
    def misses(*_: object, **__: object) -> None:
        raise DoesNotAddUp("The parts of this score miss it by 3.0e-02 of its head's largest, so they are not given.")

    monkeypatch.setattr(ac.Trace, "score_parts", misses)
    page = opened(text="a small fluffy fox slept", layer=2, head=1, query=3)
    assert "miss it by 3.0e-02 of its head’s largest" in text(page).replace("'", "’")
    assert not page.get("plotly_chart") and not page.dataframe


def test_alibi_is_named_apart_from_all_writers(tmp_path) -> None:
    """A model of somebody's own whose bias falls with distance, and is most of its scores."""
    model = FAMILIES["t5"].build()
    bias = model.encoder.block[0].layer[0].SelfAttention.relative_attention_bias.weight  # [bucket, head]
    half = len(bias) // 2  # words before come first, then those behind
    with torch.no_grad():
        for distance in range(half):
            bias[distance] = bias[half + distance] = -20.0 * distance
    model.save_pretrained(tmp_path)
    word_tokenizer().save_pretrained(tmp_path)
    said = {"text": TEXT, "target": TARGET, "stream": "encoder", "layer": 1, "query": 7, "key": 6}
    page = opened(model=str(tmp_path), **said)
    read = ac.trace(ac.load(tmp_path), TEXT, target=TARGET).stream("encoder")
    row, key = read.scores(1, 3)[7].astype(float), read.tokens.labels[6]
    scores = f"Head 1.3, updating the (7), scores {key} {row[6] - row.mean():.2f} more than the words it may look at"
    assert lead(page) == f"{scores} on average, mostly because of its position bias."
    every = table(page, "query_writer").set_index("query_writer")
    assert np.isnan(every.loc["position bias", "key_writer"]) and every.loc["position bias", "part"] > 20
    assert "position bias" in text(page)


@pytest.mark.parametrize("parts", ["mlp", "mlp.x", "head.2", "mlp.1.2", "mlp.99999"])
def test_parts_that_are_none_are_left_on(deep, parts) -> None:
    page = opened(**DEEP, parts_off=parts)
    assert "it must be parts like mlp.2_attention.0" in notes(page) and lead(page) == lead(deep)


@pytest.mark.parametrize(("off", "note"), [("nonsense", "it must be heads like 0.3_1.2"), ("77.0", "")])
def test_heads_that_are_none_are_left_on(deep, off, note) -> None:
    page = opened(**DEEP, off=off)
    assert lead(page) == lead(deep) and (note in notes(page))


def test_a_click_on_a_writer_opens_its_own_score_with_the_share_that_is_left(deep, trace) -> None:
    page = opened(**DEEP)
    button = next(b for b in page.button if b.key.startswith("open_"))
    found = re.fullmatch(r"head (\d+)\.(\d+) in (\w+): (.*), mostly from (\S+)", button.label)
    layer, head, word, share, source = found.groups()
    checked(button.click().run())
    token = CREATURE if word == "creature" else FLUFFY
    side = "query" if word == "creature" else "key"
    key = trace.tokens.labels.index(source)
    assert lead(page) == headline(trace, int(layer), int(head), token, key)
    parts = trace.score_parts(5, 3, CREATURE, FLUFFY, "mean")
    writer = parts.query_writers[parts.query_writers.index(f"head {layer}.{head}")]
    taken = explanation.sources_of_writer(trace, parts, side, writer)
    assert share == f"{100 * taken.sum() / parts.score:.0f} %"
    left = f"{100 * taken[key] / parts.score:.0f} % of the first score is left here"
    assert "You came from head 5.3, creature → fluffy." in text(page) and left in text(page)
    shares = next(frame.value["share %"] for frame in page.dataframe if "share %" in frame.value)
    assert address(page)["trail"] == f"self.5.3.4.2.{side[0]}"
    values = trace.value_parts(int(layer), int(head), token, key)
    assert len(shares) <= len(values.writers)
    again = opened(**address(page))
    assert left in text(again)  # the link is the state
    checked(page.button(key="trail_back").click().run())
    assert lead(page) == lead(deep) and "You came from" not in text(page)


def test_shares_of_what_was_brought_sum_to_the_share_that_is_left(trace) -> None:
    here, way = Step("self", 2, 8, FLUFFY, CREATURE, "q"), (Step("self", 5, 3, CREATURE, FLUFFY, "k"),)
    page = opened(layer=2, head=8, query=FLUFFY, key=CREATURE, trail=trail.show(way))
    whole = next(frame.value for frame in page.dataframe if "share %" in frame.value and len(frame.value) > 8)
    parts = trace.score_parts(5, 3, CREATURE, FLUFFY, "mean")
    left = trail.share_left(way, here, partial(trail.step_share, trace, parts))
    assert whole["share %"].sum() == pytest.approx(100 * left, abs=1e-3)


def test_a_click_splits_one_score_more_and_not_the_way_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left of the first score and what the click brought read the parts that there are."""
    split: list[object] = []
    honest = ac.Trace.score_parts
    monkeypatch.setattr(ac.Trace, "score_parts", lambda *a, **k: (split.append(a), honest(*a, **k))[1])
    page = opened(**DEEP, text="a fluffy blue creature slept in a forest")
    checked(next(b for b in page.button if b.key.startswith("open_")).click().run())
    assert "of the first score is left here" in text(page) and len(split) == 2


@pytest.mark.parametrize(
    "said", ["nonsense", "self.1.2.3", "self.1.2.3.4.x", "_".join(["self.1.2.3.4.q"] * 9), "a.1.1.1.1.q"]
)
def test_a_way_that_is_no_way_is_left_aside_with_a_note(said) -> None:
    page = opened(**DEEP, trail=said)
    assert "trail=" in notes(page) and "cannot be shown" in notes(page)


def test_a_way_that_does_not_lead_here_is_left_aside(deep) -> None:
    for said in ("self.5.3.9.2.q", "self.77.3.4.2.q", "cross.5.3.4.2.q", "self.0.0.4.2.q"):
        page = opened(**DEEP, trail=said)
        assert "does not fit this sentence or model" in notes(page) and lead(page) == lead(deep)


@pytest.mark.parametrize("stream", ["encoder", "decoder", "cross"])
def test_a_translators_streams_have_their_scores(stream) -> None:
    page = opened(model="tiny-translator", text="the creature sees a horse", stream=stream, layer=1)
    names = set(table(page, "query_writer")["query_writer"])
    assert ("encoder head 0.1" if stream == "encoder" else "decoder head 0.1") in names
    assert ("cross head 0.1" in names) == (stream != "encoder")
    button = next(b for b in page.button if b.key.startswith("open_"))
    checked(button.click().run())
    assert "You came from head 1." in text(page) and "does not fit" not in notes(page)


def test_a_causal_models_first_word_has_nothing_to_explain() -> None:
    page = opened(model="tiny-decoder", query=0, layer=1)
    first = load("tiny-decoder").read(STARTER).labels[0]
    scores = f"scores {first} 0.00 more than the words it may look at on average"
    assert lead(page) == f"Head 1.3, updating {first}, {scores}: there is nothing to explain."


def test_what_was_typed_is_text_on_buttons_too() -> None:
    page = opened(model="tiny-decoder", text="a **fluffy** :smile: creature", layer=1, head=0, query=4)
    labels = [b.label for b in page.button if b.key.startswith("open_")]
    assert labels and all("<bos>" not in label for label in labels)
    assert any(r"\<bos\>" in label for label in labels) and any(r"\*" in label for label in labels)


def test_what_was_typed_is_text() -> None:
    page = opened(text="a <b>bold</b> & `fluffy` $x$ creature", layer=1, query=3, key=2)
    assert "<b>bold" not in html(page) and "<b" not in re.sub(r"<b>[^<]{0,40}</b>", "", html(page))


def test_every_opened_head_leads_here() -> None:
    for name, more in (("all_heads", {}), ("delta_e", {}), ("find_heads", {"find": "kinds"}), ("step_by_step", {})):
        page = open_page(name, **more)
        said = [*(link.proto.label for link in page.get("page_link")), text(page)]
        assert any(re.search("[Ww]hy it looks there|Why there", each) for each in said), name


def test_a_page_splits_its_score_once_whatever_many_heads_it_offers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The heads' shares come from the same split as the picture; the next run has it kept."""
    split, asked = ac.Trace.score_parts, []
    monkeypatch.setattr(ac.Trace, "score_parts", lambda *args, **named: asked.append(args[1:]) or split(*args, **named))
    page = open_page("why_there", text="a fox saw the hill by the river", layer=4, head=2, query=3)
    assert len(asked) == 1
    checked(page.run())
    assert len(asked) == 1


def test_compared_with_nothing_the_way_is_too(trace) -> None:
    here, way = Step("self", 2, 8, FLUFFY, CREATURE, "q"), (Step("self", 5, 3, CREATURE, FLUFFY, "k"),)
    page = opened(layer=2, head=8, query=FLUFFY, key=CREATURE, trail=trail.show(way), compared="zero")
    share = partial(trail.step_share, trace, trace.score_parts(5, 3, CREATURE, FLUFFY, None))
    whole = next(frame.value for frame in page.dataframe if "share %" in frame.value and len(frame.value) > 8)
    assert whole["share %"].sum() == pytest.approx(100 * trail.share_left(way, here, share), abs=1e-3)


def test_a_longer_way_says_what_was_left_at_each_step_and_leads_back_to_its_start(trace) -> None:
    first, second = Step("self", 5, 3, CREATURE, FLUFFY, "k"), Step("self", 2, 8, FLUFFY, CREATURE, "k")
    parts = trace.score_parts(2, 8, FLUFFY, CREATURE, "mean")
    writer = next(w for w in parts.key_writers if w.kind == "head")
    page = opened(layer=writer.layer, head=writer.head, query=CREATURE, key=FLUFFY, trail=trail.show((first, second)))
    share = partial(trail.step_share, trace, trace.score_parts(5, 3, CREATURE, FLUFFY, "mean"))
    left = share(first, second)
    said = f"head 2.8, fluffy → creature ({signed_percent(left)} left)"
    assert f"You came from head 5.3, creature → fluffy › {said}." in text(page)
    checked(page.button(key="trail_start").click().run())
    assert lead(page) == headline(trace, 5, 3, CREATURE, FLUFFY) and address(page)["trail"] == ""


def test_a_way_keeps_its_last_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(next_click, "MOST_STEPS", 1)
    page = opened(layer=2, head=8, query=FLUFFY, key=CREATURE, trail="self.5.3.4.2.k")
    checked(next(b for b in page.button if b.key.startswith("open_")).click().run())
    assert re.fullmatch(r"self\.2\.8\.2\.4\.[qk]", address(page)["trail"])


def test_links_to_other_pages_take_the_word_along_that_the_page_chose(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[tuple[str, tuple[tuple[str, str], ...], dict[str, int]]] = []
    monkeypatch.setattr(stream_links, "go", lambda page, label, *chosen, **where: said.append((page, chosen, where)))
    page = open_page("why_there", text="one mole of carbon dioxide", layer=1)
    chosen = re.search(r"updating ([^,]+),", lead(page))[1]
    at = load("minilm").read("one mole of carbon dioxide").labels.index(chosen)
    where = {"layer": 1, "head": 3, "query": at}
    others = [(page, (), where) for page in ("all_heads", "step_by_step", "delta_e")]
    assert said == [*others, ("why_there", (("why", "card"),), {"layer": 1, "head": 3})]
