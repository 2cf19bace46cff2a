"""The badge that says how far the numbers are from the model's own, as a visitor reads it."""

from __future__ import annotations

import math
from html import escape, unescape

import pytest

from attn_core.traces.comparisons import AFTER, FINAL
from attn_core.traces.parity import LEFT_OUT, NEXT, Comparison, Parity, worst_parity
from attn_core.views.derived_checks import DerivedCheck
from ui.shell import badges

NAN = math.nan
CHECKED = "✓ checked: 3 × 10⁻⁷ from the model's own numbers"
NO_NUMBER = "✕ not a number: what the model gives is not finite"


@pytest.mark.parametrize(
    ("parity", "said", "kind"),
    [
        (Parity(2e-7, 3e-7, 1e-7), CHECKED, "ok"),
        (Parity(0.0, 0.0, 0.0), "✓ checked: 0 from the model's own numbers", "ok"),
        (Parity(2e-7, 3e-7, None), f"{CHECKED}; residual not compared", "ok"),
        (Parity(2e-7, 2e-2, 1e-7), "✕ off by 2 × 10⁻² from the model's own numbers", "bad"),
        (Parity(NAN, 3e-7, 1e-7), NO_NUMBER, "bad"),
        (Parity(2e-7, 3e-7, NAN), NO_NUMBER, "bad"),
        (Parity(2e-7, math.inf, 1e-7), NO_NUMBER, "bad"),
        (Parity(None, 3e-7, 1e-7), "pattern not compared with the model's own numbers", ""),
        (Parity(2e-7, None, 1e-7), "ΔE not compared with the model's own numbers", ""),
        (Parity(None, None, None), "not compared with the model's own numbers", ""),
    ],
)
def test_the_badge_says_what_was_compared(parity: Parity, said: str, kind: str) -> None:
    assert f'<span class="hl-badge {kind}">{escape(said)}</span>' in badges.parity(parity)
    assert parity.ok is (kind == "ok")


def test_how_weights_were_kept_is_a_badge_with_its_reason() -> None:
    assert badges.weights("") == ""
    assert "which are not the published float weights" in badges.weights("4-bit weights, dequantised")
    pickled = badges.weights("converted from pytorch_model.bin")
    assert "converted from pytorch_model.bin" in pickled and "not a number was changed" in pickled


def test_each_part_is_said_in_words() -> None:
    badge = badges.parity(Parity(2e-7, NAN, None))
    assert "<b>pattern 2 × 10⁻⁷</b>" in badge
    assert "<b>ΔE not a number:</b>" in badge and "<b>residual not compared:</b>" in badge


def test_what_was_compared_with_nothing_is_named_with_the_reason() -> None:
    found = Parity(2e-7, 3e-7, None)
    found.left_out = ("sums", "mlp", "final")
    badge = badges.parity(found)
    assert escape(f"{CHECKED}; residual not compared; MLP not compared; final embedding not compared") in badge
    for said in (
        "Compared with nothing: <b>E plus what attention adds:</b> where that enters the stream was not found.",
        "Compared with nothing: <b>what a block adds after attention:</b> how it goes on was not found.",
        "Compared with nothing: <b>final embedding:</b> what it is made of was not found.",
    ):
        assert f"<div>{said}</div>" in badge
    found.comparisons = (Comparison("self", 1, None, "final", FINAL, 4e-2, 1e-8),)
    assert "✕ off by 4 × 10⁻² from" in badges.parity(found) and not found.ok and found.worst == 4e-2
    said = "<b>final embedding 4 × 10⁻²</b> what the model's last module made of what it received, against it"
    assert said in badges.parity(found)
    plain = Parity(2e-7, 3e-7, 1e-7)
    after, whole = ("what attention added to E, against the stream behind it", "what the block added to E, against the "
                    "stream that it handed on")  # fmt: skip
    for against, says in (((), whole), ((AFTER,), after), ((AFTER, NEXT), whole)):
        plain.comparisons = tuple(Comparison("self", 1, None, "residual", each, 1e-7, 1e-8) for each in against)
        assert f"<div><b>residual 1 × 10⁻⁷</b> {says}</div>" in badges.parity(plain)
    assert worst_parity([plain, found]).left_out == worst_parity([found, plain]).left_out == found.left_out
    assert found.with_own_pass(0).left_out == found.left_out
    assert {*LEFT_OUT} == {*badges.WORDS.table("badges.left_out")}


def test_of_several_traces_each_part_is_the_worst() -> None:
    found = worst_parity([Parity(1e-7, NAN, 3e-7), Parity(2e-7, 0.0, None)])
    assert found.pattern == 2e-7 and math.isnan(found.delta or 0) and found.residual is None


def test_the_badge_says_that_the_pass_is_the_owners() -> None:
    found = Parity(2e-7, 3e-7, 1e-7).with_own_pass(4e-7)
    assert found.ok and repr(found).endswith("residual=1e-07, own pass=4e-07)")
    assert "<b>pass 4 × 10⁻⁷</b> its last states" in badges.parity(found) and "✓ checked: 3 × 10⁻⁷" in badges.parity(
        found
    )
    for error in (2e-3, NAN):
        other = Parity(2e-7, 3e-7, 1e-7).with_own_pass(error)
        assert not other.ok and "✕ the model as its owner calls it gives something else" in badges.parity(other)
    assert "<b>pass" not in badges.parity(Parity(2e-7, 3e-7, 1e-7))


def test_weights_that_are_not_those_of_the_models_own_attention_are_said() -> None:
    found = Parity(2e-7, 3e-7, 1e-7).with_own_pass(4e-7, 5e-7)
    assert found.ok and "<b>weights 5 × 10⁻⁷</b> ours of a few words" in badges.parity(found)
    for error in (2e-5, NAN):
        other = Parity(2e-7, 3e-7, 1e-7).with_own_pass(4e-7, error)
        assert not other.ok and "✕ the model's own attention gives other weights" in unescape(badges.parity(other))
        assert not worst_parity([found, other]).ok and worst_parity([other, found]).own_weights is not None


def test_the_badge_says_of_how_many_passes_it_is_and_what_it_leaves_out() -> None:
    one = Parity(2e-7, 3e-7, 1e-7)
    one.comparisons = (
        Comparison("self", 0, 0, "pattern", "x", 2e-7, 1e-7),
        Comparison("self", 0, 1, "pattern", "x", 1e-7, 3e-8),
    )
    said = unescape(badges.parity(one))
    assert "Relative error of the worst row of any layer, against tensors that left the model:" in said
    assert "Up to 1 × 10⁻⁵ is green; the mean over all rows is 6 × 10⁻⁸." in said  # 6.5 to even
    words = " ".join(said.split())
    assert "Compared with nothing: what is not named above, such as distances of heads that are not opened" in words
    assert "paths from head to head, and passes that a page changes in another way." in words
    assert "of any layer of 2 passes, against" in badges.parity(worst_parity([one, one]))


def test_the_badge_says_what_a_page_computed_and_turns_red_with_it() -> None:
    right = [DerivedCheck("arranged", 2e-8, 1e-5), DerivedCheck("lens", 0.0, 1e-5), DerivedCheck("off", 3e-6, 1e-4)]
    right += [DerivedCheck("compared", 0.0, 1e-5), DerivedCheck("near", 0.0, 1e-5), DerivedCheck("patched", 2e-6, 1e-4)]
    badge = unescape(badges.parity(Parity(2e-7, 3e-7, 1e-7), right))
    assert CHECKED in badge and 'hl-badge ok"' in badge
    assert "<b>hidden, joined or averaged 2 × 10⁻⁸</b> what is shown: against sums" in badge
    assert "<b>words read off layers 0</b> of a few words, against the model itself run without its layers" in badge
    assert "<b>switched off 3 × 10⁻⁶</b> the last states of a few words without a head" in badge
    assert "taken out of it; up to 1 × 10⁻⁴ is green, found out once" in badge
    assert "<b>side by side 0</b> panels on their shared axes" in badge
    assert "<b>near words 0</b> the search for the words nearest" in badge
    assert "<b>patched passes 2 × 10⁻⁶</b> of a few words: with nothing put" in badge
    names = ("hidden, joined or averaged", "words read off layers", "switched off", "side by side", "near words")
    for i, name in enumerate((*names, "patched passes")):
        for error in (1e-3, NAN):
            wrong = [*right[:i], right[i]._replace(error=error), *right[i + 1 :]]
            red = unescape(badges.parity(Parity(2e-7, 3e-7, 1e-7), wrong))
            assert f'hl-badge bad">✕ {name}: another way to compute it gives something else<' in red
    assert "<b>words read off layers not compared:</b>" in badges.parity(
        Parity(2e-7, 3e-7, 1e-7), [DerivedCheck("lens", None, 1e-5)]
    )
