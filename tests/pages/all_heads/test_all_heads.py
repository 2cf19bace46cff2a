"""All heads, run as a page: what it says and draws, what a link restores, and what it does with bad input."""

import re
import subprocess
import sys
from functools import partial
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from page_driver import ROOT, checked, html, lead, load, open_page, packets, text
from streamlit.testing.v1 import AppTest

import attn_core as ac
from attn_core.figures.canvas.packet import unpack
from attn_core.heads import ablation
from attn_core.heads.summary import summarise_head
from attn_core.settings import settings
from attn_core.text.numbers import percent
from attn_core.views import recorded
from attn_core.views.arrangement import arrange
from attn_core.views.view import View
from ui.all_heads import overview
from ui.all_heads.packets import every_pattern
from ui.drawing import markup
from ui.drawing.canvas import Opened
from ui.server import loading, shared
from ui.shell import inputs

STARTER = "a fluffy blue creature roamed the verdant forest"
opened = partial(open_page, "all_heads")


@pytest.fixture(scope="module")
def model() -> ac.Model:
    """The bundled model, loaded where the page looks for it too."""
    return load("minilm")


@pytest.fixture(scope="module")
def trace(model: ac.Model) -> ac.Trace:
    return ac.trace(model, STARTER)


def cells(page: AppTest) -> np.ndarray:
    """The opened head's numbers, turned as the picture is."""
    header, numbers = packets(page)["heatmap"]
    return numbers.T if header["turned"] else numbers


# --- The first screen -------------------------------------------------------------------------------------------------


def test_the_first_picture_comes_before_large_libraries_are_imported() -> None:
    script = f"""
import sys
from functools import partial
from streamlit.testing.v1 import AppTest
from ui.server import loading
asked = []
loading._load = lambda state, job: asked.append(job.name)  # the model's own thread, which imports torch when it can
page = AppTest.from_file({str(ROOT / "app.py")!r}, default_timeout=300).run()
assert not page.exception, page.exception
assert any(">recorded<" in block.proto.body for block in page.get("html"))
pictures = [e.proto.bytes for e in page.get("bidi_component") if len(e.proto.bytes) > 8]
assert not page.get("plotly_chart") and len(pictures) == 3  # all heads, the opened one, its links
page.button(key="head_on").click().run()
assert page.session_state["head"] == 4 and not page.exception
large = ("torch", "transformers", "pandas", "pyarrow", "scipy", "httpx2")
print(asked, [name for name in large if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.strip().splitlines()[-1] == "['minilm'] []"


def test_the_recording_is_the_live_models_result(model: ac.Model, trace: ac.Trace) -> None:
    stored = recorded.load()
    assert stored.tokens == trace.tokens
    assert (stored.model_name, stored.kind, stored.n_layers, stored.n_heads) == ("minilm", "encoder", 6, 12)
    run = ablation.runner(model, trace)
    for layer in range(6):
        np.testing.assert_allclose(stored.patterns(layer), trace.patterns(layer), rtol=1e-3, atol=1e-9)
        assert np.array_equal(stored.may_look(layer), trace.may_look(layer))
        np.testing.assert_allclose(stored.delta_e_sizes(layer), trace.delta_e_sizes(layer), rtol=1e-4)
    for layer, head, query in ((0, 3, 4), (2, 7, 0), (5, 11, 12)):
        turn = ablation.effect(trace.stream(), run(without=[(layer, head)]).stream(), query).value
        assert stored.turns[layer, head, query] == pytest.approx(turn, rel=1e-3)
        live = summarise_head(trace.stream(), run, layer, head, query)
        assert recorded.summarise_head(stored, layer, head, query).parts() == live.parts()


@pytest.mark.parametrize("layer", range(6))
def test_with_specials_hidden_the_recording_shares_out_the_same_rows(trace: ac.Trace, layer: int) -> None:
    """Rows that leave their words 10⁻⁶ of the weight, rounded to nothing, looked masked until the model was there."""
    stored, live = (View(each, hide_sink=True).patterns(layer) for each in (recorded.load(), trace))
    np.testing.assert_allclose(stored, live, atol=1e-4)


def test_the_badge_turns_from_recorded_to_live(model: ac.Model) -> None:
    page = opened()
    assert ">live<" in html(page) and ">recorded<" not in html(page)
    assert "checked" in text(page)


def test_another_sentence_is_never_shown_as_the_recording(model: ac.Model) -> None:
    page = opened(text="the keys to the cabinet are on the table", layer=0, head=3)
    assert ">recorded<" not in html(page)
    assert "creature" not in text(page)
    assert cells(page).shape == (11, 11)


def test_without_its_model_another_sentence_shows_a_reason_and_never_the_recording(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job = shared.Job("minilm", error=ac.HeadlightError("The weights are away today."))
    job.done.set()
    monkeypatch.setattr(loading, "model", lambda name: None)
    monkeypatch.setattr(loading, "open_model", lambda name: job)
    page = opened(text="the keys to the cabinet are on the table")
    assert "The weights are away today." in text(page)
    assert ">recorded<" not in html(page) and "creature" not in text(page) and not packets(page)


# --- What it says and draws -------------------------------------------------------------------------------------------


def test_the_lead_names_what_the_head_looks_at(model: ac.Model, trace: ac.Trace) -> None:
    page = opened()
    row = trace.pattern(0, 3)[4]
    said = f"fluffy ({row[2]:.0%}) and blue ({row[3]:.0%}), besides itself ({row[4]:.0%})".replace("%", " %")
    assert lead(page) == f"To update creature, head 0.3 looks at {said}."
    assert "To update creature (4), head 0.3 looks at itself 19 %, fluffy (2) 19 %, blue (3) 13 %" in text(page)
    assert "13 of 512 tokens" in text(page)


def test_the_lead_changes_with_the_head(model: ac.Model) -> None:
    trace = ac.trace(model, STARTER)
    blue = percent(float(trace.pattern(0, 2)[4, 3]))
    back = "Head 0.2 looks one token back, almost always. To update creature, head 0.2 looks at blue"
    assert lead(opened(head=2)) == f"{back} ({blue})."
    resting, row = opened(layer=1, head=11, query=4), trace.pattern(1, 11)[4]
    sink, fluffy = percent(float(row[[0, -1]].sum())), percent(float(row[2]))
    rests = f"To update creature, head 1.11 rests on [CLS] and [SEP] ({sink}); next comes fluffy ({fluffy})."
    assert lead(resting) == rests
    assert "A head that has nothing to add rests there." in text(resting)
    assert "rests there" not in text(opened(layer=0, head=3, query=4))


def test_the_heatmap_holds_the_exact_numbers(model: ac.Model, trace: ac.Trace) -> None:
    assert np.array_equal(cells(opened(layer=4, head=9)), trace.pattern(4, 9))


def test_the_orientation_turns_the_picture_and_the_sentence_and_no_number(model: ac.Model, trace: ac.Trace) -> None:
    page = opened(queries="columns")
    assert np.array_equal(cells(page), trace.pattern(0, 3).T)
    assert lead(page) == "In head 0.3, fluffy (19 %) and blue (13 %) attend to creature."
    assert "The numbers are the same" in packets(page)["heatmap"][0]["explains"]


@pytest.mark.parametrize(
    ("mean", "name"), [("heads", "mean of layer 2's heads"), ("layers", "mean of head 5"), ("all", "mean of all heads")]
)
def test_a_mean_is_the_mean_and_is_called_one(model: ac.Model, trace: ac.Trace, mean: str, name: str) -> None:
    every = np.stack([trace.patterns(layer) for layer in range(6)])
    wanted = {"heads": every[2].mean(0), "layers": every[:, 5].mean(0), "all": every.mean((0, 1))}[mean]
    page = opened(mean=mean, layer=2, head=5)
    np.testing.assert_allclose(cells(page), wanted, atol=1e-6)
    asks = page.session_state["query"] or 4
    row = wanted[asks]
    word = max((i for i in range(1, len(row) - 1) if i != asks), key=lambda i: row[i])
    sink, most = percent(float(row[[0, -1]].sum())), percent(float(row[word]))
    who = f"the {name} over all layers" if mean == "layers" else f"the {name}"
    next_one = f"next comes {trace.tokens.labels[word]} ({most})"
    assert lead(page) == f"To update creature, {who} rests on [CLS] and [SEP] ({sink}); {next_one}."
    assert "[CLS] [SEP]" in text(page)  # the sink's share is said for means too


def test_hidden_specials_are_renormalised_and_it_says_so(model: ac.Model, trace: ac.Trace) -> None:
    page = opened(specials="hide")
    pattern = trace.pattern(0, 3)[1:-1, 1:-1]
    np.testing.assert_allclose(cells(page), pattern / pattern.sum(-1, keepdims=True), atol=1e-6)
    assert "[CLS] [SEP] hidden, the rest renormalised" in packets(page)["heatmap"][0]["explains"]
    assert "creature (4)" in text(page)  # positions stay those of the sentence
    rows = packets(page)["heatmap"][0]["rows"]
    assert rows["positions"][rows["texts"].index("creature")] == 4 and rows["name"] == "query"
    assert "8.5 %on [CLS] [SEP]" in text(page)  # the share that was hidden is still said


def test_words_sum_over_keys_and_average_over_queries(model: ac.Model, trace: ac.Trace) -> None:
    page = opened(unit="words")
    pattern = trace.pattern(0, 3)
    assert cells(page).shape == (10, 10)  # roam ##ed and ve ##rdan ##t are one word each
    np.testing.assert_allclose(cells(page)[4, 5], pattern[4, 5] + pattern[4, 6], atol=1e-6)
    np.testing.assert_allclose(cells(page)[5, 4], (pattern[5, 4] + pattern[6, 4]) / 2, atol=1e-6)
    np.testing.assert_allclose(cells(page).sum(-1), 1, atol=1e-5)
    assert "roamed" in text(page)


def test_the_scale_changes_colours_and_no_number(model: ac.Model) -> None:
    root, linear = opened(scale="sqrt"), opened(scale="linear")
    assert np.array_equal(cells(root), cells(linear))
    assert [packets(page)["heatmap"][0]["scale"] for page in (root, linear)] == ["sqrt", "linear"]


def test_the_table_holds_the_chosen_row_strongest_first(model: ac.Model, trace: ac.Trace) -> None:
    frame = opened(face="table", layer=3, head=1, query=7).dataframe[0].value
    row = trace.pattern(3, 1)[7]
    np.testing.assert_allclose(frame["weight"], np.sort(row)[::-1], atol=1e-7)
    assert list(frame["position"]) == list(np.argsort(-row, kind="stable"))
    assert list(frame["key"]) == [trace.tokens.labels[i] for i in frame["position"]]


def test_opening_a_head_keeps_the_word_that_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    session = {"layer": 0, "head": 3, "mean": "heads", "query": 4, "key": 2}
    monkeypatch.setattr(overview.st, "session_state", session)
    overview._open(Opened(layer=2, head=5, query=7, key=1))
    assert session == {"layer": 2, "head": 5, "mean": "one", "query": 4, "key": 2}


# --- Steps, links -----------------------------------------------------------------------------------------------------


def test_layer_and_head_step_by_button_around_the_end_and_the_link_follows(model: ac.Model) -> None:
    page = opened(layer=5, head=11)
    checked(page.button(key="head_on").click().run())
    checked(page.button(key="layer_on").click().run())
    assert (page.session_state["layer"], page.session_state["head"]) == (0, 0)
    checked(page.button(key="head_back").click().run())
    assert page.query_params["head"] in ("11", ["11"]) and page.query_params["v"] in ("1", ["1"])


def test_a_new_sentence_lets_the_page_choose_a_word(model: ac.Model) -> None:
    page = opened(query=9)
    checked(page.text_area(key="text").input("one mole of carbon dioxide").run())
    assert page.session_state["query"] is None
    checked(page.button(key="example_2").click().run())
    assert page.text_area(key="text").value == "the keys to the cabinet are on the table"
    assert "cabinet" in text(page)


def test_a_link_restores_everything_without_a_note(model: ac.Model) -> None:
    said: dict[str, object] = {
        "v": 1, "model": "minilm", "text": "one mole of CO2", "layer": 5, "head": 0, "query": 2, "mean": "heads",
        "specials": "hide", "unit": "words", "scale": "linear", "queries": "columns", "face": "table", "tiles": "delta",
    }  # fmt: skip
    page = opened(**said)
    assert "hl-note" not in re.sub(r"<style.*?</style>", "", html(page), flags=re.S)
    assert {name: str(page.session_state[name]) for name in said if name != "v"} == {
        name: str(value) for name, value in said.items() if name != "v"
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [("layer", "6"), ("head", "12"), ("head", "x"), ("query", "-3"), ("mean", "none"), ("tiles", "<b>"), ("v", "2")],
)
def test_a_wrong_part_of_a_link_is_named_and_the_page_goes_on(model: ac.Model, name: str, value: str) -> None:
    page = opened(**{name: value})
    assert f"{name}={value}" in text(page)
    assert lead(page)


# --- Bad input --------------------------------------------------------------------------------------------------------

TYPED = {
    "one token": "hi",
    "very long": "word " * 20_000,
    "emoji": "🤗 👩‍👩‍👧 😀",
    "right to left": "שלום עולם مرحبا",
    "zero width": "a\u200bb \u202edrow\u202c",
    "html": "<b>bold</b> <img src=x onerror=alert(1)>",
    "javascript": "<script>alert(1)</script> javascript:alert(1)",
    "markdown": "# head **bold** [a](http://b) ![i](https://c/d.png) :red[x] `code`",
    "latex": "$x^2$ \\frac{1}{2} $$y$$",
    "null": "a\x00b",
}


def test_a_word_is_never_markup() -> None:
    typed = "<b onclick='x'>&amp;</b>"
    made = [
        markup.say([(typed, "key"), (typed, "")]),
        markup.query(typed),
        markup.key(typed),
        markup.tok(typed, "v"),
    ]
    made.append(markup.badge(typed, why=typed))
    for said in made:
        assert "<b" not in said and "onclick='" not in said
        assert typed in unescape(said)


@pytest.mark.parametrize("what", TYPED)
def test_whatever_is_typed_is_read_as_text_and_stays_typed(model: ac.Model, what: str) -> None:
    page = checked(opened().text_area(key="text").input(TYPED[what]).run())
    assert page.text_area(key="text").value == TYPED[what]
    assert lead(page)
    ours = re.sub(r"<style.*?</style>|<nav.*?</nav>|<img[^<>]* src=\"data:image/[^<>]*>", "", html(page), flags=re.S)
    assert set(re.findall(r"<(\w+)", ours)) <= {"div", "span", "h1", "h2", "b", "i", "strong", "details", "summary"}
    assert not page.markdown or all(TYPED[what] not in block.value for block in page.markdown)


def test_a_text_beyond_the_limit_is_cut_visibly(model: ac.Model) -> None:
    page = checked(opened().text_area(key="text").input("word " * 600).run())
    assert "Cut after 512 tokens, which is the limit: 90 more are not shown." in text(page)
    assert cells(page).shape == (512, 512)


@pytest.mark.parametrize("nothing", ["", "   ", "\t"])
def test_nothing_typed_gives_one_sentence_and_the_page_stays_usable(model: ac.Model, nothing: str) -> None:
    page = checked(opened().text_area(key="text").input(nothing).run())
    assert 'role="alert"' in html(page)
    assert "Type a sentence" in text(page)
    checked(page.text_area(key="text").input("better now").run())
    assert 'role="alert"' not in html(page) and lead(page)


def test_an_unknown_model_is_named_with_the_nearest_and_the_page_goes_on(model: ac.Model) -> None:
    page = opened(model="minilmm")
    assert "minilmm" in text(page) and "Near it: minilm" in text(page)
    assert lead(page)


def test_a_folder_that_is_no_model_and_a_damaged_file_give_one_sentence(model: ac.Model, tmp_path: Path) -> None:
    page = opened(model=tmp_path)
    assert "cannot be shown" in text(page) and "You see model minilm instead" in text(page) and lead(page)
    (tmp_path / "config.json").write_text('{"model_type": "bert", "num_hidden_layers": 2, "num_attention_heads": 2}')
    (tmp_path / "model.safetensors").write_bytes(b"cut")
    page = opened(model=tmp_path, text="kept as typed")
    assert html(page).count('role="alert"') == 1
    assert page.text_area(key="text").value == "kept as typed"


def test_a_model_that_needs_the_hub_says_so_without_one(model: ac.Model) -> None:
    page = opened(model="gpt2", text="kept as typed")
    assert "hub" in text(page) and 'role="alert"' in html(page)
    assert page.text_area(key="text").value == "kept as typed"


def test_too_many_visitors_get_a_sentence_and_a_button(model: ac.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared.STATE, "longest_wait", 0.05)
    passes = shared.STATE.passes
    for _ in range(settings().passes):
        passes.acquire()
    try:
        page = opened(text="nobody typed this before me")
    finally:
        for _ in range(settings().passes):
            passes.release()
    assert "please try again" in text(page)
    checked(page.button(key="try_again").click().run())
    assert lead(page)


def test_the_overview_computes_every_layer_once_and_says_how_much_rests_on_the_sink(trace: ac.Trace) -> None:
    read: list[int] = []

    class Counting:
        def __getattr__(self, name: str) -> object:
            return getattr(trace, name)

        def patterns(self, layer: int) -> np.ndarray:
            read.append(layer)
            return trace.patterns(layer)

    header, _ = unpack(every_pattern(Counting(), arrange(trace.tokens, causal=False)))
    assert read == list(range(6))
    on_sink = trace.patterns(0)[3][:, [0, -1]].sum(axis=-1).mean()  # [CLS] and [SEP]
    assert header["notes"][0][3] == f"{100 * on_sink:.0f} % on [CLS] [SEP]" == "17 % on [CLS] [SEP]"
    assert [len(notes) for notes in header["notes"]] == [12] * 6


def test_each_model_of_the_picker_is_looked_for_once_a_run(model: ac.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    inputs._label.cache_clear()  # labels are a few seconds old, whichever page asked for them
    find = inputs.availability
    monkeypatch.setattr(inputs, "availability", lambda name: asked.append(name) or find(name))
    open_page("all_heads")
    assert asked and len(asked) == len(set(asked))


@pytest.mark.parametrize("typed", ["Tiny decoder", " tiny DECODER "])
def test_a_model_is_found_by_the_title_that_it_is_shown_with(typed: str) -> None:
    page = open_page("all_heads", model=typed)
    assert page.session_state["model"] == "tiny-decoder"
    assert page.query_params["model"] == "tiny-decoder" and "no model called" not in html(page)
