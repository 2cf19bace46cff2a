"""What is taken away: files are read back by other programs' readers and compared with the trace."""

import base64
import csv
import io
import json
import os
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image
from plotly.colors import sample_colorscale

import attn_core as ac
from attn_core.__main__ import main
from attn_core.figures.colours import SEQUENTIAL, channels, roles, shade
from attn_core.figures.paper.faces import FACES, _page
from attn_core.figures.paper.vectors import with_vector_cells
from attn_core.heads import baselines
from attn_core.views import files
from attn_core.views.snippets import compare as snippets
from attn_core.views.view import View

SENTENCE = "a fluffy blue creature roamed the verdant forest"
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def model():
    return ac.load("minilm")


@pytest.fixture(scope="module")
def trace(model):
    return ac.trace(model, SENTENCE)


@pytest.fixture(scope="module")
def causal():
    return ac.trace(ac.load("tiny-decoder"), "the blue creature and the green creature ate")


@pytest.fixture(scope="module")
def translation():
    return ac.trace(ac.load("tiny-translator"), "the black cat sleeps", target="le chat noir dort")


def numbers_in(page):
    """What the offline file holds, read without our own reader."""
    _, _, rest = page.partition('id="headlight-numbers">')
    return json.loads(rest.partition("</script>")[0])


def test_csv_is_read_back_to_the_same_numbers(trace):
    frame = pd.read_csv(io.StringIO(files.csv(View(trace, 0, 3))), keep_default_na=False)
    assert_allclose(frame.weight.astype(float).to_numpy().reshape(13, 13), trace.pattern(0, 3), atol=1e-9)
    assert list(frame.key_token[:13]) == trace.tokens.labels
    assert frame.caption[0] == f"minilm · head 0.3 · “{SENTENCE}” · √ colour scale · Headlight 0.1.0"


def test_masked_cells_have_no_weight_in_any_file(causal):
    view = View(causal, 1, 0)
    cells = list(csv.DictReader(io.StringIO(files.csv(view))))
    above = [cell for cell in cells if int(cell["key"]) > int(cell["query"])]
    assert above and all(cell["weight"] == "" and cell["masked"] == "yes" for cell in above)
    assert all(cell["weight"] and cell["masked"] == "no" for cell in cells if cell not in above)
    weights = json.loads(files.json(view))["weights"]
    assert weights[0][1] is None and weights[1][0] is not None


def test_hidden_specials_are_renormalised_and_the_file_says_so(trace):
    view = View(trace, 0, 3, hide_sink=True)
    content = json.loads(files.json(view))
    assert [key["token"] for key in content["keys"]] == trace.tokens.labels[1:-1]
    assert content["queries"][0]["positions"] == [1]
    own = trace.pattern(0, 3)[1:-1, 1:-1]
    assert_allclose(np.array(content["weights"]), own / own.sum(axis=1, keepdims=True), atol=1e-6)
    assert "special tokens hidden, renormalised" in content["caption"]


def test_words_and_means_are_exported_as_they_are_shown(trace):
    content = json.loads(files.json(View(trace, 2, 5, words=True, mean="heads")))
    assert [word["token"] for word in content["keys"]] == trace.tokens.word_labels
    assert_allclose(np.array(content["weights"]).sum(axis=1), 1, atol=1e-5)
    assert "the mean of layer 2's heads" in content["caption"] and "whole words" in content["caption"]


def test_npz_holds_every_head(trace):
    with np.load(io.BytesIO(files.npz(View(trace)))) as stored:
        assert stored["patterns"].shape == (6, 12, 13, 13)
        assert_array_equal(stored["patterns"][4, 7], trace.pattern(4, 7))
        assert_array_equal(stored["value"][1, 2], trace.value(1, 2))
        assert_allclose(stored["delta_e_sizes"][2, 3], np.linalg.norm(trace.delta_e(2, 3), axis=-1), rtol=1e-5)
        assert list(stored["keys"]) == trace.tokens.labels and "minilm" in str(stored["caption"])


def test_the_offline_file_holds_every_head_to_a_thousandth_of_a_percent(trace, causal):
    numbers = numbers_in(files.html(View(trace, 0, 3)))
    cells = np.frombuffer(base64.b64decode(numbers["cells"]), "<u2").reshape(6, 12, 13, 13)
    assert_allclose(cells / 65_534, np.stack([trace.patterns(layer) for layer in range(6)]), atol=1e-5)
    numbers = numbers_in(files.html(View(causal, 0, 0)))
    n = len(causal.tokens)
    cells = np.frombuffer(base64.b64decode(numbers["cells"]), "<u2").reshape(causal.n_layers, causal.n_heads, n, n)
    assert_array_equal(cells[0, 0] == 65_535, ~causal.may_look(0))


def test_the_offline_file_is_small_and_asks_no_other_host(model):
    words = " ".join(["bird"] * 62)
    page = files.html(View(ac.trace(model, words)))
    assert len(ac.trace(model, words).tokens) == 64
    assert len(page.encode()) < 1_000_000
    assert not [
        word
        for word in ("http:", "https:", "src=", "href=", "import(", "fetch(", "@import")
        if word in page.replace("http://www.w3.org", "")
    ]


def test_a_long_sentence_keeps_the_opened_head_in_full_and_says_so(model):
    trace = ac.trace(model, " ".join(["bird"] * 400))
    page = files.html(View(trace, 2, 1))
    numbers = numbers_in(page)
    assert not numbers["every"] and len(page.encode()) < 8_000_000
    cells = np.frombuffer(base64.b64decode(numbers["cells"]), "<u2").reshape(402, 402)
    assert_allclose(cells / 65_534, trace.pattern(2, 1), atol=1e-5)


def test_a_saved_view_is_opened_again(trace):
    view = View(trace, 2, 5, hide_sink=True, query=4, queries_in="columns")
    saved = files.read(files.html(view).encode())
    assert (saved.page, saved.caption) == ("all_heads", view.caption())
    assert saved.link == {
        "v": "1",
        "model": "minilm",
        "text": SENTENCE,
        "layer": "2",
        "head": "5",
        "query": "4",
        "mean": "one",
        "unit": "pieces",
        "specials": "hide",
        "scale": "sqrt",
        "queries": "columns",
    }
    other = files.read(files.html(View(trace, page="delta_e", link={"text": SENTENCE, "word": "4"})))
    assert (other.page, other.link) == ("delta_e", {"v": "1", "text": SENTENCE, "word": "4"})


@pytest.mark.parametrize(
    "content",
    [
        "",
        "<html></html>",
        b"\xff\xfe\x00",
        '<script type="application/json" id="headlight-view">{</script>',
        '<script type="application/json" id="headlight-view">[1]</script>',
        '<script type="application/json" id="headlight-view">' + "[" * 100_000 + "</script>",
        '<script type="application/json" id="headlight-view">{"page":"all_heads","link":{"a":1},"caption":""}</script>',
        '<script type="application/json" id="headlight-view">{"page":"all_heads","link":3,"caption":""}</script>',
    ],
)
def test_what_is_no_saved_view_is_refused_in_one_sentence(content):
    with pytest.raises(ac.HeadlightError, match="saved view"):
        files.read(content)


def test_a_file_of_many_beginnings_and_no_end_is_read_in_a_moment():
    opener = '<script type="application/json" id="headlight-view">'
    start = time.thread_time()
    with pytest.raises(ac.HeadlightError, match="saved view"):
        files.read(opener * (8_000_000 // len(opener)))
    assert time.thread_time() - start < 30  # a search that begins anew at each opener takes more than an hour


def test_nothing_typed_can_leave_its_place_in_the_file(model):
    nasty = "</script><script>alert(1)</script> <!-- <img src=x onerror=alert(2)>"
    page = files.html(View(ac.trace(model, nasty)))
    assert "<script>alert" not in page and "<img" not in page and "<!--" not in page
    assert page.count("</script>") == 3
    assert files.read(page).link["text"] == nasty


def test_cross_attention_has_two_sentences(translation):
    content = json.loads(files.json(View(translation, 0, 1, stream="cross")))
    asks, answers = translation.tokens_of("cross")
    assert [word["token"] for word in content["queries"]] == asks.labels
    assert [word["token"] for word in content["keys"]] == answers.labels
    assert_allclose(np.array(content["weights"]), translation.pattern(0, 1, stream="cross"), atol=1e-6)
    numbers = numbers_in(files.html(View(translation, 0, 1, stream="cross")))
    assert [len(side["labels"]) for side in numbers["links"]["sides"]] == [len(asks), len(answers)]
    assert not numbers["links"]["same"]


@pytest.fixture(scope="module")
def drawing(causal):
    """One drawing for those who read what is in it: a browser starts for each."""
    return files.picture(View(causal, 0, 1, query=2), "svg").decode()


def test_a_picture_shows_its_labels_and_its_caption(drawing):
    assert all(said in drawing for said in ("creature", "head 0.1", "query (asks)", "Headlight 0.1.0"))
    assert "data:image/png" not in drawing  # cells are vectors


def test_a_bitmap_has_the_pictures_size_and_its_masked_cells_are_hatched(causal):
    view, n = View(causal, 0, 1, query=2), len(causal.tokens)
    figure = files.for_paper(files.figure(view), view.caption())
    image = Image.open(io.BytesIO(files.picture(view, "png"))).convert("RGB")
    assert image.size == (3 * 760, 3 * int(figure.layout.height))  # three of the file's pixels make one
    margin = figure.layout.margin
    wide, high = 760 - margin.l - margin.r, figure.layout.height - margin.t - margin.b
    nothing = tuple(channels(SEQUENTIAL["light"][0]))

    def colours_of(query, key):
        left, top = margin.l + key * wide / n, margin.t + query * high / n
        box = [3 * (left + 3), 3 * (top + 3), 3 * (left + wide / n - 3), 3 * (top + high / n - 3)]
        return {colour for _, colour in image.crop(tuple(map(round, box))).getcolors(100_000)}

    for query, key in ((0, n - 1), (3, 5), (n - 2, n - 1)):
        assert nothing not in colours_of(query, key) and len(colours_of(query, key)) > 1
    for query, key in ((0, 0), (5, 3), (n - 1, n - 2)):
        assert len(colours_of(query, key)) == 1


@pytest.mark.parametrize(("kind", "scale"), [("decoder", "linear"), ("cross", "sqrt")])
def test_a_turned_bitmaps_pixels_are_the_views_weights_and_frame(causal, translation, kind, scale):
    """An eye sees pixels: specials hidden, queries in columns, one causal head and one that reads another sentence."""
    if kind == "decoder":
        view = View(causal, 0, 1, query=3, hide_sink=True, queries_in="columns", scale=scale)
    else:
        view = View(translation, 0, 1, stream="cross", query=3, queries_in="columns", scale=scale)
    figure = files.for_paper(files.figure(view), view.caption())
    weights, margin = np.where(view.may_look, view.pattern, np.nan).T, figure.layout.margin  # [key, query]: as it lies
    image = Image.open(io.BytesIO(files.picture(view, "png"))).convert("RGB")
    down, across = weights.shape
    wide, high = (760 - margin.l - margin.r) / across, (figure.layout.height - margin.t - margin.b) / down

    def pixel(x, y):
        return np.array(image.getpixel((round(3 * (margin.l + x)), round(3 * (margin.t + y)))), int)

    for key, query in np.ndindex(down, across):
        x, y = (query + 0.5) * wide, (key + 0.5) * high
        if np.isnan(weights[key, query]):  # hatched: in two colours, whatever the pixel that is met
            assert len({tuple(pixel(x + i / 3, y)) for i in range(-30, 31)}) > 1
            continue
        share = weights[key, query] ** (0.5 if scale == "sqrt" else 1)
        assert np.abs(pixel(x, y) - channels(shade(SEQUENTIAL["light"], share))).max() <= 16, (key, query)
    chosen = [place[0] for place in view.sides[0].places].index(3)
    asks = np.array(channels(roles("light")["query"]))
    for edge in (chosen, chosen + 1):  # the frame stands around the whole column of the query
        assert np.abs(pixel(edge * wide, 1.5 * high) - asks).max() <= 90, edge
    beside = chosen - 1 if chosen else across
    assert np.abs(pixel(beside * wide + (1 if not beside else 0), 1.5 * high) - asks).max() > 90


def test_a_column_of_a_paper_has_letters_that_can_be_read(causal):
    made = files.picture(View(causal, 0, 1), "svg", width="column").decode()
    assert re.search(r'<svg[^>]* width="312"', made)
    sizes = [float(size) for size in re.findall(r"font-size: ([0-9.]+)px", made)]
    assert min(sizes) * 72 / 96 >= 7  # points: nothing was shrunk
    printed = files.content(View(causal, 0, 1), "pdf", width=100)
    assert printed.startswith(b"%PDF") and (b"FontFile" in printed or b"/FontDescriptor" in printed)
    fonts = {name.decode() for name in re.findall(rb"/FontName /[A-Z]+\+(\w+)", printed)}
    assert fonts == {"HeadlightSans", "HeadlightCode"}  # of no machine's own


def test_a_drawing_brings_its_letters_along(causal, drawing):
    """One rule for each face that it names, with the whole face in it, wherever the file is opened."""
    assert ElementTree.fromstring(drawing).tag.endswith("svg")
    scripts = re.findall(r'<script src="([^"]+)"', _page().generate_index())
    assert len(scripts) == 2 and all(source.startswith("file:") for source in scripts)  # nothing is fetched for it
    rules = re.findall(r'@font-face{font-family:"([^"]+)";[^}]*base64,([^)]+)\)}', drawing)
    assert {family for family, _ in rules} == {"Headlight Sans", "Headlight Code"} and len(rules) == 2
    for family, face in rules:
        assert base64.b64decode(face) == (ROOT / "assets" / "fonts" / f"{FACES[family]}.woff2").read_bytes()
    for width in ("poster", 10, 1_000):
        with pytest.raises(ValueError, match='width is "column", "page" or 50 to 400 millimetres'):
            files.picture(View(causal), "svg", width=width)
    with pytest.raises(ValueError, match="width= is that of a picture"):
        files.content(View(causal), "csv", width="column")


def test_cells_as_vectors_have_the_colours_of_the_heatmap(causal):
    figure = files.figure(View(causal, 0, 1))
    (heatmap,) = [trace for trace in figure.data if trace.type == "heatmap"]
    made = with_vector_cells(figure)
    assert [trace.type for trace in figure.data].count("heatmap") == 1  # the figure itself is as it was
    assert not any(trace.type == "heatmap" for trace in made.data)
    cells = [shape for shape in made.layout.shapes if shape.type == "path"]
    drawn = {}
    for shape in cells:
        for x, y in re.findall(r"M(-?[0-9.]+),(-?[0-9.]+)L", shape.path):
            drawn[round(float(y) + 0.5), round(float(x) + 0.5)] = shape.fillcolor
    numbers = np.array(heatmap.z, float)
    assert drawn.keys() == {(q, k) for q, k in zip(*np.nonzero(np.isfinite(numbers)), strict=True)}
    (darkest,) = {drawn[place] for place in [np.unravel_index(np.nanargmax(numbers), numbers.shape)]}
    share = np.nanmax(numbers)
    assert darkest == sample_colorscale([list(stop) for stop in heatmap.colorscale], [round(share * 255) / 255])[0]
    assert [trace.marker.showscale for trace in made.data if trace.type == "scatter"].count(True) == 1


def test_without_kaleido_a_picture_names_the_extra(trace, monkeypatch):
    monkeypatch.setattr(files, "find_spec", lambda name: None)
    with pytest.raises(ac.HeadlightError, match=r"package kaleido: pip install headlight-attention\[pictures\]"):
        files.picture(View(trace), "png")


def test_without_a_browser_a_picture_says_what_to_do(trace, monkeypatch):
    def no_browser(*_, **__):
        raise RuntimeError("chrome not found")

    monkeypatch.setattr("kaleido.calc_fig_sync", no_browser)
    with pytest.raises(ac.HeadlightError, match="needs Chrome"):
        files.picture(View(trace), "png")


def test_an_unknown_kind_of_file_is_refused(trace):
    with pytest.raises(ValueError, match="'exe' is no kind of file"):
        files.content(View(trace), "exe")


def test_a_notebook_gets_one_self_contained_frame(trace):
    shown = ac.show(trace, 0, 3)._repr_html_()
    assert shown.startswith("<iframe") and shown.count("<") == 2 and "headlight-numbers" in shown
    with pytest.raises(IndexError, match="head 12 is out of range"):
        ac.show(trace, 0, 12)


def test_the_lines_that_reproduce_a_view_do_so(trace, translation):
    views = [
        View(trace, 0, 3),
        View(trace, 2, 5, hide_sink=True, words=True, mean="heads", scale="linear", queries_in="columns", query=4),
        View(translation, 0, 1, stream="cross"),
    ]
    for view in views:
        names: dict = {}
        exec(view.as_python(), names)
        assert_allclose(names["view"].pattern, view.pattern, atol=1e-6)
        assert names["view"].caption() == view.caption() and names["view"].query == view.query


def test_the_lines_give_ids_own_models_and_cuts_as_they_were(trace, translation, model):
    translator = ac.load("tiny-translator")
    own = ac.wrap(model.hf, model.tokenizer, name="mine")
    source, target = (translation.stream(name).tokens.ids for name in ("encoder", "decoder"))
    with pytest.warns(ac.TextWasCut):
        cut = ac.trace(model, SENTENCE, limit=5)
    for made in (
        ac.trace(model, [2, 5, 5, 3]),  # ids that no text gives
        ac.trace(translator, source, target=target),
        ac.trace(own, SENTENCE, patch={ac.at.head(0, 1): ac.trace(own, trace.tokens.ids)}),
        cut,
    ):
        view = View(made, 0, 1, stream=made.streams[-1])
        names: dict = {"hf_model": model.hf, "tokenizer": model.tokenizer}
        exec(view.as_python(), names)
        again = names["trace"]
        assert again.stream(made.streams[0]).tokens == made.stream(made.streams[0]).tokens
        assert (repr(again), again.changes, again.wrapped) == (repr(made), made.changes, made.wrapped)
        assert_array_equal(names["view"].pattern, view.pattern)


def test_the_lines_of_a_comparison_give_every_panel(trace, translation):
    panel = snippets.ComparedPanel
    lines = snippets.compared(
        [
            panel("a", trace, "minilm", "self", 2, 5, "mean"),
            panel("b", translation, "tiny-translator", "decoder", 0, 1, "shuffled", 2),
            panel("c", translation, "tiny-translator", "cross", 0, 1, "shuffled", 2),
        ]
    )
    names: dict = {}
    exec(lines, names)
    assert_allclose(names["a"], trace.patterns(2).mean(axis=0), atol=1e-6)
    source, target = (translation.stream(name).tokens for name in ("encoder", "decoder"))
    model = ac.load("tiny-translator")
    orders = [baselines.shuffled(target.ids, target.special, seed) for seed in range(2)]
    each = [ac.trace(model, source.ids, target=order).pattern(0, 1, stream="decoder") for order in orders]
    assert_allclose(names["b"], np.mean(each, axis=0), atol=1e-6)
    orders = [baselines.shuffled(source.ids, source.special, seed) for seed in range(2)]
    each = [ac.trace(model, order, target=target.ids).pattern(0, 1, stream="cross") for order in orders]
    assert_allclose(names["c"], np.mean(each, axis=0), atol=1e-6)


def test_a_view_that_cannot_be_shown_is_refused_at_once(trace, translation):
    for wrong, said in (
        ({"scale": "log"}, "scale must be one of 'sqrt', 'linear'; got 'log'"),
        ({"mean": "layer"}, "mean must be one of 'one', 'heads', 'layers', 'all'"),
        ({"queries_in": "x"}, "queries_in must be one of 'rows', 'columns'"),
        ({"head": 99}, "head 99 is out of range"),
        ({"layer": 6}, "layer 6 is out of range"),
        ({"query": 13}, "query 13 is out of range: this trace has query 0 to 12"),
        ({"stream": "cross"}, "stream must be one of 'self'"),
    ):
        with pytest.raises((ValueError, IndexError), match=said):
            View(trace, **wrong)
    with pytest.raises(ValueError, match="stream must be one of 'encoder', 'decoder', 'cross'"):
        View(translation)
    with pytest.raises(IndexError, match="query 99"):
        ac.show(trace, query=99)


def test_paths_may_be_plain_text(trace, tmp_path):
    files.save(View(trace), str(tmp_path / "a.csv"))
    assert (tmp_path / "a.csv").read_text(encoding="utf-8") == files.csv(View(trace))


def test_what_the_library_has_can_be_found():
    names = dir(ac)
    assert {"trace", "show", "unwrap", "TextWasCut", "heads", "figures", "views", "capture"} <= set(names)
    assert all(hasattr(ac, name) for name in names) and ac.__version__ == "0.1.0"


def test_the_example_notebook_runs():
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(ROOT / "examples" / "headlight.ipynb", as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(ROOT)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert any("headlight-numbers" in output.get("data", {}).get("text/html", "") for output in outputs)
    assert any("Parity(" in output.get("data", {}).get("text/plain", "") for output in outputs)


# --- The command line ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["html", "csv", "json", "npz"])
def test_the_command_line_writes_what_the_name_asks_for(tmp_path, kind, trace, capsys):
    marked = [] if kind in ("csv", "npz") else ["--word", "4"]
    assert main([SENTENCE, "--head", "0.2", "--out", str(tmp_path / f"view.{kind}"), *marked]) == 0
    assert (tmp_path / f"view.{kind}").read_bytes() == files.content(View(trace, 0, 2, query=4), kind)
    said = capsys.readouterr()
    assert said.out == "" and "Loading minilm" in said.err and f"view.{kind}" in said.err


def test_each_line_of_stdin_is_a_sentence(model, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO("one bird\n\n  two birds \n"))
    assert main(["--out", str(tmp_path / "view.json"), "--quiet"]) == 0
    made = sorted(path.name for path in tmp_path.iterdir())
    assert made == ["view-1.json", "view-3.json"]  # by the numbers of their lines
    assert "“two birds”" in json.loads((tmp_path / "view-3.json").read_text(encoding="utf-8"))["caption"]
    assert capsys.readouterr().err == ""


def test_one_bad_line_does_not_stop_the_others(model, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO("one bird\ntwo birds\n"))
    (tmp_path / "view-1.csv").mkdir()
    assert main(["-", "--out", str(tmp_path / "view.csv"), "--quiet"]) == 1
    assert (tmp_path / "view-2.csv").is_file()
    assert capsys.readouterr().err.startswith("Line 1: ")


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["x", "--model", "nope"], 1, "There is no model called 'nope' here."),
        (["x", "--head", "7.0"], 1, "layer 7 is out of range"),
        (["   "], 1, "There is no word here yet."),
        (["x", "--head", "3"], 2, "'3' is no head; write LAYER.HEAD"),
        (["x", "--out", "a.exe"], 2, "'a.exe' must end with one of html"),
        (["x", "--nonsense"], 2, "unrecognized arguments"),
    ],
)
def test_what_went_wrong_is_one_line_and_an_exit_status(arguments, status, said, capsys):
    try:
        given = main(arguments)
    except SystemExit as end:
        given = end.code
    out, err = capsys.readouterr()
    assert given == status and said in err and "Traceback" not in err and out == ""


def test_without_a_file_the_numbers_go_to_stdout(capsys):
    assert main([SENTENCE, "--head", "0.2"]) == 0
    out, err = capsys.readouterr()
    rows = list(csv.DictReader(io.StringIO(out)))
    assert len(rows) == 169
    assert max(rows[4 * 13 : 5 * 13], key=lambda row: float(row["weight"]))["key_token"] == "blue"
    assert err.splitlines()[0].startswith("Loading minilm")


def test_help_names_every_option():
    command = [sys.executable, "-m", "attn_core", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 0
    assert all(option in done.stdout for option in ("--model", "--head", "--out", "--target", "stdin", "Exit status"))


def test_the_command_line_writes_the_kind_and_measures_of_every_head(tmp_path):
    from attn_core.heads.kinds import COLUMNS

    assert main(["--kinds", "--quiet", "--out", str(tmp_path / "heads.csv")]) == 0
    table = pd.read_csv(tmp_path / "heads.csv")
    assert len(table) == 72 and {"layer", "head", "kind", *COLUMNS} <= set(table)
