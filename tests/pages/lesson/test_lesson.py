"""The lesson: eight stops, each opened by its link, each with numbers that the models themselves give."""

from __future__ import annotations

import re
from functools import partial
from html import unescape
from typing import Any

import numpy as np
import pytest
import torch
from page_driver import everything, load, open_page, text

import attn_core as ac
from attn_core.models.cards import card_of
from attn_core.text.numbers import hundredths, percent
from attn_core.walkthrough.ablations import StageAblation
from ui import glossary
from ui.lesson.stop import Chart, Reader
from ui.lesson.stops import STOPS, TITLES
from ui.sentences import HUNGRY, MOLES
from ui.step_by_step import ablations, guess, strip

STARTER = "a fluffy blue creature roamed the verdant forest"
opened = partial(open_page, "lesson", every_fold=True)


@pytest.fixture(scope="module")
def trace() -> ac.Trace:
    model = ac.load("minilm")
    return ac.trace(model, STARTER)


@pytest.mark.parametrize("stop", range(1, len(STOPS) + 1))
def test_every_stop_opens_by_its_link_and_keeps_its_answer(stop: int) -> None:
    page = opened(stop=stop)
    assert f"Stop {stop} of 8" in text(page)
    assert page.get("html") and not page.error
    assert "The answer" not in text(page) and page.button(key="lesson_tell").label == "Tell me"
    told = opened(stop=stop, told=1)
    assert "The answer is: " in text(told)


def test_back_and_next_move_and_close_the_question_again() -> None:
    page = opened(stop=1, told=1)
    assert page.button(key="lesson_back").disabled
    page.button(key="lesson_next").click().run()
    assert "Stop 2 of 8" in text(page) and "The answer" not in text(page)
    page.button(key="lesson_back").click().run()
    assert "Stop 1 of 8" in text(page)
    assert opened(stop=8).button(key="lesson_next").disabled


def test_a_guess_is_judged(trace: ac.Trace) -> None:
    assert "Yes." in text(opened(stop=7, stop_guess=2))
    wrong = text(opened(stop=7, stop_guess=0))
    assert "Not quite." in wrong and "The answer is: 9,216" in wrong


def test_a_wrong_stop_is_named_and_the_first_is_shown() -> None:
    page = opened(stop=9)
    assert "Stop 1 of 8" in text(page)
    assert "stop=9 cannot be shown" in text(page)


def test_the_moles_cosines_are_the_librarys_own() -> None:
    """A plain computation: the library's eager hidden states, no trace."""
    from transformers import AutoModel, AutoTokenizer

    from attn_core.models.sources import bundled_folder

    model = AutoModel.from_pretrained(bundled_folder(), attn_implementation="eager").eval()
    tokenizer = AutoTokenizer.from_pretrained(bundled_folder())
    ends = []
    for sentence in MOLES:
        ids = tokenizer(sentence)["input_ids"]
        with torch.inference_mode():
            states = model(torch.tensor([ids])).last_hidden_state[0]
        ends.append(states[tokenizer.convert_ids_to_tokens(ids).index("mole")].numpy())
    said = text(opened(stop=2, told=1))
    for i, j in ((0, 1), (0, 2), (1, 2)):
        cosine = ends[i] @ ends[j] / np.linalg.norm(ends[i]) / np.linalg.norm(ends[j])
        assert f"{cosine:.2f}" in said


def test_leaving_the_scale_out_is_a_softmax_of_plain_dot_products(trace: ac.Trace) -> None:
    creature = trace.tokens.labels.index("creature")
    scores = torch.tensor(trace.query(0, 3)[creature] @ trace.key(0, 3).T).double()
    without, with_scale = torch.softmax(scores, -1), torch.softmax(scores / 32**0.5, -1)
    said = text(opened(stop=4, told=1))
    assert f"The answer is: {100 * float(without.max()):.0f} %" in said
    assert f"With it, {100 * float(with_scale.max()):.0f} %" in said


def test_the_decoder_finds_the_adjective_that_decides() -> None:
    layer, head = card_of("tiny-decoder").best_head
    model = ac.load("tiny-decoder")
    decoder = ac.trace(model, HUNGRY)
    labels = decoder.tokens.labels
    assert decoder.pattern(layer, head)[labels.index("creature"), labels.index("hungry")] > 0.9
    said = text(opened(stop=5, told=1))
    assert "May hungry look at creature" in said and "The answer is: no" in said


@pytest.mark.models
def test_the_mask_is_shown_in_a_real_language_model_where_there_is_one(fetched) -> None:
    fetched("smollm2")
    load("smollm2")
    said = text(opened(stop=5, told=1))
    assert "Head 26.0 of SmolLM2, a real language model: before the verb cabinet takes 73 % from keys" in said
    assert "the likeliest next word is are, 16 %" in said
    assert "May keys look at cabinet" in said and "The answer is: no" in said


def test_parts_of_delta_e_are_weight_times_value_through_w_o(trace: ac.Trace) -> None:
    labels = trace.tokens.labels
    row = trace.pattern(0, 3)[labels.index("creature")]
    said = text(opened(stop=6, told=1))
    for word in ("blue", "roam"):
        at = labels.index(word)
        size = np.linalg.norm(row[at] * trace.value(0, 3)[at] @ trace.w_o(0, 3))
        assert f"{size:.3f} from {word}" in said


def test_why_few_directions_are_enough_is_the_heads_own_spectrum(trace: ac.Trace) -> None:
    """Judged by plain numpy: the singular values of W_V · W_O."""
    values = np.linalg.svd(trace.w_v(0, 3).astype(float) @ trace.w_o(0, 3).astype(float), compute_uv=False)
    reached = np.cumsum(values**2) / np.sum(values**2)
    half, most = (int(np.searchsorted(reached, part)) + 1 for part in (0.5, 0.9))
    said = f"Are 32 directions enough? This head does not even use all of them alike: half of its strength is in {half}"
    assert f"{said} of them, nine tenths in {most}." in text(opened(stop=6, told=1))


def test_the_count_is_the_lessons() -> None:
    said = text(opened(stop=8, told=1))
    for number in ("57,982,058,496", "6,291,456", "603,979,776", "175,181,291,520", "33.1 %"):
        assert number in said


def test_the_glossary_has_every_term_in_plain_words_and_in_those_of_papers() -> None:
    shown = text(opened(stop=1))
    assert all(term["says"] in shown and term.get("papers", "") in shown for term in glossary.terms())
    assert len(TITLES) == len(STOPS)


def test_the_scale_is_left_out_by_the_link_of_its_stop() -> None:
    """The link's parameters are those that the other page knows."""
    stop = STOPS[3](library())
    assert [*ablations.BREAKS.parse(str(stop.page_link[2]["breaks"]), {})] == [StageAblation.NO_SCALE]


def test_the_lessons_links_lead_to_the_step_that_they_speak_of() -> None:
    """Words as vectors, scores, the scale; whoever has answered the lesson's question is not asked it again."""
    led = {number: STOPS[number - 1](library()).page_link for number in (1, 3, 4)}
    assert {page for page, _, _ in led.values()} == {"step_by_step"}
    for number, step in ((1, 1), (3, 3), (4, 4)):
        assert strip.STEP.parse(str(led[number][2]["step"]), {}) == step
    assert guess.TOLD.parse(str(led[3][2]["guess_told"]), {}) is True


def test_the_second_stop_shows_the_sentences_that_it_measures() -> None:
    said = text(opened(stop=2))
    assert all(mole in said for mole in MOLES)
    assert STOPS[1](library()).sentences == MOLES


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def sentence(markup: object) -> str:
    return " ".join(plain(str(markup)).replace("\xa0", " ").split())


def test_every_sentence_says_the_numbers_of_what_is_shown(trace: ac.Trace) -> None:
    """Whole sentences, with numbers that plain numpy makes of the model's own vectors."""
    stops = {number: STOPS[number - 1](library()) for number in (1, 2, 3, 4, 6, 7, 8)}
    model, at = ac.load("minilm"), trace.tokens.labels.index("creature")
    table, ids = trace.vocabulary.matrix.float().numpy(), model.tokenizer.get_vocab()
    alike = {word: cosine(table[ids["creature"]], table[ids[word]]) for word in ("animal", "beast", "person", "blue")}
    nearest = max(alike, key=lambda word: alike[word])
    assert sentence(stops[1].reveals) == (
        f"{nearest} has a cosine of {alike[nearest]:.2f}; blue only {hundredths(alike['blue'])}. Nobody told the "
        "model: it follows from how the words are used."
    )

    moles = [ac.trace(model, said) for said in MOLES]
    ends = [each.embedding(6)[each.tokens.labels.index("mole")] for each in moles]
    pairs = {"animal – chemistry": (0, 1), "animal – skin": (0, 2), "chemistry – skin": (1, 2)}
    apart = {name: cosine(ends[a], ends[b]) for name, (a, b) in pairs.items()}
    pair = min(apart, key=lambda name: apart[name])
    assert sentence(stops[2].reveals) == (
        "All three have the same entry in the vocabulary: cosine 1.00. At the end of the model the most different "
        f"pair, {pair}, is down to {apart[pair]:.2f}."
    )

    dots = trace.query(0, 3)[at] @ trace.key(0, 3).T
    best = int(np.where(trace.tokens.special, -np.inf, dots).argmax())
    answers = "A word may well answer itself; what matters is who else does."
    assert sentence(stops[3].reveals) == f"{trace.tokens.labels[best]}: q · k = {dots[best]:+.3g}. {answers}"

    row = trace.pattern(0, 3)[at]
    spread = f"The scores are the same, only {32**0.5:.1f} times as far apart."
    assert sentence(stops[4].reveals) == f"With it, {percent(float(row.max()))}. {spread}"

    blue, roam = (trace.tokens.labels.index(word) for word in ("blue", "roam"))
    assert stops[6].question == (
        f"blue gets {percent(float(row[blue]))}, roam {percent(float(row[roam]))}. Do they add equally much?"
    )
    sizes = [np.linalg.norm(row[i] * trace.value(0, 3)[i] @ trace.w_o(0, 3)) for i in (blue, roam)]
    assert sentence(stops[6].reveals) == (
        "A word adds its weight times its value, and values differ in length: "
        f"{sizes[0]:.3f} from blue, {sizes[1]:.3f} from roam."
    )
    start, change = trace.embedding(0)[at].astype(float), (row @ trace.value(0, 3) @ trace.w_o(0, 3)).astype(float)
    angle = np.degrees(np.arccos(cosine(start, start + change)))
    assert sentence(stops[6].also[1]) == (  # type: ignore[index]
        f"E has length {np.linalg.norm(start):.2f}, this ΔE {np.linalg.norm(change):.2f}: together they point "
        f"{angle:.1f}° away from where E did. Two vectors and their sum lie in one plane, so in this picture nothing "
        "is left out."
    )

    back = percent(float(trace.pattern(0, 2)[at, at - 1]))
    assert sentence(stops[7].reads) == (
        f"6 layers of 12 heads, one forward pass. Head 0.2, the clean diagonal: creature gives {back} of its weight to "
        "the word before it, and so do the others."
    )
    assert sentence(stops[7].reveals) == "96 × 96 = 9,216. This model has 6 × 12 = 72."
    assert sentence(stops[8].reveals) == (
        f"{100 * 57_982_058_496 / 175_181_291_520:.1f} %: only a third of what you need. Of twelve equal parts of a "
        "block attention has four and the MLP eight; the rest is embeddings."
    )


def numbers(said: str) -> set[str]:
    """Every number that a text says."""
    return set(re.findall(r"\d[\d,.]*\d|\d", said))


@pytest.mark.parametrize("number", range(1, len(STOPS) + 1))
def test_nothing_on_the_screen_answers_a_question_before_the_guess(number: int) -> None:
    """Not the text, nor a table, a picture's numbers, an alt text or a caption."""
    stop = STOPS[number - 1](library())
    asked = " ".join([stop.question, plain(stop.says), *stop.options])
    secret = numbers(plain(stop.reveals)) - numbers(asked) | (
        numbers(stop.options[stop.right]) - numbers(plain(stop.says) + stop.question) - numbers(" ".join(stop.options))
    )
    page = open_page("lesson", stop=number)
    before = everything(page)
    if number == 7:
        secret -= {"6", "12"}  # its picture has six rows of twelve squares, and says so
    assert not {said for said in secret if re.search(rf"(?<![\d.]){re.escape(said)}(?![\d])", before)}
    assert secret <= numbers(text(opened(stop=number, told=1)))
    if number != 7:  # whose question is a sum that no picture answers
        assert stop.unasked is not stop.picture


def test_what_is_asked_of_a_row_is_blank_in_the_picture_that_asks() -> None:
    stop = STOPS[2](library())
    cells, known = (
        np.array(picture.make(theme="light").figure().data[0].z)  # type: ignore[union-attr]
        for picture in (stop.unasked, stop.picture)
    )
    row = np.isnan(cells).all(axis=1)
    assert row.sum() == 1 and not np.isnan(known).any()
    np.testing.assert_array_equal(cells[~row], known[~row])


def second_picture(number: int) -> list[Any]:
    """The traces of the second picture of a stop."""
    also = STOPS[number - 1](library()).also
    assert also is not None and isinstance(also[0], Chart)
    return list(also[0].make(theme="light").figure().data)


def test_arrows_have_their_true_lengths_and_angles(trace: ac.Trace) -> None:
    """The keys around creature's query, judged by plain numpy."""
    query = trace.query(0, 3)[trace.tokens.labels.index("creature")].astype(float)
    drawn = {arrow.name: np.array([arrow.x[1], arrow.y[1]]) for arrow in second_picture(3)}
    assert drawn.pop("creature asks") == pytest.approx([0, np.linalg.norm(query)])
    for word, tip in drawn.items():
        key = trace.key(0, 3)[trace.tokens.labels.index(word)].astype(float)
        assert np.linalg.norm(tip) == pytest.approx(np.linalg.norm(key), rel=1e-4)
        assert tip[1] * np.linalg.norm(query) == pytest.approx(key @ query, rel=1e-3, abs=1e-3)


def test_e_and_delta_e_add_up_in_their_plane(trace: ac.Trace) -> None:
    at = trace.tokens.labels.index("creature")
    start, change = trace.embedding(0)[at].astype(float), trace.delta_e(0, 3)[at].astype(float)
    first, second, total = second_picture(6)
    assert first.y[1] == pytest.approx(np.linalg.norm(start), rel=1e-5)
    moved = np.array([second.x[1] - second.x[0], second.y[1] - second.y[0]])
    assert np.linalg.norm(moved) == pytest.approx(np.linalg.norm(change), rel=1e-4)
    assert np.hypot(total.x[1], total.y[1]) == pytest.approx(np.linalg.norm(start + change), rel=1e-4)


def test_a_third_is_four_squares_of_twelve() -> None:
    stop = STOPS[7](library())
    shown, asked = (
        [square.text[0] for square in picture.make(theme="light").figure().data]  # type: ignore[union-attr]
        for picture in (stop.picture, stop.unasked)
    )
    assert len(shown) == 12 and shown.count("MLP up") == shown.count("MLP down") == 4
    assert asked == ["?"] * 12


def test_every_head_says_what_one_word_looks_at(trace: ac.Trace) -> None:
    at, said = trace.tokens.labels.index("creature"), text(opened(stop=7, told=1))
    rows = trace.patterns(0)[:, at].copy()
    rows[:, [0, at, -1]] = 0
    for head, row in enumerate(rows):
        assert re.search(rf"head 0\.{head}\s*{re.escape(trace.tokens.labels[row.argmax()])} ", said)


def plain(markup: str) -> str:
    return unescape(re.sub(r"<[^>]*>", "", markup))


def library() -> Reader:
    """A reader without a page: stops need no Streamlit."""

    class Library:
        def trace(self, text: str, model: str) -> ac.Trace:
            return ac.trace(ac.load(model), text)

        def model(self, name: str) -> ac.Model:
            return ac.load(name)

    return Library()


def test_every_word_on_the_clean_diagonal_looks_one_back(trace: ac.Trace) -> None:
    """What stop 7 says of head 0.2: of creature in numbers, and that the others do so."""
    back = np.diagonal(trace.pattern(0, 2), -1)  # [query − 1]
    said = f"creature gives {percent(float(back[3]))} of its weight to the word before it, and so do the others"
    assert back.min() > 0.99 and said in text(opened(stop=7, told=1))
