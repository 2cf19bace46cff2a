"""The page Patching: every number is the library's, both sentences are read as typed, bad input is one sentence."""

from __future__ import annotations

from io import StringIO

import numpy as np
import pytest
from page_driver import checked, html, lead, load, notes, open_page, packets, table, text
from pandas import read_csv
from streamlit.testing.v1 import AppTest

import attn_core as ac
from attn_core.errors import HeadlightError
from attn_core.prediction import translation
from attn_core.text.numbers import whole_percent
from ui.patching import asked, maps, sentences
from ui.patching.params import JOHN, SECONDS, TOM
from ui.patching.reading import Read
from ui.sentences import KEYS
from ui.shell import save

B = SECONDS[TOM]
WORDS = ("anna", "tom")


@pytest.fixture(scope="module")
def decoder():
    return load("tiny-decoder")


@pytest.fixture(autouse=True)
def nothing_is_slow(monkeypatch):
    """How long a pass takes on a busy machine decides nothing here."""
    monkeypatch.setattr(Read, "seconds_a_row", lambda read, kind: 0.001)


@pytest.fixture(scope="module")
def page():
    return open_page("patching", every_fold=True, menus=True, layer=1, head=0)


def problem(page: AppTest) -> str:
    return text(page)[-3000:]


def values(page: AppTest, key: str) -> np.ndarray:
    return np.array(packets(page)[key][0]["values"])


def test_the_page_answers_before_anything_is_clicked():
    bare = open_page("patching")
    best = "Head 0.2 carries most: its output from A, put into B, moves 95 % of the answer from tom to anna."
    assert lead(bare) == best
    assert "head 0.3 is in the first layer" in notes(bare).lower()
    assert "patched passes" in text(bare) and "+9.49A: score of A’s word minus B’s−6.61B: score" in text(bare)
    assert "the score of anna (A’s) minus that of tom (B’s), as the next word." in text(bare)
    bare = checked(next(each for each in bare.button if each.label == "Open head 1.0").click().run())
    assert "Into the value of head 1.0, head 0.2 brings most: 56 % of the answer by this path alone." in text(bare)
    assert "to (13)92 %" in text(bare) and "tom (9)" not in text(bare) and "anna (9)0 %" in text(bare)


def test_the_maps_are_the_librarys(page, decoder):
    heads = ac.patching(decoder, TOM, B, WORDS)
    np.testing.assert_allclose(values(page, "effects").ravel(), heads.effect, atol=1e-6)
    assert packets(page)["effects"][0]["texts"][0] == ["0 %", "0 %", "95 %", "2 %"]
    paths = ac.path_patching(decoder, TOM, B, None, (1, 0), "v", WORDS)
    np.testing.assert_allclose(values(page, "paths")[0], paths.effect, atol=1e-6)
    row = ac.patching(decoder, TOM, B, WORDS, layer=1, head=0, by_position=True)
    assert f"to (13){whole_percent(row.effect.iloc[13])}" in text(page)
    found = [each.value for each in page.dataframe if "effect" in each.value.columns]
    assert [len(each) for each in found] == [8, 4] and found[0].effect.abs().is_monotonic_decreasing
    np.testing.assert_allclose(sorted(found[0].effect), sorted(heads.effect))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"part": "value"}, {"at": "value"}),
        ({"part": "pattern"}, {"at": "pattern"}),
        ({"direction": "noising"}, {"direction": "noising"}),
        ({"word_a": "tom", "word_b": "book"}, {"answer": ("tom", "book")}),
    ],
)
def test_every_switch_says_what_is_computed(decoder, given, told):
    shown = open_page("patching", **given)
    wanted = ac.patching(decoder, TOM, B, **{"answer": WORDS, **told})
    np.testing.assert_allclose(values(shown, "effects").ravel(), wanted.effect, atol=1e-6)


def test_paths_go_through_query_key_or_value_and_the_mlps_if_wanted(decoder):
    shown = open_page("patching", layer=1, head=0, through="k", mlps=1)
    wanted = ac.path_patching(decoder, TOM, B, None, (1, 0), "k", WORDS, freeze_mlps=False)
    np.testing.assert_allclose(values(shown, "paths")[0], wanted.effect, atol=1e-6)
    assert "Into the key of head 1.0 no earlier head brings a tenth of the answer by its path alone." in text(shown)


def test_the_map_by_word_is_the_librarys(decoder):
    shown = open_page("patching", by="words", tensor="mlp")
    wanted = ac.patching(decoder, TOM, B, WORDS, at="mlp")
    np.testing.assert_allclose(packets(shown)["by_word"][1].ravel(), wanted.effect, atol=1e-6)
    best = wanted.loc[wanted.effect.idxmax()]
    assert best.position == 13 and best.layer == 1
    said = "The difference is carried at to: what the MLP of layer 1 adds there from A, put into B, moves "
    assert lead(shown) == f"{said}{whole_percent(best.effect)} of the answer from tom to anna."
    turned = open_page("patching", by="words", direction="noising")
    said = "The difference is carried at tom: with what enters layer 0 there from B, A loses 100 % of its answer."
    assert lead(turned) == said


def test_the_map_by_head_and_word_is_the_librarys(decoder):
    shown = open_page("patching", by="heads_words", part="value", every_fold=True, menus=True)
    wanted = ac.patching(decoder, TOM, B, WORDS, at="value", by_position=True)
    header, cells = packets(shown)["by_head_and_word"]
    np.testing.assert_allclose(cells.ravel(), wanted.effect, atol=1e-6)
    assert header["rows"]["texts"][:5] == ["head 0.0", "head 0.1", "head 0.2", "head 0.3", "head 1.0"]
    assert header["choose"] and len(table(shown, "position")) == len(wanted) == 8 * 14
    best = wanted.loc[wanted.effect.idxmax()]
    named, share = f"{int(best.layer)}.{int(best['head'])}", whole_percent(best.effect)
    word = ac.trace(decoder, B).tokens.labels[int(best.position)]
    said = (
        f"Head {named} carries most, at {word}: its value there from A, put into B, moves {share} of the answer from "
    )
    assert lead(shown) == f"{said}tom to anna."
    (lines,) = [each.value for each in shown.code if "ac.patching" in each.value]
    assert "at='value', by_position=True)  # layer" in lines
    turned = open_page("patching", by="heads_words", direction="noising")
    most = ac.patching(decoder, TOM, B, WORDS, by_position=True, direction="noising").effect.max()
    said = f"Head 0.2 is missed most at tom: with its output there from B, A loses {whole_percent(most)} of its answer."
    assert lead(turned) == said


def test_of_many_heads_the_picture_has_those_that_move_most(monkeypatch, decoder):
    monkeypatch.setattr(maps, "MOST_ROWS", 3)
    shown = open_page("patching", by="heads_words")
    effects = ac.patching(decoder, TOM, B, WORDS, by_position=True).effect.to_numpy().reshape(8, 14)
    largest = sorted(np.argsort(-np.abs(effects).max(axis=1))[:3])
    header, cells = packets(shown)["by_head_and_word"]
    np.testing.assert_allclose(cells, effects[largest], atol=1e-6)
    assert header["rows"]["texts"] == [f"head {at // 4}.{at % 4}" for at in largest]
    assert "The 3 of 8 heads that move most at some word" in text(shown)


def test_a_single_word_may_carry_too_little(monkeypatch):
    monkeypatch.setattr(sentences, "LITTLE", 2.0)
    said = lead(open_page("patching", by="heads_words"))
    none = (
        "No single head carries the difference at one word: the output of none, put from A into B there, moves a tenth"
    )
    assert said == f"{none} of the answer. The most is head 0.2 at anna, 95 %."


def test_every_table_of_the_page_is_a_file(monkeypatch, decoder):
    offered = []
    monkeypatch.setattr(save.SaveMenu, "add_views", lambda menu, views, *numbers: offered.extend(numbers))
    open_page("patching", layer=1, head=0)
    files = {numbers.name: read_csv(StringIO(numbers.make())) for numbers in offered}
    assert list(files) == ["patching", "patching of head 1.0 word by word", "paths into head 1.0 through v"]
    wanted = [
        ac.patching(decoder, TOM, B, WORDS),
        ac.patching(decoder, TOM, B, WORDS, layer=1, head=0, by_position=True),
        ac.path_patching(decoder, TOM, B, None, (1, 0), "v", WORDS),
    ]
    for found, own in zip(files.values(), wanted, strict=True):
        assert list(found) == list(own) and len(found) == len(own)
        np.testing.assert_allclose(found.effect, own.effect, atol=1e-9)


def test_words_without_a_partner_are_named_and_stay(decoder):
    longer = B.replace("market", "big market")
    shown = open_page("patching", second=longer, by="words", word_a="anna", word_b="tom")
    assert "“big” (7) has no partner in the other sentence and stayed as it was." in notes(shown)
    assert np.isnan(packets(shown)["by_word"][1][:, 7]).all()
    refused = open_page("patching", second=longer, part="key")
    assert "A key says where something stands" in text(refused) and "effects" not in packets(refused)


def test_an_encoder_turns_to_the_others_vector_at_the_chosen_word():
    shown = open_page("patching", model="minilm", text=KEYS, query=2)
    wanted = ac.patching(load("minilm"), KEYS, SECONDS[KEYS], position=2)
    np.testing.assert_allclose(values(shown, "effects").ravel(), wanted.effect, atol=1e-6)
    best = wanted.loc[wanted.effect.idxmax()]
    said = f"Head {int(best.layer)}.{int(best['head'])} carries most: its output from A, put into B, moves"
    assert lead(shown) == f"{said} {whole_percent(best.effect)} of the answer from B’s vector to A’s."


def test_a_translator_is_measured_by_its_own_translation_of_a():
    a, b = "the small blue car sees a white horse", "the small red car sees a white horse"
    shown = open_page(
        "patching", model="tiny-translator", text=a, second=b, stream="cross", layer=1, head=1, through="k"
    )
    model = load("tiny-translator")
    target = ac.trace(model, a, target="la petite voiture bleue voit un cheval blanc").tokens_of("decoder")[0].ids
    wanted = ac.patching(model, a, b, target=target, stream="cross")
    np.testing.assert_allclose(values(shown, "effects").ravel(), wanted.effect, atol=1e-5)
    paths = ac.path_patching(model, a, b, None, ("cross", 1, 1), "k", target=target)
    np.testing.assert_allclose(values(shown, "paths_encoder").ravel(), paths.effect, atol=1e-5)


def test_several_pairs_are_their_mean(decoder):
    more = (
        "mary and tom went to the market . tom gave a book to | mary and tom went to the market . mary gave a book to"
    )
    shown = open_page("patching", every_fold=True, more_pairs=f"{more}\n\n{more} | mary | tom")
    a, b = more.split(" | ")
    wanted = ac.patching(decoder, [TOM, a, a], [B, b, b], [WORDS, None, ("mary", "tom")])
    np.testing.assert_allclose(values(shown, "effects").ravel(), wanted.effect, atol=1e-6)
    assert table(shown, "low").n.tolist() == [3] * 8
    best = wanted.loc[wanted.effect.idxmax()]
    said = f"Head {int(best.layer)}.{int(best['head'])} carries most: its output from A, put into B, moves"
    assert lead(shown) == f"{said} {whole_percent(best.effect)} of the answer, on average over 3 pairs."


MARY = " | ".join(text.replace("anna", "mary") for text in (TOM, B)) + " | mary | tom"
LONG = " | ".join(text.replace("market", "big market") for text in (TOM, B))


def of_two(**told):
    """The library's mean over the page's pair and `MARY`."""
    a, b, *words = MARY.split(" | ")
    return ac.patching(load("tiny-decoder"), [TOM, a], [B, b], [None, tuple(words)], **told)


def test_every_map_row_and_path_of_several_pairs_is_their_mean_with_its_interval(monkeypatch):
    offered = []
    monkeypatch.setattr(save.SaveMenu, "add_views", lambda menu, views, *numbers: offered.extend(numbers))
    shown = open_page("patching", layer=1, head=0, more_pairs=MARY, by="words", tensor="mlp", every_fold=True)
    files = {numbers.name: read_csv(StringIO(numbers.make())) for numbers in offered}
    maps_of, row = of_two(at="mlp"), of_two(layer=1, head=0, by_position=True)
    a, b, *words = MARY.split(" | ")
    paths = ac.path_patching(load("tiny-decoder"), [TOM, a], [B, b], None, (1, 0), "v", [None, tuple(words)])
    for found, own in zip(files.values(), (maps_of, row, paths), strict=True):
        assert list(found)[-3:] == ["n", "low", "high"] and set(found.n) == {2}
        np.testing.assert_allclose(found[["effect", "low", "high"]], own[["effect", "low", "high"]], atol=1e-9)
    np.testing.assert_allclose(packets(shown)["by_word"][1].ravel(), maps_of.effect, atol=1e-6)
    np.testing.assert_allclose(values(shown, "paths")[0], paths.effect, atol=1e-6)
    last = row.iloc[13]
    half = whole_percent(last.high - last.effect)
    assert f"to (13){whole_percent(last.effect)} ± {half}" in text(shown)
    best = whole_percent(paths.effect.max())
    assert f"head 0.2 brings most: {best} of the answer by this path alone, on average over 2 pairs." in text(shown)
    moves = whole_percent(maps_of.effect.max())
    said = f"The difference is carried at to: what the MLP of layer 1 adds there from A, put into B, moves {moves}"
    assert lead(shown) == f"{said} of the answer, on average over 2 pairs."
    assert "The words are those of the first pair" in notes(shown)


def test_heads_by_word_of_several_pairs_are_their_mean_and_so_are_the_lines_of_python():
    shown = open_page("patching", layer=1, head=0, more_pairs=MARY, by="heads_words", menus=True)
    wanted = of_two(by_position=True)
    np.testing.assert_allclose(packets(shown)["by_head_and_word"][1].ravel(), wanted.effect, atol=1e-6)
    names = python_of(shown)
    for name, own in (("table", wanted), ("words", of_two(layer=1, head=0, by_position=True))):
        np.testing.assert_allclose(names[name][["effect", "low"]], own[["effect", "low"]], atol=1e-6)
    assert set(names["paths"].n) == {2}
    best = wanted.loc[wanted.effect.idxmax()]
    word = ac.trace(load("tiny-decoder"), B).tokens.labels[int(best.position)]
    said = f"Head {int(best.layer)}.{int(best['head'])} carries most, at {word}: its output there from A, put into B"
    assert lead(shown) == f"{said}, moves {whole_percent(best.effect)} of the answer, on average over 2 pairs."


def test_a_pair_whose_words_stand_elsewhere_is_named_and_whole_heads_are_averaged_all_the_same():
    shown = open_page("patching", layer=1, head=0, more_pairs=f"{MARY}\n{LONG}")
    assert "Pair 3, “anna and tom went to the big market" in text(shown)
    assert "has other positions than the first: 15 tokens against 14 tokens" in text(shown)
    assert packets(shown).keys() == {"effects", "paths"} and "on average over 3 pairs." in lead(shown)
    names = python_of(open_page("patching", layer=1, head=0, more_pairs=LONG, by="heads_words", menus=True))
    assert "table" not in names and "words" not in names and set(names["paths"].n) == {2}


def python_of(page: AppTest) -> dict:
    """What the page's lines of Python give, by name."""
    (lines,) = [each.value for each in page.code if "patching(" in each.value]
    names: dict = {}
    exec(lines, names)
    return names


def test_several_pairs_of_an_encoder_are_compared_at_the_same_place():
    dog = "the keys to the kennel are on the floor | the keys to the kennel is on the floor"
    asked_for = {"model": "minilm", "text": KEYS, "query": 6, "more_pairs": dog}
    shown = open_page("patching", every_fold=True, menus=True, **asked_for)
    a, b = dog.split(" | ")
    wanted = ac.patching(load("minilm"), [KEYS, a], [SECONDS[KEYS], b], position=6)
    np.testing.assert_allclose(values(shown, "effects").ravel(), wanted.effect, atol=1e-6)
    assert table(shown, "low").n.tolist() == [2] * 72 and "Compared at the same place" in text(shown)
    np.testing.assert_allclose(python_of(shown)["table"].effect, wanted.effect, atol=1e-6)
    short = open_page("patching", **{**asked_for, "more_pairs": "a cat | a dog"})
    assert "Further pair 1 has 4 tokens, so no token 6" in text(short)
    worded = open_page("patching", **{**asked_for, "more_pairs": f"{dog} | are | is"})
    assert "Line 1 of the further pairs is not a pair: write A | B." in text(worded)


def test_several_pairs_of_a_translator_are_measured_by_their_own_translations():
    a, b = "the small blue car sees a white horse", "the small red car sees a white horse"
    more = ("the small blue house sees a white horse", "the small red house sees a white horse")
    shown = open_page(
        "patching", menus=True, model="tiny-translator", text=a, second=b, stream="cross", more_pairs=" | ".join(more)
    )
    model = load("tiny-translator")
    targets = [translation.greedy(model, model.read(text)).ids for text in (a, more[0])]
    wanted = ac.patching(model, [a, more[0]], [b, more[1]], target=targets, stream="cross")
    np.testing.assert_allclose(values(shown, "effects").ravel(), wanted.effect, atol=1e-5)
    np.testing.assert_allclose(python_of(shown)["table"].effect, wanted.effect, atol=1e-5)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"second": TOM, "word_a": "anna", "word_b": "tom"}, "These two sentences answer alike"),
        ({"second": " "}, "Type a second sentence, B"),
        ({"word_a": "zorple", "word_b": "tom"}, "“zorple” is a word that this model has not met"),
        ({"word_a": "tom", "word_b": "tom"}, "Both answers are the same word"),
        ({"word_a": "<b>x</b>", "word_b": "tom"}, "tokens to this model; an answer is one of its tokens"),
        ({"more_pairs": "only one"}, "Line 1 of the further pairs is not a pair: write A | B"),
        ({"more_pairs": "a | b\n" * 9}, "At most 8 further pairs"),
        ({"more_pairs": "a" * 5000}, "longer than 4000 letters together"),
    ],
)
def test_bad_input_is_one_sentence(given, said):
    shown = open_page("patching", **given)
    assert said in text(shown) and "Something went wrong" not in text(shown) and "<b>x</b>" not in html(shown)


def test_a_page_that_waits_for_its_second_sentence_has_its_question_as_headline():
    assert lead(open_page("patching", second=" ")) == "Which head carries the difference between the two sentences?"


def test_an_answer_that_is_typed_alone_waits_for_the_other():
    assert lead(open_page("patching", word_a="book")).startswith("Head 0.2 carries most")


def test_beyond_the_budget_one_sentence_says_so(operator_sets):
    operator_sets(HEADLIGHT_PAGE_TOKENS2="1000")
    shown = open_page("patching")
    assert "This cannot be computed" in text(shown) and "more than one page of this server computes" in text(shown)
    assert lead(shown) == "Which head carries the difference between the two sentences?"


def test_what_takes_long_waits_for_a_click_and_can_be_stopped(monkeypatch):
    monkeypatch.setattr(Read, "seconds_a_row", lambda read, kind: 1.0)
    words = {"second": B.replace("book", "cake"), "layer": 1, "head": 0}
    shown = open_page("patching", **words)
    assert packets(shown) == {} and "8 passes through the model, about 8 seconds." in text(shown)
    assert lead(shown) == "Which head carries the difference between the two sentences?"
    monkeypatch.setattr(asked, "of_heads", _stopped)
    (ask,) = [each for each in shown.button if each.key == "ask_heads"]
    shown = checked(ask.click().run())
    assert "effects" not in packets(shown) and "it was stopped" in text(shown)
    monkeypatch.undo()  # of the fixture, too
    monkeypatch.setattr(Read, "seconds_a_row", lambda read, kind: 1.0)
    shown = checked(shown.run())
    assert "effects" in packets(shown) and "paths" not in packets(shown)


def _stopped(model, handle, asked, part, progress):
    progress(1, 8)
    raise HeadlightError("it was stopped")


def test_visitors_do_not_see_each_others_sentences():
    one, other = open_page("patching"), open_page("patching", second=TOM.replace("tom gave", "mary gave"))
    before = lead(one)
    assert lead(checked(one.run())) == before != lead(other)
    assert "from tom to anna" in before


def test_the_lines_of_python_give_what_the_page_shows(page, decoder):
    (lines,) = [each.value for each in page.code if "ac.patching" in each.value]
    names: dict = {}
    exec(lines, names)
    assert names["table"].effect.max() == pytest.approx(0.954, abs=0.002)
    assert names["words"].effect.max() == pytest.approx(0.924, abs=0.002)
    assert names["paths"].effect.max() == pytest.approx(0.560, abs=0.002)


def test_the_pairs_that_it_knows_differ_in_one_word():
    for first, second in SECONDS.items():
        a, b = first.split(), second.split()
        assert len(a) == len(b) and sum(x != y for x, y in zip(a, b, strict=True)) == 1, first
    assert JOHN in SECONDS
