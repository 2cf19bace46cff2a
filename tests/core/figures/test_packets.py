"""Packets for the canvas, read back byte by byte by a decoder that is written here."""

import json
from math import ceil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from attn_core.figures import scripts
from attn_core.figures.canvas.boxes import boxes
from attn_core.figures.canvas.heads import MASKED, _bytes_of, _take_in, pack_kinds, pack_patterns, pack_values
from attn_core.figures.canvas.links import pack_links
from attn_core.figures.canvas.packet import hidden_cells, packet, unpack
from attn_core.figures.canvas.panels import Panel, pack_panels


def patterns(layers, heads, queries, keys, seed=0):
    scores = np.random.default_rng(seed).normal(size=(layers, heads, queries, keys)) * 3
    weights = np.exp(scores)
    return (weights / weights.sum(-1, keepdims=True)).astype(np.float32)


def words(n):
    return [f"w{i}" for i in range(n)]


def decode(packet):
    length = int.from_bytes(packet[:4], "little")
    return json.loads(packet[4 : 4 + length].decode("utf-8")), packet[4 + length :]


def test_an_overview_holds_every_weight_within_a_byte_on_the_square_root_scale():
    weights = patterns(2, 3, 5, 7)
    header, body = decode(pack_patterns(iter(weights), 2, words(5), words(7)))
    assert (header["layers"], header["heads"], header["queries"], header["keys"], header["pool"]) == (2, 3, 5, 7, 1)
    cells = np.frombuffer(body, np.uint8).reshape(2, 3, 5, 7)
    assert_allclose(cells / 254, np.sqrt(weights), atol=0.5 / 254 + 1e-6)


def test_masked_is_not_zero_even_where_the_weight_is():
    weights = np.zeros((1, 1, 2, 2), np.float32)
    weights[0, 0] = [[1, 0], [1, 0]]
    may_look = np.array([[True, False], [True, True]])
    _, body = decode(pack_patterns(iter(weights), 1, words(2), may_look=may_look))
    assert list(body) == [254, MASKED, 254, 0]
    _, body = decode(pack_patterns(iter(weights), 1, words(2), may_look=[may_look]))
    assert list(body) == [254, MASKED, 254, 0]
    twice = np.concatenate([weights, weights])  # each layer has a mask of its own
    _, body = decode(pack_patterns(iter(twice), 2, words(2), may_look=[may_look, None]))
    assert list(body) == [254, MASKED, 254, 0, 254, 0, 254, 0]


def pooled_cells(weights, may_look, pool, cut=0):
    """The bytes of weights [head, query, key] that come in two blocks of rows."""
    strongest = np.full((len(weights), *(ceil(n / pool) for n in may_look.shape)), -1, np.float32)
    for rows in (slice(0, cut), slice(cut, len(may_look))):
        hidden = hidden_cells(weights[:, rows], may_look[rows])
        _take_in(strongest, np.where(hidden, np.float32(-1), weights[:, rows]), rows.start, pool)
    return _bytes_of(strongest)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 5), st.integers(0, 99), st.booleans(), st.integers(0, 9))
def test_pooling_keeps_the_strongest_cell_and_masks_only_what_is_all_masked(queries, keys, pool, seed, causal, cut):
    weights = patterns(1, 2, queries, keys, seed)
    allowed = np.tril(np.ones((queries, keys), bool)) if causal else np.ones((queries, keys), bool)
    cells = pooled_cells(weights[0], allowed, pool, min(cut, queries))
    assert cells.shape == (2, ceil(queries / pool), ceil(keys / pool))
    for head, row, column in np.ndindex(*cells.shape):
        block = np.s_[row * pool : (row + 1) * pool, column * pool : (column + 1) * pool]
        seen = weights[0, head][block][allowed[block]]
        expected = round(254 * float(np.sqrt(seen.max()))) if seen.size else MASKED
        assert abs(int(cells[head, row, column]) - expected) <= (1 if seen.size else 0)


@pytest.mark.parametrize(
    ("layers", "heads", "tokens"), [(1, 1, 1), (6, 12, 13), (12, 12, 512), (32, 32, 512), (1, 1, 512)]
)
def test_any_model_fits_the_budget(layers, heads, tokens):
    one = np.full((heads, tokens, tokens), 1 / tokens, np.float32)
    header, body = decode(pack_patterns((one for _ in range(layers)), layers, words(tokens)))
    side = ceil(tokens / header["pool"])
    assert len(body) == layers * heads * side * side <= 4_000_000
    if header["pool"] > 1:  # no more than was needed
        assert layers * heads * ceil(tokens / (header["pool"] - 1)) ** 2 > 4_000_000


def test_layers_are_asked_for_one_by_one():
    asked = []

    def layers():
        for layer in range(3):
            asked.append(layer)
            yield patterns(1, 2, 4, 4)[0]

    pack_patterns(layers(), 3, words(4))
    assert asked == [0, 1, 2]


def test_what_does_not_fit_is_refused_with_the_shapes():
    with pytest.raises(ValueError, match=r"layer 0 has patterns of shape \(2, 4, 4\), labels are for \(5, 5\)"):
        pack_patterns(iter(patterns(1, 2, 4, 4)), 1, words(5))
    with pytest.raises(ValueError, match="1 layers came, 2 were announced"):
        pack_patterns(iter(patterns(1, 2, 4, 4)), 2, words(4))
    with pytest.raises(ValueError, match="at most 8"):
        pack_links(patterns(1, 9, 4, 4)[0], words(4), heads=[str(i) for i in range(9)])


def test_links_are_exact_to_a_thousandth_of_a_percent():
    weights = patterns(1, 2, 5, 7)[0]
    may_look = np.ones((5, 7), bool)
    may_look[2, 3] = False
    packed = pack_links(weights, words(5), words(7), heads=["0.1", "2.3"], may_look=may_look)
    header, body = decode(packed)
    cells = np.frombuffer(body, "<u2").reshape(2, 5, 7)
    assert (cells[:, 2, 3] == 65_535).all() and (cells < 65_535).sum() == 2 * 34
    assert_allclose(cells[:, may_look] / 65_534, weights[:, may_look], atol=1e-5)
    assert header["heads"] == ["0.1", "2.3"] and [len(s["labels"]) for s in header["sides"]] == [5, 7]


def test_keys_are_the_queries_own_unless_given():
    special, word, at = [True, False], [None, 0], [3, 9]
    packed = pack_links(
        patterns(1, 1, 2, 2)[0], words(2), heads=["0.0"], query_special=special, query_words=word, query_positions=at
    )
    asks, answers = decode(packed)[0]["sides"]
    assert asks == answers == {"labels": ["w0", "w1"], "positions": [3, 9], "special": [0], "words": [None, 0]}
    packed = pack_links(patterns(1, 1, 2, 2)[0], words(2), words(2), heads=["0.0"], query_special=special)
    assert decode(packed)[0]["sides"][1]["special"] == []


def test_values_and_kinds_travel_as_they_are():
    values = np.array([[0.5, np.nan], [-1.25, 2.0]])
    header, body = decode(pack_values(values, [["a", "b"], ["c", "d"]], name="size", signed=True))
    assert header["values"] == [[0.5, 0.0], [-1.25, 2.0]] and header["texts"][1] == ["c", "d"] and body == b""
    header, _ = decode(pack_kinds([["sink", "odd"]], {"sink": "looks at the first token"}))
    assert (header["layers"], header["heads"], header["kinds"]) == (1, 2, [["sink", "odd"]])


def test_unpack_reads_what_packet_wrote():
    header, body = unpack(packet({"a": "é‮"}, b"\x01\x02"))
    assert header["a"] == "é‮" and body == b"\x01\x02"


def test_labels_are_visible_and_survive_as_text():
    header, _ = decode(pack_patterns(iter(patterns(1, 1, 4, 4)), 1, ["<b>", "", "שלום", "\ud800"]))
    assert header["query_labels"] == ["<b>", "∅", "שלום", "‹U+D800›"]


def test_both_themes_travel_with_every_packet():
    header, _ = decode(packet({}, b""))
    assert_array_equal(sorted(header["palette"]), ["dark", "light"])


def test_what_a_legend_and_a_sentence_say_stands_in_the_packet_alone():
    """One place for the words of a picture: JavaScript shows those of the packet and has none of its own."""
    overview, _ = decode(pack_patterns(iter(patterns(1, 1, 3, 3)), 1, words(3), words(3)))
    panel = Panel("A", "head 0.0", patterns(1, 1, 3, 3)[0, 0], words(3), words(3))
    side_by_side, _ = decode(pack_panels([panel]))
    treemap, _ = decode(boxes([0, 0], ["model", "block 0"], [7, 7], ["model", "block"], "All of it"))
    assert overview["masked"] == side_by_side["masked"] == "masked: may not be looked at"
    assert treemap["says"] == "{where}: {count} parameters, {share} of {model}."
    for picture, header in (("overview", overview), ("panels", side_by_side), ("boxes", treemap)):
        code = scripts.asset(f"canvas/{picture}.js")
        for name in {
            "says",
            "says_whole",
            "says_masked",
            "says_difference",
            "says_missing",
            "masked",
            "missing",
            "whole",
        }:
            if name in header:
                assert f"header.{name}" in code and header[name] not in code, (picture, name)


def test_a_pooled_cell_is_the_strongest_that_may_be_seen():
    weights = np.array([[[0.0, 1.0, 0.25], [0.04, 0.16, 0.36], [0.09, np.nan, 0.0]]], np.float32)
    may_look = np.array([[True, False, False], [True, True, False], [True, True, True]])
    pooled = pooled_cells(weights, may_look, 2)
    assert pooled.tolist() == [[[round(254 * 0.4), MASKED], [round(254 * 0.3), 0]]]


@pytest.mark.parametrize("name", ["overview", "links", "cells", "panels"])
def test_a_script_travels_without_its_comments(name: str) -> None:
    """It is sent with every picture."""
    travels = scripts.module(name)
    whole = "\n".join([scripts.NAMES, *map(scripts.asset, scripts.SHARED), scripts.asset(f"canvas/{name}.js")])
    assert not [line for line in travels.splitlines() if line.strip().startswith(("/*", "//"))]
    assert [line for line in travels.splitlines() if line in set(whole.splitlines())] == travels.splitlines()
    assert len(travels) < 0.87 * len(whole)
