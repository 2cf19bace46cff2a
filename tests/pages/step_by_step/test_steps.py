"""One step a screen: each has its link, shows the pocket-size head first, computes only itself, and is asked first."""

from __future__ import annotations

import ast
import inspect
import re

import numpy as np
import pytest
import torch
from page_driver import checked, html, lead, load, notes, open_page, packets, text
from streamlit.testing.v1 import AppTest

import attn_core as ac
from attn_core import attention, rotary
from attn_core.parameters import low_rank
from attn_core.text.numbers import number, percent, signed
from attn_core.walkthrough import toy
from attn_core.walkthrough.ablations import StageAblation
from attn_core.walkthrough.from_trace import from_trace
from attn_core.walkthrough.head import run_stages
from attn_core.walkthrough.spread import spreads_of
from ui.step_by_step import ablations, reading, scores
from ui.step_by_step.layout import TITLES

STARTER = "a fluffy blue creature roamed the verdant forest"
CREATURE = 4
STEPS = range(1, 9)


@pytest.fixture(scope="module")
def trace() -> ac.Trace:
    return ac.trace(load("minilm"), STARTER)


def opened(step: int | None = None, **params: object) -> AppTest:
    return open_page("step_by_step", v=1, **({} if step is None else {"step": step}), **params)


def cards(page: AppTest) -> list[str]:
    """The keys of the page's cards, in order."""
    found: list[str] = []

    def walk(block: object) -> None:
        key = re.search(r"card_\w+", getattr(getattr(block, "proto", None), "id", "") or "")
        if key:
            found.append(key[0])
        for child in getattr(block, "children", {}).values():
            walk(child)

    walk(page.main)
    return found


def strip_of(page: AppTest) -> dict:
    """What the strip's script gets."""
    import json

    (found,) = [
        each.proto for each in page.get("bidi_component") if each.proto.component_name == "headlight.step_strip"
    ]
    return json.loads(found.json)


# --- One step, its link, its strip -----------------------------------------------------------------------------------


@pytest.mark.parametrize("step", STEPS)
def test_a_link_opens_its_step_and_nothing_of_the_others(step: int) -> None:
    page = opened(step, guess_told=1)
    assert page.query_params["step"] in (str(step), [str(step)]) and notes(page) == ""
    drawn = [re.match(r"(?:break_|step_)(\d)", key) for key in packets(page)]
    assert {int(found[1]) for found in drawn if found} <= {step}
    said = html(page)
    assert said.count('<h1 class="hl-lead">') == 1 and f"<h2>{TITLES[step - 1]}</h2>" in said
    assert [title for title in TITLES if f"<h2>{title}</h2>" in said] == [TITLES[step - 1]]
    told = strip_of(page)
    assert (told["step"], told["head"], len(told["steps"])) == (step, "head 0.3", 8)
    assert [word["text"] for word in told["words"] if word["role"] == "query"] == ["creature"]
    assert len(told["words"]) == 13


def test_every_step_has_a_lead_of_its_own_and_the_adjectives_are_one() -> None:
    leads = [lead(opened(step)) for step in STEPS]
    assert len(set(leads)) == 8
    assert leads[1].startswith("Nouns ask, and adjectives answer")


def test_a_link_from_before_there_were_steps_opens_where_it_belongs() -> None:
    def step(**params: object) -> str:
        said = open_page("step_by_step", v=1, text=STARTER, **params).query_params["step"]
        return said if isinstance(said, str) else said[0]

    assert step() == "1" and step(key_guess=3) == "3"
    for each, at in ablations.STEP_OF.items():
        assert step(breaks=each.value) == str(at), each
    assert step(breaks="no-mask,no-w-o") == "5" and step(breaks="no-scale", step=6) == "6"


def test_a_step_that_an_old_link_led_to_stays_when_its_break_goes() -> None:
    page = open_page("step_by_step", v=1, text=STARTER, breaks="no-scale")
    page.session_state["breaks_4"] = []
    page.session_state["breaks"] = []
    assert strip_of(checked(page.run()))["step"] == 4


def test_the_steps_follow_each_other_by_button_and_end_where_they_end() -> None:
    page = opened(1)
    assert [button.key for button in page.button if button.key in ("step_before", "step_after")] == ["step_after"]
    for step in range(2, 9):
        page.button(key="step_after").click()
        assert strip_of(checked(page.run()))["step"] == step
    assert [button.key for button in page.button if button.key in ("step_before", "step_after")] == ["step_before"]
    page.button(key="step_before").click()
    assert strip_of(checked(page.run()))["step"] == 7


@pytest.mark.parametrize("wrong", ["0", "9", "-1", "two", "1.5"])
def test_a_step_that_there_is_not_is_named(wrong: str) -> None:
    assert f"This link's step={wrong} cannot be shown" in notes(open_page("step_by_step", v=1, step=wrong))


def test_all_on_one_page_is_a_switch_in_the_link() -> None:
    page = opened(4, all_steps=1)
    said = html(page)
    assert [title for title in TITLES if f"<h2>{title}</h2>" in said] == list(TITLES)
    assert strip_of(page)["all"] is True and strip_of(opened(4))["all"] is False
    assert [said.count(f'id="step-{step}"') for step in STEPS] == [1] * 8  # where the map leads to


def test_one_step_computes_only_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """What belongs to another step is neither looked for nor run."""
    ran: list[str] = []

    def spy(owner: object, name: str) -> None:
        honest = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *a, **k: (ran.append(name), honest(*a, **k))[1])

    spy(reading, "input_parts")
    spy(scores, "spreads_of")
    spy(low_rank, "thin_spectrum")
    spy(ablations, "distances")
    of_step = {}
    for step in STEPS:
        ran.clear()
        opened(step, text=f"a word of step {step}", guess_told=1)
        of_step[step] = sorted(set(ran))
    alone = {1: ["input_parts"], 4: ["spreads_of"], 7: ["thin_spectrum"], 8: ["distances"]}
    assert of_step == {step: alone.get(step, []) for step in STEPS}


@pytest.mark.parametrize("step", STEPS)
def test_one_step_is_light(step: int) -> None:
    """Of what travels, each canvas brings 34 kB of script: one, and the HTML of one step."""
    page = opened(step, guess_told=1)
    canvases = packets(page)
    assert len(canvases) <= 1
    styles = sum(len(style) for style in re.findall(r"<style.*?</style>", html(page), re.S))
    assert len(html(page)) - styles + sum(len(each.proto.bytes) for each in page.get("bidi_component")) < 60_000


# --- The pocket-size head comes first --------------------------------------------------------------------------------


@pytest.mark.parametrize("step", STEPS)
def test_the_pocket_size_head_comes_before_the_real_one_with_every_number(step: int) -> None:
    said = html(opened(step, guess_told=1))
    assert said.index('class="hl-pocket"') < said.index("The same in a real head")
    made = run_stages(toy.toy().inputs())
    row = made.raw_scores[3].tolist()
    written = {
        1: [1, 4, 5],
        2: [*made.query[3].tolist(), *made.key[2].tolist()],
        3: row,
        4: [*row, *(made.scaled[3, :4].tolist())],
        5: [-np.inf, *made.masked[3, :4].tolist()],
        6: made.pattern[3].tolist(),
        7: [*made.pattern[3].tolist(), *made.weighted_values[3].tolist()],
        8: made.delta[3].tolist(),
    }[step]
    cells = re.findall(r"<td[^>]*>([^<]+)</td>", said)
    for value in written:
        digits = "−∞" if value == -np.inf else "0" if abs(value) < 5e-5 else f"{value:.3g}".replace("-", "−")
        assert digits in cells, (step, digits)


def test_one_row_times_one_column_is_worked_out() -> None:
    said = text(opened(2))
    assert "1 × 4 + 0 × 0 + 0 × 0 + 0 × 0 + 0 × 0 + 4 × 0 = 4" in said
    assert "4 × 2 + 1 × 1.5 = 9.5" in text(opened(3))


def test_controls_that_do_nothing_for_the_toy_are_not_shown() -> None:
    real, alone = opened(2), opened(2, weights="toy")
    keys = {box.key for box in [*real.text_area, *real.text_input, *real.selectbox]}
    assert {"text", "model", "layer", "head"} <= keys
    left = {box.key for box in [*alone.text_area, *alone.text_input, *alone.selectbox]}
    assert not left & {"text", "model", "layer", "head"}
    assert not [button for button in alone.button if (button.key or "").startswith("example_")]
    assert alone.query_params["text"] in (STARTER, [STARTER])  # the link keeps them


def test_the_mask_step_has_a_mask_and_the_list_of_exercises() -> None:
    said = text(opened(5))
    for line in ("a → fluffy", "a fluffy → blue", "a fluffy blue → creature", "a fluffy blue creature → roamed"):
        assert line in said
    assert "creature sees 4 of 5 words" in said and "There is no mask here" in said
    decoder = text(opened(5, model="tiny-decoder", text="a hungry tall old fox"))
    assert re.search(r"This model predicts the next word, so no word may look ahead: \w+ sees \d of 6 words", decoder)


# --- Folded pictures -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("step", "keys"), [(1, ["step_1_e"]), (2, ["step_2_q", "step_2_k"]), (7, ["step_7_v"])])
def test_pictures_of_all_words_are_folded_until_asked_for(step: int, keys: list[str]) -> None:
    page = opened(step)
    assert not set(keys) & set(packets(page))
    assert max(cells.shape[0] for _, cells in packets(page).values()) <= 4
    assert any(fold.label.startswith("Show all words") for fold in page.get("expander"))
    page.session_state[f"all_words_{step}"] = True
    shown = packets(checked(page.run()))
    assert all(shown[key][1].shape[0] == 13 for key in keys)


def test_the_open_vectors_are_those_of_the_two_chosen_words(trace: ac.Trace) -> None:
    made = run_stages(from_trace(trace.stream(), 0, 3))
    _, (e,) = packets(opened(1))["step_1_own"]
    np.testing.assert_array_equal(e, trace.embedding(0)[CREATURE])
    _, (query, key) = packets(opened(2, key=3))["step_2_both"]
    np.testing.assert_allclose(query, made.query[CREATURE], atol=1e-6)
    np.testing.assert_allclose(key, made.key[3], atol=1e-6)
    _, (value, taken, whole) = packets(opened(7, key=3))["step_7_one"]
    np.testing.assert_allclose(value, made.value[3], atol=1e-6)
    np.testing.assert_allclose(taken, made.pattern[CREATURE, 3] * made.value[3], atol=1e-6)
    np.testing.assert_allclose(whole, made.weighted_values[CREATURE], atol=1e-6)


# --- Break it where it stands ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", STEPS)
def test_each_step_offers_what_can_be_left_out_of_it(step: int) -> None:
    own = [each for each, at in ablations.STEP_OF.items() if at == step]
    offered = [pills for pills in opened(step, guess_told=1).get("button_group") if "breaks" in str(pills.proto.id)]
    names = [option.content for pills in offered for option in pills.proto.options]
    assert [name.split(" (")[0] for name in names] == [ablations.NAMES[each] for each in own]
    assert set(ablations.STEP_OF) == set(StageAblation)


def test_a_mask_that_the_model_has_not_is_left_out_of_the_pocket_size_head() -> None:
    cells = packets(opened(5, breaks="no-mask"))["break_5_Broken"][1]
    whole = run_stages(toy.toy().inputs(), frozenset({StageAblation.NO_MASK})).pattern
    np.testing.assert_allclose(cells, whole, atol=1e-6)
    cells = packets(opened(5, breaks="no-mask", model="tiny-decoder", text="a hungry tall old fox"))["break_5_Broken"][
        1
    ]
    assert cells.shape[0] > 5 and np.isfinite(cells).all()  # its own mask, and all can be seen


def test_a_break_of_one_step_leaves_those_of_the_others() -> None:
    page = opened(4, breaks="no-scale,no-w-o")
    pills = next(each for each in page.get("button_group") if "breaks_4" in str(each.proto.id))
    pills.set_value([])
    checked(page.run())
    assert page.session_state["breaks"] == [StageAblation.NO_W_O]
    assert "break_4_Broken" not in packets(page)


# --- Why -------------------------------------------------------------------------------------------------------------


def test_the_histogram_is_of_real_scores_and_follows_the_root(trace: ac.Trace) -> None:
    found = spreads_of(trace.stream())
    page = opened(4)
    rows = re.findall(r'<tr><th scope="row">(\d+)</th>(.*?)</tr>', html(page).split('class="hl-spreads"')[-1], re.S)
    assert [int(d) for d, _ in rows] == [8, 16, 32, 64, 128, 256, 512]
    for (_, cells), spread in zip(rows, found, strict=True):
        assert re.findall(r"<b>(.*?)</b>", cells) == [number(spread.spread), number(float(spread.divided.std()))]
    said = text(page)
    assert "their variances add up" in said and "there are 64 times as many products, the root of that is 8" in said
    assert f"spread {number(found[-1].spread / found[0].spread)} times as far" in said
    divided = [float(spread.divided.std()) for spread in found]
    ends = f"{number(min(divided))} and {number(max(divided))}"
    assert f"Divided by √d, their spreads stay between {ends}, whatever d is." in said


def test_the_histograms_have_room_for_the_widest(trace: ac.Trace, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn, honest, found = [], scores.histograms, spreads_of(trace.stream())
    monkeypatch.setattr(scores, "histograms", lambda *args: (drawn.append(args), honest(*args))[1])
    opened(4)
    limits = [column.limit for column in drawn[0][1]]
    assert limits == pytest.approx([3 * max(x.spread for x in found), 3 * max(float(x.divided.std()) for x in found)])


def test_low_rank_is_shown_in_the_values_step_with_the_heads_own_directions(trace: ac.Trace) -> None:
    weights = trace.projections(0, 3)
    many = low_rank.spectrum(weights.w_v.numpy(), weights.w_o.numpy()).directions_for
    said = text(opened(7))
    assert f"{many[0.5]} carry half of its strength and {many[0.9]} carry nine tenths" in said
    bars = re.findall(r'<u title="direction', html(opened(7)))
    assert len(bars) == 32


@pytest.mark.parametrize("step", STEPS)
def test_the_code_is_ten_lines_that_teach(step: int) -> None:
    page = opened(step, guess_told=1)
    page.session_state[f"code_{step}"] = True
    shown = [block.value for block in checked(page.run()).code]
    places = [caption.value for caption in page.caption]
    assert shown and set(places) <= {"attn_core/attention.py", "attn_core/rotary.py"}
    teaching = [inspect.getsource(each).strip() for module in (attention, rotary) for each in vars(module).values()
                if inspect.isfunction(each)]  # fmt: skip
    for source in shown:
        (function,) = ast.parse(source).body
        assert source in teaching and isinstance(function, ast.FunctionDef)
        code = function.body[1:]  # behind the docstring
        assert code[-1].end_lineno - code[0].lineno + 1 <= 10, function.name


def test_the_code_of_the_first_step_is_what_ran(monkeypatch: pytest.MonkeyPatch) -> None:
    called = []
    honest = attention.embed
    monkeypatch.setattr("attn_core.residual.input_parts.embed", lambda *a, **k: (called.append(a), honest(*a, **k))[1])
    opened(1, text="another few words that nobody read before")
    assert called and isinstance(called[0][0], torch.Tensor)


# --- Asked before anything answers it --------------------------------------------------------------------------------


def test_nothing_on_the_page_answers_the_question_before_the_guess(trace: ac.Trace) -> None:
    made = run_stages(from_trace(trace.stream(), 0, 3))
    page = opened(3)
    said = html(page)
    assert "which word will" in text(page) and "hl-tell" not in said
    assert packets(page) == {}  # no picture of the real head, so no alt text of one
    told = strip_of(page)
    assert [word["text"] for word in told["words"] if word["role"]] == ["creature"]  # no key is marked
    real = said.split("The same in a real head")[1]
    for i in range(13):
        for name in (percent(float(made.pattern[CREATURE, i])), number(float(made.raw_scores[CREATURE, i]), 4)):
            assert f">{name}<" not in real and f" {name} " not in real, name
        assert signed(float(made.raw_scores[CREATURE, i])) not in real
    blanks = re.findall(r"<td><div><b>(.*?)</b>", real)
    assert blanks == ["?"] * 13 and "width:0.00%" in real
    assert "has looked at" not in text(page) and "looks at" not in lead(page)
    assert not [fold for fold in page.get("expander") if "numbers of step" in fold.label]


def test_the_toy_alone_is_asked_before_its_scores_too() -> None:
    page = opened(3, weights="toy")
    said = html(page)
    assert "which word will" in text(page) and packets(page) == {}
    assert 'class="hl-matrix' not in said and re.findall(r"<td><div><b>(.*?)</b>", said) == ["?"] * 4
    answered = opened(3, weights="toy", key_guess=1)
    assert "You said fluffy: with 41 % it takes place 2 of 5. Most goes to blue, 59 %" in text(answered)
    np.testing.assert_array_equal(packets(answered)["step_3_grid"][1][3], [0.5, 9, 9.5, 2, 2.5])


@pytest.mark.parametrize("guess", [3, CREATURE, None])
def test_the_answer_comes_with_the_guess_in_whole_sentences_that_say_why(guess: int | None, trace: ac.Trace) -> None:
    page = opened(3, **({"guess_told": 1} if guess is None else {"key_guess": guess}))
    said, made = text(page), run_stages(from_trace(trace.stream(), 0, 3))
    np.testing.assert_allclose(packets(page)["step_3_grid"][1], made.raw_scores, atol=1e-5)
    best = number(float(made.masked[CREATURE, CREATURE]))
    if guess is None:
        assert "Below you see how well each word answers" in said and "You said" not in said
    else:
        assert ("and so it is" in said) is (guess == CREATURE)
        assert f"answers the query best, with a score of {best}. A word may well answer itself" in said


def test_show_me_answers_without_a_guess_and_another_word_is_asked_anew() -> None:
    page = opened(3)
    page.button(key="guess_tell").click()
    assert "step_3_grid" in packets(checked(page.run()))
    reading_subject = strip_of(page)
    assert reading_subject["step"] == 3
    page.session_state["query"], page.session_state["guess_told"] = 3, False
    assert "step_3_grid" not in packets(checked(page.run()))


def test_all_on_one_page_asks_nothing_and_answers_a_guess_that_it_was_given() -> None:
    assert "which word will" not in text(opened(None, all_steps=1))
    assert "You said blue" in text(opened(None, all_steps=1, key_guess=3))
