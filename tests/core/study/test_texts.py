"""Sentences from files of every kind, and the command line that reads them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import pandas as pd
import pyarrow as pa
import pytest

import attn_core as ac
from attn_core.__main__ import main
from attn_core.models import hub
from attn_core.study import open_study
from attn_core.study.data_sets import data_set
from attn_core.study.run import run_study
from attn_core.study.texts import MOST_COLUMNS, Columns, Sentence, read, table, table_at

SAID = ["the creature ate, and slept", "", 'the "old" tower fell']
ROWS = pd.DataFrame({"id": [1, 2, 3], "sentence": SAID, "kind": ["a", "b", "a"], "tags": ["D N", "", "D A N V"]})


def written(folder: Path, kind: str) -> Path:
    path = folder / f"texts.{kind}"
    match kind:
        case "txt":
            path.write_text("\n".join(SAID) + "\n")
        case "csv" | "tsv":
            ROWS.to_csv(path, index=False, sep="\t" if kind == "tsv" else ",")
        case "jsonl":
            ROWS.to_json(path, orient="records", lines=True)
        case "parquet":
            ROWS.to_parquet(path)
    return path


@pytest.mark.parametrize("kind", ["txt", "csv", "tsv", "jsonl", "parquet"])
def test_a_file_of_every_kind_gives_its_sentences_row_by_row(kind: str, tmp_path: Path) -> None:
    path = written(tmp_path, kind)
    assert [own.text for own in read(path)] == SAID  # the column "sentence" is found by its name
    if kind != "txt":
        found = read(path, Columns("sentence", group="kind", labels="tags"))
        assert found[0] == Sentence(SAID[0], "a", ("D", "N")) and found[1].labels == ()
        with pytest.raises(ac.HeadlightError, match="no column 'words'; there are id, sentence, kind, tags"):
            read(path, Columns("words"))


def test_pairs_other_separators_and_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("source;target\nthe cat;le chat\na;\n")
    assert [own.text for own in read(tmp_path / "a.csv", Columns(target="target"))] == [
        ("the cat", "le chat"),
        ("a", ""),
    ]
    (tmp_path / "b.jsonl").write_text('"a plain line"\n\n{"source": null}\n{"source": "x", "more": [1, 2]}\n')
    assert table((tmp_path / "b.jsonl").read_bytes(), "jsonl") == {
        "text": ["a plain line", "", ""],
        "source": ["", "", "x"],
        "more": ["", "", "1 2"],
    }
    (tmp_path / "notes.md").write_text("no sentences")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "2.txt").write_text("second")
    (folder / "1.csv").write_text("\ufefftext\nfirst\n")
    assert [own.text for own in read(folder)] == ["first", "second"]
    assert len(table("\n".join("abc").encode(), "txt", most=2)["text"]) == 2


@pytest.mark.parametrize(
    ("data", "kind", "problem"),
    [
        (b"{", "jsonl", "This is no JSONL file: line 1 is no JSON."),
        (b"[" * 100_000, "jsonl", "This is no JSONL file"),
        (b"," * MOST_COLUMNS, "csv", "more than 100 columns"),
        (b'a\n"' + b"x" * 200_000, "csv", "This is no CSV file: field larger than"),
        (json.dumps({str(i): i for i in range(101)}).encode(), "jsonl", "more than 100 columns"),
        (b"PAR1", "parquet", "This is no Parquet file"),
        (b"", "pdf", "ends with one of txt, csv, tsv, jsonl, parquet, arrow"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(data: bytes, kind: str, problem: str) -> None:
    with pytest.raises(ac.HeadlightError, match=problem):
        table(data, kind)


def test_a_file_without_sentences_or_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("")
    with pytest.raises(ac.HeadlightError, match="holds no sentence"):
        read(tmp_path / "x.csv")
    with pytest.raises(ac.HeadlightError, match="cannot be read: No such file"):
        read(tmp_path / "y.csv")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ac.HeadlightError, match="holds no file of sentences"):
        read(tmp_path / "empty")


# --- Data sets --------------------------------------------------------------------------------------------------------

LABELS = {"names": ["negative", "positive"], "_type": "ClassLabel"}


def test_a_folder_that_the_library_datasets_saved(tmp_path: Path) -> None:
    """As `save_to_disk` writes it: streams of Arrow tables whose head says what labels are called."""
    head = {"huggingface": json.dumps({"info": {"features": {"sentence": {"dtype": "string"}, "label": LABELS}}})}
    for number, (texts, labels) in enumerate([(SAID[:2], [1, 0]), (SAID[2:], [-1])]):
        rows = pa.table({"sentence": texts, "label": pa.array(labels, pa.int64())}).replace_schema_metadata(head)
        path = tmp_path / "data" / "train" / f"data-0000{number}-of-00002.arrow"
        path.parent.mkdir(parents=True, exist_ok=True)
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, rows.schema) as stream:
            stream.write_table(rows)
    (tmp_path / "data" / "train" / "state.json").write_text("{}")
    found = read(tmp_path / "data" / "train", Columns(group="label"))
    assert found == [Sentence(SAID[0], "positive"), Sentence(SAID[1], "negative"), Sentence(SAID[2], "-1")]
    assert table_at(tmp_path / "data" / "train", most=1) == {"sentence": SAID[:1], "label": ["positive"]}
    with pytest.raises(ac.HeadlightError, match="holds no file of sentences.* Name one of the folders in it: train"):
        read(tmp_path / "data")
    with pytest.raises(ac.HeadlightError, match="This is no Arrow file"):
        table(b"ARROW1", "arrow")


def test_a_folder_of_files_without_a_common_column(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text\na")
    (tmp_path / "b.csv").write_text("words\nb")
    with pytest.raises(ac.HeadlightError, match="have no column in common"):
        read(tmp_path)


class Rows(list[dict[str, object]]):
    """Rows as `datasets` streams them."""

    features: ClassVar = {"label": SimpleNamespace(names=LABELS["names"]), "text": SimpleNamespace()}


def stub(monkeypatch: pytest.MonkeyPatch, answer: object) -> list[tuple[object, ...]]:
    """A library `datasets` that answers so, and a hub that is there; gives what it is asked for."""
    asked: list[tuple[object, ...]] = []

    def load_dataset(name: str, subset: str | None, split: str | None, streaming: bool) -> object:
        asked.append((name, subset, split, streaming))
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    monkeypatch.setattr(hub, "require_network", lambda: None)
    return asked


def test_a_data_set_by_name_is_read_as_far_as_it_is_needed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = Rows({"text": f"the {a} creature", "label": i % 2} for i, a in enumerate(["blue", "old", "red", "a"]))
    asked = stub(monkeypatch, {"train": rows, "test": Rows()})
    expected = {"text": ["the blue creature", "the old creature"], "label": ["negative", "positive"]}
    assert data_set("some/name", most=2) == expected and asked == [("some/name", None, None, True)]
    out = tmp_path / "heads.csv"
    said = ["--data-set", "some/name", "--subset", "x", "--split", "train", "--measures", "entropy"]
    stub(monkeypatch, rows)
    assert main(["study", *said, "--model", "tiny-decoder", "--out", str(out)]) == 0
    assert "at most the first 10,000 rows of some/name" in capsys.readouterr().err
    texts = [str(row["text"]) for row in rows]
    assert pd.read_csv(out)["mean"].to_numpy() == pytest.approx(
        run_study("tiny-decoder", texts, measures=["entropy"]).frame()["mean"]
    )


def test_why_a_data_set_cannot_be_read_is_said(monkeypatch: pytest.MonkeyPatch, operator_sets) -> None:  # type: ignore[no-untyped-def]
    for error, said in [
        (ConnectionError("x"), "the connection to the hub broke off"),
        (ValueError("Bad split: x. Available splits: ['train']"), "Available splits"),
    ]:
        stub(monkeypatch, error)
        with pytest.raises(ac.HeadlightError, match=said):
            data_set("some/name")
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace())
    monkeypatch.setattr(hub, "_answers", lambda: False)
    with pytest.raises(ac.NoNetwork, match="so the data set some/name cannot be read. A file or a folder can"):
        data_set("some/name")
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ac.HeadlightError, match="need the package datasets: pip install headlight-attention"):
        data_set("some/name")
    with pytest.raises(ac.HeadlightError, match="Name a data set"):
        data_set(" ")
    operator_sets(HEADLIGHT_MODE="public")
    with pytest.raises(ac.HeadlightError, match="A hosted Headlight brings no data sets"):
        data_set("some/name")


# --- The command line -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sentences(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("texts") / "texts.parquet"
    texts = [f"the {a} creature {v}" for a in ("blue", "old", "red") for v in ("ate", "slept", "fell", "saw")] * 2
    pd.DataFrame({"id": range(24), "words": texts, "half": ["a", "b"] * 12}).to_parquet(path)
    return path


def test_shards_on_the_command_line_merge_to_what_the_library_gives(
    sentences: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [
        "--model",
        "tiny-decoder",
        "--column",
        "words",
        "--measures",
        "entropy,sink",
        "--rule",
        "n = ate -> creature",
    ]
    parts = [str(tmp_path / f"part-{number}.parquet") for number in range(2)]
    for number, part in enumerate(parts):
        assert main(["study", str(sentences), *options, "--shard", f"{number}/2", "--out", part]) == 0
    assert main(["study", "--merge", parts[1], "--out", str(tmp_path / "half.csv"), "--quiet"]) == 0
    assert "Not all of it: of 2 shards these are missing: 0.\n" in capsys.readouterr().err
    assert main(["study", "--merge", *reversed(parts), "--out", str(tmp_path / "all.csv")]) == 0
    said = capsys.readouterr().err
    assert "24 sentences (0 without one, 12 said twice, 0 cut)" in said and "missing" not in said
    assert main(["study", "--merge", *parts, "--out", str(tmp_path / "all.parquet"), "--quiet"]) == 0
    texts = [own.text for own in read(sentences, Columns("words"))]
    expected = run_study("tiny-decoder", texts, measures=["entropy", "sink"], rules=["n = ate -> creature"]).frame()
    found = pd.read_csv(tmp_path / "all.csv")
    assert list(found) == ["stream", "layer", "head", "measure", "n", "mean", "low", "high"]
    pd.testing.assert_frame_equal(found, expected, check_exact=False, rtol=0, atol=1e-6, check_dtype=False)
    kept = open_study(tmp_path / "all.parquet").frame()
    assert kept.to_csv(index=False) == (tmp_path / "all.csv").read_text()


def test_two_groups_on_the_command_line(sentences: Path, tmp_path: Path) -> None:
    out = tmp_path / "differences.csv"
    options = ["--model", "tiny-decoder", "--column", "words", "--group-column", "half", "--measures", "entropy"]
    assert main(["study", str(sentences), *options, "--compare", "a", "b", "--out", str(out), "--quiet"]) == 0
    assert {"difference", "low", "high", "p", "q"} <= {*pd.read_csv(out)}


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["--out", "x.csv"], 2, "give a file of sentences, a --data-set, or --merge"),
        (["texts.csv", "--out", "x.png"], 2, "must end with .parquet or .csv"),
        (["texts.csv", "--shard", "2/2", "--out", "x.csv"], 2, "is no shard; write K/N"),
        (["texts.csv", "--compare", "a", "b", "--out", "x.parquet"], 2, "--compare writes a table"),
        (["missing.csv", "--out", "x.csv"], 1, "cannot be read"),
        (["--merge", "missing.parquet", "--out", "x.csv"], 1, "There is no file missing.parquet"),
    ],
)
def test_wrong_usage_is_said(arguments: list[str], status: int, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        ended = main(["study", *arguments])
    except SystemExit as error:
        ended = int(str(error.code))
    assert ended == status and said in capsys.readouterr().err


def test_the_number_type_of_the_weights_is_part_of_a_study(sentences: Path, tmp_path: Path, capsys) -> None:  # type: ignore[no-untyped-def]
    options = [str(sentences), "--model", "tiny-decoder", "--column", "words", "--measures", "entropy", "--quiet"]
    parts = [str(tmp_path / f"part-{number}.parquet") for number in range(2)]
    for number, kind in enumerate(["float32", "bfloat16"]):
        said = ["--shard", f"{number}/2", "--dtype", kind, "--out", parts[number]]
        assert main(["study", *options, *said]) == 0
    assert main(["study", "--merge", *parts, "--out", str(tmp_path / "both.csv")]) == 1
    assert "weights" in capsys.readouterr().err
    texts = [own.text for own in read(sentences, Columns("words"))]
    half = ac.load("tiny-decoder", dtype="bfloat16")
    expected = run_study(half, texts, measures=["entropy"], shard=(1, 2)).frame()
    pd.testing.assert_frame_equal(open_study(parts[1]).frame(), expected)
    assert main(["study", *options, "--device", "no-such", "--out", str(tmp_path / "x.csv")]) == 1
    assert "no-such" in capsys.readouterr().err
