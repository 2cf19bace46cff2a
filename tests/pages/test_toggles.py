"""Every switch is flipped within one session, forth and back, and what is drawn is what the library gives: a key of a
cache that forgets a switch would show the view before."""

from __future__ import annotations

import numpy as np
import pytest
from page_driver import checked, lead, load, open_page, packets
from scipy.spatial.distance import jensenshannon
from streamlit.testing.v1 import AppTest

import attn_core as ac
from attn_core.figures.canvas.packet import unpack
from attn_core.heads import search
from attn_core.prediction.translation import greedy
from attn_core.text.numbers import percent
from attn_core.traces.stream import StreamTrace
from attn_core.views.view import View

STARTER = "a fluffy blue creature roamed the verdant forest"
CAR = "the small blue car sees a white horse"


@pytest.fixture(scope="module")
def trace() -> ac.Trace:
    return ac.trace(load("minilm"), STARTER)


@pytest.fixture(scope="module")
def translation() -> ac.Trace:
    model = load("tiny-translator")
    return ac.trace(model, CAR, target=greedy(model, model.read(CAR)).ids)


def flipped(page: AppTest, **switches: object) -> AppTest:
    for name, value in switches.items():
        page.session_state[name] = value
    return checked(page.run())


def body_of(page: AppTest, name: str) -> bytes:
    """The cells of a canvas picture, as they were sent."""
    for element in page.get("bidi_component"):
        raw = element.proto.bytes
        length = int.from_bytes(raw[:4], "little")
        if len(raw) > 8 and raw[4 : 4 + length].decode() == name:
            return unpack(raw[4 + length :])[1]
    raise AssertionError(f"no {name} on the page")


def shows(page: AppTest, view: View) -> None:
    """All heads, the opened head and its links are those of a view."""
    labels = view.sides[0].labels
    n = len(labels)
    overview, links, (heatmap, cells) = (packets(page)[name] for name in ("overview", "links", "heatmap"))
    assert overview[0]["query_labels"] == labels == heatmap["rows"]["texts"] == links[0]["sides"][0]["labels"]
    every = np.stack([view.patterns(layer) for layer in range(view.n_layers)])
    tiles = np.frombuffer(body_of(page, "overview"), np.uint8).reshape(view.n_layers, -1, n, n)
    assert np.abs(tiles - 254 * np.sqrt(every)).max() <= 0.5 + 1e-3
    np.testing.assert_allclose(cells, view.pattern, atol=1e-6)
    lines = np.frombuffer(body_of(page, "links"), "<u2").reshape(n, n) / 65_534
    np.testing.assert_allclose(lines, view.pattern, atol=2e-5)
    assert heatmap["rows"]["positions"] == [place[0] for place in view.sides[0].places]


ARRANGEMENTS = [(False, False), (True, False), (True, True), (False, True), (False, False), (True, False)]


def test_all_heads_follow_specials_words_and_tiles(trace: ac.Trace) -> None:
    page = open_page("all_heads")
    for at, (hide, words) in enumerate(ARRANGEMENTS):
        flipped(page, specials="hide" if hide else "show", unit="words" if words else "pieces", tiles="pattern")
        shows(page, View(trace, 0, 3, hide_sink=hide, words=words))
        if at % 2:
            sizes = np.array(packets(flipped(page, tiles="delta"))["overview"][0]["values"])
            ordinary = [not special for special in trace.tokens.special]
            right = [trace.delta_e_sizes(layer)[:, ordinary].mean(axis=-1) for layer in range(6)]
            np.testing.assert_allclose(sizes, np.stack(right), atol=1e-5)


def test_two_views_of_one_sentence_stay_two(trace: ac.Trace) -> None:
    plain, hidden = open_page("all_heads", head=5), open_page("all_heads", layer=2, head=1, specials="hide")
    for _ in range(2):
        shows(flipped(plain, query=4), View(trace, 0, 5))
        shows(flipped(hidden, query=4), View(trace, 2, 1, hide_sink=True))
    flipped(plain, layer=2, head=1)
    shows(plain, View(trace, 2, 1))


def test_means_follow_layer_and_head(trace: ac.Trace) -> None:
    page = open_page("all_heads", layer=2, head=5)
    every = np.stack([trace.patterns(layer) for layer in range(6)])
    for mean, layer, head in (
        ("heads", 2, 5),
        ("layers", 2, 5),
        ("layers", 2, 7),
        ("heads", 4, 7),
        ("one", 4, 7),
        ("all", 4, 7),
    ):
        flipped(page, mean=mean, layer=layer, head=head)
        right = {"heads": every[layer].mean(0), "layers": every[:, head].mean(0), "one": every[layer, head]}
        np.testing.assert_allclose(packets(page)["heatmap"][1], right.get(mean, every.mean((0, 1))), atol=1e-6)


def test_delta_e_follows_the_word(trace: ac.Trace) -> None:
    page = open_page("delta_e")
    for query in (4, 2, 9, 4):
        values = np.array(packets(flipped(page, query=query))["delta_map"][0]["values"])
        right = np.stack([trace.delta_e_sizes(layer)[:, query] for layer in range(6)])
        np.testing.assert_allclose(values, right, rtol=1e-4)


def test_delta_e_follows_the_stream(translation: ac.Trace) -> None:
    page = open_page("delta_e", model="tiny-translator", text=CAR, query=2)
    for stream in ("encoder", "cross", "decoder", "encoder"):
        values = np.array(packets(flipped(page, stream=stream, query=2))["delta_map"][0]["values"])
        read = translation.stream(stream)
        right = np.stack([read.delta_e_sizes(layer)[:, 2] for layer in range(read.n_layers)])
        np.testing.assert_allclose(values, right, rtol=1e-3, err_msg=stream)


def above(stream: StreamTrace, cells: tuple[tuple[int, int], ...], strict: bool) -> search.Found:
    painted = search.painted_cells(cells, len(stream.tokens), len(stream.key_tokens))
    sink = np.array(stream.key_tokens.special)
    found = [
        search.find(stream.patterns(layer), painted, stream.may_look(layer), sink, above_key_mean=strict)
        for layer in range(stream.n_layers)
    ]
    return search.Found(np.stack([f.weight for f in found]), np.stack([f.baseline for f in found]))


@pytest.mark.parametrize("strict", [True, False])
def test_find_heads_follows_what_is_painted_and_names_the_best(trace: ac.Trace, strict: bool) -> None:
    page = open_page("find_heads", text=STARTER, baseline="key" if strict else "distance")
    painted = {
        ((4, 2), (4, 3)): "From creature to fluffy and blue",
        ((9, 7),): None,
        ((4, 3),): "From creature to blue",
    }
    for cells in (*painted, ((4, 2), (4, 3))):
        flipped(page, cells=cells)
        found = above(trace.stream(), cells, strict)
        np.testing.assert_allclose(packets(page)["found"][0]["values"], found.score, atol=1e-6)
        layer, head = np.unravel_index(found.score.argmax(), found.score.shape)
        weight, baseline = percent(float(found.weight[layer, head])), percent(float(found.baseline[layer, head]))
        best = f"head {layer}.{head} stands out most, {weight} where its baseline is {baseline}."
        if found.score.max() > 0 and painted[cells]:
            assert lead(page) == f"{painted[cells]}: {best}"


def test_find_heads_follows_the_opened_head(trace: ac.Trace) -> None:
    page = open_page("find_heads", text=STARTER)
    for layer, head in ((2, 9), (0, 3), (2, 9)):
        header, cells = packets(flipped(page, layer=layer, head=head))["board"]
        np.testing.assert_allclose(cells[0], trace.pattern(layer, head), atol=1e-6)
        assert header["panels"][0]["title"] == f"Layer {layer} · head {head}"


KEYS, KEY_IS = "the keys to the cabinet are on the table", "the keys to the cabinet is on the table"


def test_compare_follows_head_sentence_panel_and_what_it_shows() -> None:
    """Each panel's weights, their difference, what the numbers say and all heads, after every switch."""
    of = {said: ac.trace(load("minilm"), said) for said in (KEYS, KEY_IS)}
    page = open_page("compare_heads")
    usual: dict[str, object] = {
        "layer": 0,
        "head": 3,
        "head_b": "same",
        "shows_a": "head",
        "text_b": KEY_IS,
        "query": 2,
    }
    for change in (
        {}, {"layer": 2}, {"head": 7}, {"head_b": "5"}, {"shows_a": "mean"}, {"text_b": KEYS, "head_b": "5"},
        {"query": 6}, {"layer": 2, "head_b": "5"}, {},
    ):  # fmt: skip
        at = usual | change
        flipped(page, **at)
        layer, first = int(str(at["layer"])), int(str(at["head"]))
        second = first if at["head_b"] == "same" else int(str(at["head_b"]))
        a, b = of[KEYS], of[str(at["text_b"])]
        own = a.patterns(layer).mean(axis=0) if at["shows_a"] == "mean" else a.pattern(layer, first)
        drawn = packets(page)
        header, cells = drawn["side_by_side"]
        right = [own, b.pattern(layer, second), own - b.pattern(layer, second)]
        np.testing.assert_allclose(cells, np.stack(right), atol=1e-6, err_msg=str(change))
        name = f"the mean of layer {layer}" if at["shows_a"] == "mean" else f"head {layer}.{first}"
        assert [panel["title"] for panel in header["panels"]] == [f"A · {name}", f"B · head {layer}.{second}", "A − B"]
        told = next(f.value for f in page.dataframe if list(f.value) == ["query", "distance"])
        rows = rows_apart(own, b.pattern(layer, second))
        np.testing.assert_allclose(told["distance"], rows, atol=1e-5, err_msg=str(change))
        if at["text_b"] == KEY_IS and at["shows_a"] == "head":
            same = np.stack([rows_apart(a.patterns(n), b.patterns(n)).mean(axis=-1) for n in range(6)])
            np.testing.assert_allclose(drawn["all_heads"][0]["values"], same, atol=1e-5)


def rows_apart(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):  # where rows are equal, what is rooted may round below 0
        return np.nan_to_num(jensenshannon(a.astype(float), b.astype(float), axis=-1, base=2))


def test_translations_follow_head_row_names_and_sentence() -> None:
    model = load("tiny-translator")
    other = "the old horse sees a red car"
    of = {said: ac.trace(model, said, target=greedy(model, model.read(said)).ids) for said in (CAR, other)}
    page = open_page("cross_attention", source=CAR)
    usual: dict[str, object] = {"cross_layer": 1, "cross_head": 1, "row": 2, "rows": "produced", "source": CAR}
    for change in ({}, {"cross_layer": 0}, {"cross_head": 3}, {"row": 4}, {"rows": "read"}, {"source": other}, {}):
        at = usual | change
        flipped(page, **at)
        stream = of[str(at["source"])].stream("cross")
        layer, head, row = (int(str(at[name])) for name in ("cross_layer", "cross_head", "row"))
        pattern = stream.pattern(layer, head)
        drawn = packets(page)
        (links,) = [header for header, _ in drawn.values() if header["picture"] == "links"]
        written = stream.tokens.labels
        names = written if at["rows"] == "read" else [*written[1:], "</s>"]
        assert links["sides"][0]["labels"] == names and links["names"] == [f"head {layer}.{head}"], change
        assert links["sides"][1]["labels"] == stream.key_tokens.labels
        (name,) = [name for name, (header, _) in drawn.items() if header["picture"] == "links"]
        lines = np.frombuffer(body_of(page, name), "<u2").reshape(pattern.shape) / 65_534
        np.testing.assert_allclose(lines, pattern, atol=2e-5, err_msg=str(change))
        (sizes,) = [header["values"] for header, _ in drawn.values() if header["picture"] == "values"]
        right = [np.linalg.norm(stream.heads_delta_e(n, row), axis=-1) for n in range(stream.n_layers)]
        np.testing.assert_allclose(sizes, np.stack(right), rtol=1e-3, err_msg=str(change))


def test_step_by_step_follows_head_and_word(trace: ac.Trace) -> None:
    page = open_page("step_by_step", every_fold=True, all_steps=1)
    for layer, head, query in ((0, 3, 4), (0, 5, 4), (3, 5, 4), (3, 5, 6), (0, 3, 4)):
        drawn = packets(flipped(page, layer=layer, head=head, query=query))
        patterns = [
            cells for header, cells in drawn.values() if header.get("kind") == "weights" and cells.shape == (13, 13)
        ]
        assert patterns
        for cells in patterns:
            np.testing.assert_allclose(cells, trace.pattern(layer, head), atol=1e-5)
        framed = {tuple(header["chosen"])[0] for header, cells in drawn.values() if cells.shape == (13, 13)}
        assert framed == {query}
