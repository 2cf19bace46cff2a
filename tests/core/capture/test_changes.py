"""A changed pass says so wherever its numbers go: repr, captions, files, link, lines of Python."""

import io
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from pyarrow.parquet import read_metadata

import attn_core as ac
from attn_core.traces.changes import Changes
from attn_core.traces.saved.changes_json import changes_from_json, changes_to_json
from attn_core.views import files
from attn_core.views.snippets import heads, traced
from attn_core.views.view import View

TEXT = "the blue creature ate"


@pytest.fixture(scope="module")
def model() -> ac.Model:
    return ac.load("tiny-decoder")


@pytest.fixture(scope="module")
def even(model: ac.Model) -> np.ndarray:
    """A pattern that is not the head's own and that no short decimal writes: an even look back."""
    may_look = ac.trace(model, TEXT).may_look(0)
    return (may_look / may_look.sum(axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def off(model: ac.Model) -> ac.Trace:
    return ac.trace(model, TEXT, without=[(1, 2), (0, 3)], replacement="mean")


@pytest.fixture(scope="module")
def forced(model: ac.Model, even: np.ndarray) -> ac.Trace:
    return ac.trace(model, TEXT, edit={(0, 1): even})


@pytest.fixture(scope="module")
def patched(model: ac.Model) -> ac.Trace:
    other = ac.trace(model, "the red creature slept", without=[(0, 2)])
    numbers = np.linspace(-1, 1, 128, dtype=np.float32)
    return ac.trace(
        model,
        TEXT,
        patch={
            ac.at.head(0, 3): other,
            ac.at.query(1, 2, position=1): other,
            ac.at.mlp(0): "mean",
            ac.at.residual(1, position=2): numbers,
        },
    )


SAID = {
    "patched": "changed: head 0.3, query of head 1.2 at position 1 as in “the red creature slept” "
    "(without head 0.2 (nothing in its place)), mlp 0 replaced by its mean over the sentence, "
    "stream entering layer 1 at position 2 as given",
    "off": "changed: without heads 0.3, 1.2 (its mean over the sentence in its place)",
    "forced": "changed: pattern forced in head 0.1",
}


@pytest.fixture(params=["off", "forced", "patched"])
def changed(request: pytest.FixtureRequest) -> tuple[ac.Trace, str]:
    return request.getfixturevalue(request.param), SAID[request.param]


def ran(lines: str) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(lines, names)
    return names


def test_a_plain_pass_says_nothing(model: ac.Model) -> None:
    trace = ac.trace(model, TEXT)
    assert trace.changes == Changes() and not trace.changes and str(trace.changes) == ""
    view = View(trace)
    assert "changed" not in repr(trace) + repr(trace.stream()) + view.caption() + files.csv(view)
    assert "changes" not in view.address() and view.opens == "all_heads"
    assert trace.frame().attrs == {"model": "tiny-decoder", "text": TEXT, "changes": ""}
    assert not (trace.heatmap(0, 0).layout.title.text or trace.overview().layout.title.text)
    assert view.as_python().count("\n") == 7 and "without" not in view.as_python()


def test_changes_are_a_frozen_value(model: ac.Model, off: ac.Trace, forced: ac.Trace, even: np.ndarray) -> None:
    assert off.changes == ac.trace(model, TEXT, without=[(0, 3), (1, 2), (0, 3)], replacement="mean").changes
    assert off.changes.without == (("self", 0, 3), ("self", 1, 2))
    assert forced.changes == ac.trace(model, TEXT, edit={(0, 1): even.tolist()}).changes
    assert len({off.changes, forced.changes, Changes(), pickle.loads(pickle.dumps(forced.changes))}) == 3
    assert_array_equal(forced.changes.forced[0].cells, even)
    forced.changes.forced[0].cells[0, 0] = 9  # a fresh array: the value stays as it is
    assert_array_equal(forced.changes.forced[0].cells, even)
    with pytest.raises(AttributeError):
        off.changes.replacement = "zero"  # type: ignore[misc]
    heads = ("self", 1, 0), ("self", 0, 1)
    assert Changes.of((), "zero", dict.fromkeys(heads, even)) == Changes.of(
        (), "zero", dict.fromkeys(reversed(heads), even)
    )  # in whatever order they are named
    with pytest.raises(TypeError):
        changes_from_json({**changes_to_json(off.changes), "without": [["self", True, 0]]})


def test_every_way_out_says_what_was_changed(changed: tuple[ac.Trace, str]) -> None:
    trace, said = changed
    view = View(trace, 1, 0)
    assert repr(trace).endswith(f"heads; {said}>") and repr(trace.stream()).endswith(f"layers; {said}>")
    assert f" · {said} · " in view.caption()
    assert said in files.csv(view)
    for_paper = files.for_paper(files.figure(view), view.caption()).layout.title.text
    assert said in for_paper.replace("<br>", " ")
    content = json.loads(files.json(view))
    assert said in content["caption"] and changes_from_json(content["changes"]) == trace.changes
    with np.load(io.BytesIO(files.npz(view))) as stored:
        assert said in str(stored["caption"])
        assert changes_from_json(json.loads(str(stored["changes"]))) == trace.changes
    page = files.html(view)
    assert page.count(said) == 2  # what is read, and what is opened again
    saved = files.read(page)
    assert said in saved.caption and (saved.page, saved.link) == (view.opens, view.address())
    assert said in ac.show(trace)._repr_html_() and said in repr(ac.show(trace))
    for figure in (trace.heatmap(1, 0), trace.links(1, 0), trace.overview()):
        assert said in figure.layout.title.text.replace("<br>", " ")
    assert f"changed: {trace.to_xarray().attrs['changes']}" == said
    assert f"changed: {trace.frame().attrs['changes']}" == said


def test_a_table_of_many_traces_says_which_of_them_were_changed(model: ac.Model, off: ac.Trace, tmp_path: Path) -> None:
    plain = ac.trace(model, TEXT)
    table = ac.collect([plain, off, plain], ["entropy"])
    file = ac.collect([plain, off, plain], ["entropy"], tmp_path / "x.parquet")
    kept = json.loads(read_metadata(file).metadata[b"changes"])
    assert table.attrs["changes"] == kept == {"1": str(off.changes)}
    assert "changes" not in ac.collect([plain], ["entropy"]).attrs
    assert b"changes" not in read_metadata(ac.collect([plain], ["entropy"], file)).metadata


def test_the_link_switches_the_heads_off_again_or_says_what_it_cannot_do(
    off: ac.Trace, forced: ac.Trace, patched: ac.Trace
) -> None:
    view = View(off, 1, 0)
    assert view.opens == "find_heads"
    link = view.address()
    assert (link["find"], link["off"], link["fill"]) == ("matter", "0.3_1.2", "mean")
    assert View(forced).address()["changes"] == "pattern forced in head 0.1" and View(forced).opens == "all_heads"
    assert View(patched).address()["changes"] == str(patched.changes) and View(patched).opens == "all_heads"
    linked = View(off, page="compare_heads", link={"layer": "1"})  # a page's own link
    assert linked.opens == "compare_heads" and linked.address()["changes"] == str(off.changes)


def test_lines_of_python_give_the_same_changed_pass(changed: tuple[ac.Trace, str]) -> None:
    trace, _ = changed
    again = ran(View(trace, 1, 0).as_python())
    assert again["trace"].changes == trace.changes
    assert_array_equal(again["view"].pattern, trace.pattern(1, 0))
    assert ran("import attn_core as ac\n" + traced.traced(trace))["trace"].changes == trace.changes
    assert ran(heads.without(trace, "self", [(0, 0)], 1, "zero", []))["trace"].changes == trace.changes


def test_a_translators_changes_name_the_stream() -> None:
    model = ac.load("tiny-translator")
    trace = ac.trace(model, "the cat sleeps", target="le chat dort", without=[("cross", 0, 1)])
    assert str(trace.changes) == "without head cross 0.1 (nothing in its place)"
    for name in trace.streams:  # what follows the head is changed, whatever the stream
        assert trace.stream(name).changes == trace.changes
    view = View(trace, stream="cross")
    assert view.address() == {"v": "1", "changes": str(trace.changes)}
    assert ran(view.as_python())["trace"].changes == trace.changes
