"""Whatever a link or a visitor says: no traceback, nothing read as markup, nothing that was typed is lost."""

from __future__ import annotations

import json
import random
import re
from functools import cache

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from page_driver import PAGES, ROOT
from streamlit.testing.v1 import AppTest

import attn_core as ac
from attn_core.figures import labels
from attn_core.figures.canvas.heads import pack_patterns
from attn_core.figures.canvas.packet import unpack
from attn_core.figures.charts.heatmap import heatmap

HOSTILE = [
    "", "0", "-1", "99", "1e9", "NaN", "٣", "½", " 3", "0x1", "true", "None", "auto", "null",
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "](javascript:alert(1))", "![i](http://example.org/i.png)",
    "$x^2$", ":red[x]", ":material/home:", "# h", "`code`", "%s%n", "{0}", "%{x}", "' OR 1=1 --", "../../etc/passwd",
    "/etc/passwd", "C:\\windows", "a/b", "gpt2", "bert-base-uncased", "tiny-decoder", "tiny-translator", "minilm",
    "\u202etfel", "\u200b", "\u0000", "🤗🤗", "שלום עולם", "مرحبا", "你好世界", "é" * 300, "x" * 3000,
    "a b " * 400,
]  # fmt: skip
DEFAULTS = json.loads((ROOT / "tests" / "pages" / "defaults-v1.json").read_text())
NAMES = sorted({name for page in DEFAULTS.values() for name in page} | {"v", "embed", "<b>", "__proto__"})
MARKUP = re.compile(r"<script>alert|<img src=x", re.I)


def link(seed: int) -> tuple[str, dict[str, str]]:
    """A page and a random link into it: some parameters hostile, some sane."""
    dice = random.Random(seed)
    names = dice.sample(NAMES, dice.randint(1, 8))
    return dice.choice(PAGES), {name: dice.choice([*HOSTILE, str(dice.randint(0, 12))]) for name in names}


def follow(seed: int) -> None:
    page_name, params = link(seed)
    page = AppTest.from_file(str(ROOT / page_name), default_timeout=300)
    for name, value in params.items():
        page.query_params[name] = value
    page.run()
    said = f"{page_name} with {params}"
    assert not page.exception, f"{said}: {page.exception}"
    html = "\n".join(block.proto.body for block in page.get("html"))
    assert "Something went wrong" not in html, said
    assert not MARKUP.search(html), said
    markdown = "\n".join(str(block.value) for block in page.markdown)
    assert "example.org" not in markdown, said
    boxes = [box for box in page.text_area if box.key == "text"]
    if "text" in params and boxes:
        assert boxes[0].value == params["text"], said


@pytest.mark.parametrize("seed", range(24))
def test_a_link_with_anything_in_it_opens(seed: int) -> None:
    follow(seed)


@pytest.mark.full
@pytest.mark.parametrize("seed", range(1000, 2000))
def test_a_thousand_links_open(seed: int) -> None:
    follow(seed)


@cache
def minilm() -> ac.Model:
    return ac.load("minilm")


SENTENCES = st.one_of(
    st.text(max_size=80),  # half a surrogate pair among them: a file may hold one, though no browser sends it
    st.lists(st.sampled_from(HOSTILE), max_size=6).map(" ".join),
    st.text(alphabet=st.characters(categories=("Lo", "Mn", "So", "Cf", "Zs", "Po")), max_size=60),
)


def look(sentence: str) -> None:
    """Trace it and draw it: every label is text, every row sums to 1, no position is lost."""
    model = minilm()
    try:
        trace = ac.trace(model, sentence)
    except ac.EmptyText as error:
        assert "Type a sentence" in str(error)
        return
    tokens = trace.tokens
    assert 3 <= len(tokens) <= model.limit and len(tokens.labels) == len(tokens.ids) == len(tokens.words)
    pattern = trace.pattern(5, 11)
    assert np.allclose(pattern.sum(axis=-1), 1, atol=1e-5)
    drawn = [labels.escape(label) for label in tokens.labels]
    assert all(drawn) and not any(re.search(r"<|\$|\n", label) for label in drawn)
    figure = heatmap(pattern, tokens.labels)
    assert figure.data[0].z.shape == pattern.shape
    assert unpack(pack_patterns([pattern[None]], 1, tokens.labels))[0]["layers"] == 1


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(SENTENCES)
def test_a_sentence_of_anything_is_read_and_drawn(sentence: str) -> None:
    look(sentence)


@pytest.mark.full
@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
@given(SENTENCES)
def test_five_hundred_sentences_are_read_and_drawn(sentence: str) -> None:
    look(sentence)


@pytest.mark.parametrize(
    "typed", ["", "   ", "word", "x" * 100_000, "ab " * 33_000, "<b>bold</b> **md** $x$", "\u200b", "🤗 שלום"]
)
def test_all_heads_keeps_what_was_typed(typed: str) -> None:
    page = AppTest.from_file(str(ROOT / "app.py"), default_timeout=300).run()
    page.text_area(key="text").set_value(typed).run()
    assert not page.exception
    assert page.text_area(key="text").value == typed
    html = "\n".join(block.proto.body for block in page.get("html"))
    assert "<b>bold</b>" not in html and "Traceback" not in html and "Something went wrong" not in html
