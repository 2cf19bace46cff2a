"""The command line refuses what would change nothing, ends quietly, and writes one table for many sentences."""

from __future__ import annotations

import csv
import io
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import attn_core as ac
import attn_core.__main__ as command_line
from attn_core.__main__ import main

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module", autouse=True)
def loaded():
    """The default model is there already, so that the library's own bar of a first load is in nobody's stderr."""
    return ac.load("minilm")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["x", "--kinds", "--word", "3", "--head", "0.1"], "leave out a sentence, --head, --word"),
        (["--kinds", "--out", "kinds.json"], "--out must end with csv, not json"),
        (["x", "--word", "0"], "--word is about pictures, and changes nothing in a csv table"),
        (["--kinds", "--word", "0"], "leave out --word"),
        (["x", "--scale", "linear"], "--scale is about pictures, and changes nothing in a csv table"),
        (["x", "--queries-in", "rows", "--out", "a.npz"], "--queries-in is about pictures"),
        (["x", "--width", "column"], "--width is that of a picture (png, svg, pdf), and changes nothing in a csv file"),
        (["x", "--width", "page", "--out", "a.html"], "--width is that of a picture"),
        (["x", "--width", "poster", "--out", "a.svg"], "'poster' is no width: write column, page, or 50 to 400 mill"),
        (["x", "--width", "nan", "--out", "a.svg"], "'nan' is no width"),
        (["x", "--kinds", "--width", "80"], "leave out a sentence, --width"),
        (["x", "--words", "--out", "a.npz"], "leave out --words"),
        (["x", "--target", "y"], "minilm reads one sentence, and has one stream: leave out --target"),
        (["x", "--stream", "cross"], "leave out --stream"),
        (["x", "--model", "tiny-translator", "--target", "y", "--words"], "reads two sentences: leave out --words"),
        (["x", "--model", "tiny-translator"], "say with --target what it writes"),
    ],
)
def test_options_that_do_not_apply_are_wrong_usage(arguments, said, capsys):
    with pytest.raises(SystemExit) as end:
        main([*arguments, "--quiet"])
    out, err = capsys.readouterr()
    assert end.value.code == 2 and said in err and out == ""


@pytest.mark.parametrize(("said", "width"), [("column", "column"), ("page", "page"), ("120", 120.0), (None, None)])
def test_a_picture_is_as_wide_as_it_is_asked_for(said, width, monkeypatch, tmp_path):
    from attn_core.views import files

    asked = []
    monkeypatch.setattr(files, "picture", lambda view, kind, width=None: asked.append((kind, width)) or b"")
    options = [] if said is None else ["--width", said]
    assert main(["one bird", "--quiet", "--out", str(tmp_path / "a.svg"), *options]) == 0
    assert asked == [("svg", width)]


def test_a_word_that_is_not_there_is_named(tmp_path, capsys):
    assert main(["one bird", "--word", "99", "--quiet", "--out", str(tmp_path / "a.json")]) == 1
    assert "query 99 is out of range: this trace has query 0 to 3" in capsys.readouterr().err


def test_the_output_folder_is_checked_before_anything_is_loaded(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command_line, "_load", lambda *_: pytest.fail("loaded"))
    assert main(["x", "--out", str(tmp_path / "nowhere" / "a.csv")]) == 1
    err = capsys.readouterr().err
    assert err == f"There is no folder {tmp_path / 'nowhere'}: make it first.\n"


def test_several_sentences_on_stdout_are_one_table(monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO("one bird\n\n   \ntwo birds \n"))
    assert main(["--quiet", "--head", "0.2"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert {row["line"] for row in rows} == {"1", "4"} and not any(row["query"] == "query" for row in rows)
    assert [row["caption"] for row in rows if row["caption"]][1].startswith("minilm · head 0.2 · “two birds”")
    assert len(rows) == 2 * 4 * 4


def test_line_numbers_count_blank_lines(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("sys.stdin", io.StringIO("one bird\n\ntwo\n"))
    assert main(["--quiet", "--word", "3", "--out", str(tmp_path / "a.json")]) == 1
    assert capsys.readouterr().err.startswith("Line 3: query 3 is out of range")


def test_ctrl_c_ends_quietly(monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(command_line, "_load", interrupted)
    assert main(["x"]) == 130
    assert capsys.readouterr() == ("", "")


def test_a_reader_that_has_read_enough_is_no_error():
    """Of a process of its own, in another folder."""
    command = f"{sys.executable} -m attn_core 'one bird' --quiet | head -n 1"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=environment, cwd="/")
    assert done.stdout.startswith("query,query_token") and done.stderr == ""


@pytest.mark.house
def test_the_wheel_brings_the_command():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["scripts"] == {"headlight": "attn_core.__main__:main"}
