"""The command line: a sentence in, a picture, a page or the numbers out.

python -m attn_core "a fluffy blue creature" --head 0.3 --out view.html
cat sentences.txt | python -m attn_core --out heads/view.csv        # one file a line: heads/view-1.csv, …
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attn_core.errors import HeadlightError

FORMATS = "html, png, svg, csv, json, npz"


def parser() -> argparse.ArgumentParser:
    """What can be said on the command line."""
    made = argparse.ArgumentParser(
        prog="python -m attn_core",
        description="Write what one attention head sees: a page that works offline, a picture, or the numbers.",
        epilog="Exit status: 0 done, 1 something could not be done (one line says what and why), 2 wrong usage.",
    )
    made.add_argument("sentence", nargs="?", help="the sentence; left out or “-”: one sentence a line from stdin")
    made.add_argument("--model", default="minilm", help="a catalogue name, a folder, or a hub id (default: minilm)")
    made.add_argument("--head", default="0.0", type=_head, metavar="LAYER.HEAD", help="counted from 0 (default: 0.0)")
    made.add_argument("--out", type=_file, metavar="FILE", help=f"{FORMATS}; left out: CSV to stdout")
    made.add_argument("--target", help="what a translator writes; needed for encoder-decoder models")
    made.add_argument("--stream", choices=("encoder", "decoder", "cross"), help="for encoder-decoders (default: cross)")
    made.add_argument(
        "--word", type=int, metavar="POSITION", help="the query to mark, counted from 0 (default: the most salient)"
    )
    made.add_argument("--words", action="store_true", help="whole words instead of pieces")
    made.add_argument("--hide-special", action="store_true", help="leave special tokens out and renormalise")
    made.add_argument("--scale", choices=("sqrt", "linear"), default="sqrt", help="of the colours (default: sqrt)")
    made.add_argument("--queries-in", choices=("rows", "columns"), default="rows", help="papers: rows; lesson: columns")
    made.add_argument("--kinds", action="store_true", help="every head with its kind and measures, as CSV; no sentence")
    made.add_argument("--quiet", action="store_true", help="no progress on stderr")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line asks; gives the exit status."""
    asked = parser().parse_args(arguments)
    say = _silence if asked.quiet else _say
    sentences = [] if asked.kinds else _sentences(asked.sentence)
    if not sentences and not asked.kinds:
        print("There is no sentence: give one, or write one a line to stdin.", file=sys.stderr)
        return 1
    try:
        model = _load(asked.model, say)
        if asked.kinds:
            _write_kinds(model, asked)
    except (HeadlightError, ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    failed = 0
    for number, sentence in enumerate(sentences, 1):
        try:
            out = asked.out if asked.out is None or len(sentences) == 1 else _numbered(asked.out, number)
            _write(model, sentence, asked, out, say)
        except (HeadlightError, IndexError, ValueError, OSError) as error:
            where = f"Line {number}: " if len(sentences) > 1 else ""
            print(f"{where}{error}", file=sys.stderr)
            failed += 1
    return 1 if failed else 0


def _head(word: str) -> tuple[int, int]:
    layer, dot, head = word.partition(".")
    if not dot or not layer.isdecimal() or not head.isdecimal():
        raise argparse.ArgumentTypeError(f"{word!r} is no head; write LAYER.HEAD, for example 0.3")
    return int(layer), int(head)


def _file(word: str) -> Path:
    path = Path(word)
    if path.suffix.lower().removeprefix(".") not in FORMATS.split(", "):
        raise argparse.ArgumentTypeError(f"{word!r} must end with one of {FORMATS}")
    return path


def _sentences(given: str | None) -> list[str]:
    """What was given, or the lines of stdin; empty lines are no sentences."""
    if given not in (None, "-"):
        return [str(given)]
    if given is None and sys.stdin.isatty():
        return []
    return [line.strip() for line in sys.stdin if line.strip()]


def _load(name: str, say: Any) -> Any:
    os.environ.setdefault("TQDM_DISABLE", "1")  # the library's own bars would stand between our lines
    from attn_core.models.loading import load

    say(f"Loading {name} …")

    def progress(message: str, fraction: float | None = None) -> None:
        say(f"  {message}" if fraction is None else f"  {message} {fraction:.0%}")

    return load(name, progress=progress)


def _write(model: Any, sentence: str, asked: argparse.Namespace, out: Path | None, say: Any) -> None:
    from attn_core.capture import run
    from attn_core.views import files
    from attn_core.views.view import View

    translates = model.kind == "encoder-decoder"
    trace = run.trace(model, sentence, **({"target": asked.target} if translates else {}))
    layer, head = asked.head
    view = View(
        trace,
        layer,
        head,
        stream=(asked.stream or "cross") if translates else "self",
        words=asked.words and not translates,
        hide_sink=asked.hide_special and not translates,
        scale=asked.scale,
        queries_in=asked.queries_in,
        query=asked.word,
    ).with_followed_word()
    if out is None:
        sys.stdout.write(files.csv(view))
        return
    files.save(view, out)
    say(f"Wrote {out} ({out.stat().st_size / 1000:,.0f} kB): {view.name} of “{sentence[:60]}”")


def _write_kinds(model: Any, asked: argparse.Namespace) -> None:
    """The table of `kinds.classify_heads` as CSV, to a file or to stdout: one line a head, one column a measure."""
    from attn_core.heads.kinds import classify_heads

    stream = (asked.stream or "cross") if model.kind == "encoder-decoder" else "self"
    classify_heads(model, stream=stream).to_csv(asked.out or sys.stdout, index=False)


def _numbered(out: Path, number: int) -> Path:
    return out.with_name(f"{out.stem}-{number}{out.suffix}")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _silence(line: str) -> None:
    """Progress that nobody asked for."""


if __name__ == "__main__":
    sys.exit(main())
