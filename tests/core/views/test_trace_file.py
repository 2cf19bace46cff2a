"""A kept trace leads to a page: which one, with what link, and what no link can say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from families import FAMILIES, word_tokenizer

import attn_core as ac
from attn_core.views.trace_file import view_of
from attn_core.views.view import View


def kept(trace: ac.Trace, folder: Path) -> bytes:
    trace.save(folder / "x.headlight")
    return (folder / "x.headlight").read_bytes()


def test_a_sentence_opens_as_its_own_view_would(tmp_path: Path) -> None:
    trace = ac.trace(ac.load("tiny-decoder"), "the small dog ran")
    page, link, *_ = view_of(kept(trace, tmp_path))
    assert (page, link) == ("all_heads", View(trace).address())
    assert (link["model"], link["text"]) == ("tiny-decoder", "the small dog ran")


def test_a_translation_opens_with_both_its_sentences(tmp_path: Path) -> None:
    trace = ac.trace(ac.load("tiny-translator"), "the cat sleeps", target="le chat dort")
    page, link, *_ = view_of(kept(trace, tmp_path))
    assert page == "cross_attention"
    assert link == {"v": "1", "model": "tiny-translator", "text": "the cat sleeps", "target": "le chat dort"}


@pytest.mark.parametrize(
    ("read", "made"),
    [
        (lambda: ac.trace(ac.load("tiny-decoder"), [1, 5, 7]), "of ids"),
        (lambda: ac.trace(ac.wrap(FAMILIES["gpt2"].build(), word_tokenizer()), "one fox"), "with a model of your own"),
    ],
    ids=["ids", "wrapped"],
)
def test_what_no_link_can_say_is_refused_with_the_way_out(read: Any, made: str, tmp_path: Path) -> None:
    with pytest.raises(ac.HeadlightError, match=f"^This trace was made {made}.*open it with ac.open_trace in Python.$"):
        view_of(kept(read(), tmp_path))


def test_a_foreign_file_is_refused() -> None:
    with pytest.raises(ac.HeadlightError, match="no saved trace"):
        view_of(b"PK\x03\x04 something else altogether")
