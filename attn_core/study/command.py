"""The command line of a study: a file of sentences in, a table of every head out.

headlight study texts.csv --column sentence --out heads.csv
headlight study texts.parquet --shard 2/8 --out part-2.parquet      # one of eight, on each of eight machines
headlight study --data-set nyu-mll/glue --subset sst2 --split validation --out heads.csv
headlight study --merge part-*.parquet --out heads.csv
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from attn_core.errors import HeadlightError
from attn_core.study.texts import KINDS, Columns, Table

Say = Callable[[str], None]
TYPES = ("float32", "bfloat16", "float16")
OFTEN = 5.0  # seconds between two lines of progress


def parser() -> argparse.ArgumentParser:
    """What can be said on the command line of a study."""
    made = argparse.ArgumentParser(
        prog="headlight study",
        description="Measure every head over many sentences: means with 95 % intervals.",
        epilog="A study that was stopped goes on from its .parquet file when the same command is given again.",
    )
    made.add_argument("texts", nargs="?", type=Path, help=f"a file of sentences ({', '.join(KINDS)}), or a folder")
    made.add_argument("--data-set", default="", metavar="NAME", help="a data set of the hub instead (package datasets)")
    made.add_argument("--subset", default="", help="of the data set, where it has several")
    made.add_argument("--split", default="", help="of the data set, as validation (default: the first)")
    made.add_argument("--model", default="minilm", help="a catalogue name, a folder, or a hub id (default: minilm)")
    made.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help=".parquet: sums that can be merged; .csv: the table"
    )
    made.add_argument("--column", default="", help="where the sentences are (default: text, sentence, or the first)")
    made.add_argument("--target-column", default="", help="where the second text of a pair, or a translation, is")
    made.add_argument("--group-column", default="", help="where their groups are")
    made.add_argument("--labels-column", default="", help="where a label for each of their words is")
    made.add_argument("--measures", help="names with commas between them (default: all)")
    made.add_argument(
        "--rule", action="append", default=[], metavar="RULE", help='"it = he she it -> label:NOUN, nearest before"'
    )
    made.add_argument("--compare", nargs=2, metavar="GROUP", help="with .csv: two groups, difference, interval, p, q")
    made.add_argument("--shard", type=_shard, default=(0, 1), metavar="K/N", help="part K of N, counted from 0")
    made.add_argument("--seed", type=int, default=0, help="of the bootstrap (default: 0)")
    made.add_argument("--merge", nargs="+", type=Path, metavar="FILE", help="put shards together; reads no model")
    made.add_argument("--device", default="cpu", help="where the model runs, as cuda (default: cpu)")
    made.add_argument("--dtype", choices=TYPES, default=TYPES[0], help=f"of its weights (default: {TYPES[0]})")
    made.add_argument("--quiet", action="store_true", help="no progress on stderr")
    return made


def main(arguments: Sequence[str]) -> int:
    """Do what the command line of a study asks; gives the exit status."""
    line = parser()
    asked = line.parse_args(arguments)
    if sum(map(bool, (asked.texts, asked.data_set, asked.merge))) != 1:
        line.error("give a file of sentences, a --data-set, or --merge with results")
    if asked.out.suffix not in (".parquet", ".csv"):
        line.error(f"--out must end with .parquet or .csv, not {asked.out.suffix or asked.out.name}")
    if asked.compare and asked.out.suffix != ".csv":
        line.error("--compare writes a table: --out must end with .csv")
    try:
        _write(asked, (lambda said: None) if asked.quiet else _say)
    except (HeadlightError, ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyError as error:
        print(f"There is no group {error}.", file=sys.stderr)
        return 1
    return 0


def _write(asked: argparse.Namespace, say: Say) -> None:
    from attn_core.models.loading import load
    from attn_core.models.startup import lean_imports
    from attn_core.study.merging import merge
    from attn_core.study.run import run_study
    from attn_core.study.texts import sentences

    is_table = asked.out.suffix == ".csv"
    if asked.merge:
        result = merge(asked.merge)
    else:
        lean_imports.leave_out()
        columns = Columns(asked.column, asked.target_column, asked.group_column, asked.labels_column)
        result = run_study(
            load(asked.model, device=asked.device, dtype=asked.dtype),
            sentences(_table(asked, say), columns),
            measures=asked.measures.split(",") if asked.measures else None,
            rules=asked.rule,
            shard=asked.shard,
            seed=asked.seed,
            path=None if is_table else asked.out,
            progress=_progress(say),
        )
    if asked.compare:
        result.compare(*asked.compare).to_csv(asked.out, index=False)
    elif is_table:
        result.frame().to_csv(asked.out, index=False)
    elif asked.merge:
        result.save(asked.out)
    counts = f"{result.unread} without one, {result.duplicates} said twice, {result.cut} cut"
    missing = sorted(set(range(result.about.n_shards)) - set(result.shards)) if asked.merge else []
    if missing:
        _say(f"Not all of it: of {result.about.n_shards} shards these are missing: {', '.join(map(str, missing))}.")
    say(f"Wrote {asked.out}: {result.n:,} sentences ({counts}).")


def _table(asked: argparse.Namespace, say: Say) -> Table:
    """The rows of a file or folder, or as many of a data set as its shards may have."""
    from attn_core.study.batches import MOST
    from attn_core.study.data_sets import data_set
    from attn_core.study.texts import table_at

    if not asked.data_set:
        return table_at(asked.texts)
    most = MOST * asked.shard[1]
    say(f"Bringing at most the first {most:,} rows of {asked.data_set} …")
    return data_set(asked.data_set, asked.subset, asked.split, most)


def _progress(say: Say) -> Callable[[int, int], None]:
    """Says how far the study is, and how long it still takes."""
    begun: list[tuple[float, int]] = []  # when and where this run began; one from a file begins in its middle
    said = time.monotonic()

    def progress(done: int, rows: int) -> None:
        nonlocal said
        now = time.monotonic()
        begun[:] = begun or [(now, done)]
        if now - said >= OFTEN and done > begun[0][1]:
            left = (now - begun[0][0]) * (rows - done) / (done - begun[0][1])
            say(f"  {done:,} of {rows:,} sentences, about {left:.0f} s more")
            said = now

    return progress


def _shard(word: str) -> tuple[int, int]:
    number, slash, of = word.partition("/")
    if not slash or not number.isdecimal() or not of.isdecimal() or int(number) >= int(of):
        raise argparse.ArgumentTypeError(f"{word!r} is no shard; write K/N, counted from 0: 0/4, 1/4, 2/4, 3/4")
    return int(number), int(of)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
