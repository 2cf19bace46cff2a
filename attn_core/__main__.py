"""The command line: a sentence in, a picture, a page or the numbers out.

headlight "a fluffy blue creature" --head 0.3 --out view.html
cat sentences.txt | headlight --out heads/view.csv        # one file a line: heads/view-1.csv, …
cat sentences.txt | headlight > heads.csv                 # one table, with the number of each line
headlight study sentences.txt --out heads.csv             # every head over many sentences, see study/command.py
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from attn_core.errors import HeadlightError
from attn_core.study import command

FORMATS = "html, png, svg, pdf, csv, json, npz"
PICTURES = ("png", "svg", "pdf")
INTERRUPTED = 130  # the exit status of a program that Ctrl-C ended
# Options without meaning: for a table of heads, for numbers, and between two sentences.
OF_A_PATTERN = (
    "second",
    "as_typed",
    "as_chat",
    "head",
    "word",
    "words",
    "hide_special",
    "scale",
    "queries_in",
    "target",
    "width",
)
OF_A_PICTURE = ("word", "scale", "queries_in")
OF_ONE_SENTENCE = ("words", "hide_special")


class Sentence(NamedTuple):
    """What is read, and the number of its line on stdin; None where it was given as an argument."""

    text: str
    line: int | None = None


def parser() -> argparse.ArgumentParser:
    """What can be said on the command line."""
    made = argparse.ArgumentParser(
        prog="headlight",
        description="Write what one attention head sees: a page that works offline, a picture, or the numbers.",
        epilog="“headlight study --help” is about many sentences. Exit status: 0 done, 1 something could not be done "
        "(one line says what and why), 2 wrong usage, 130 interrupted.",
    )
    made.add_argument("sentence", nargs="?", help="the sentence; left out or “-”: one sentence a line from stdin")
    made.add_argument("--model", default="minilm", help="a catalogue name, a folder, or a hub id (default: minilm)")
    made.add_argument("--head", type=_head, metavar="LAYER.HEAD", help="counted from 0 (default: 0.0)")
    made.add_argument("--out", type=_file, metavar="FILE", help=f"{FORMATS}; left out: CSV to stdout")
    made.add_argument("--second", metavar="TEXT", help="the second text of a pair, for models that read pairs")
    made.add_argument("--as-typed", action="store_true", help="without the special tokens of the model's own frame")
    made.add_argument("--as-chat", action="store_true", help="as what a user says, in the model's own chat template")
    made.add_argument("--target", help="what a translator writes; needed for encoder-decoder models")
    made.add_argument("--stream", choices=("encoder", "decoder", "cross"), help="for encoder-decoders (default: cross)")
    made.add_argument(
        "--word", type=int, metavar="POSITION", help="the query to mark, counted from 0 (default: the most salient)"
    )
    made.add_argument("--words", action="store_true", help="whole words instead of pieces")
    made.add_argument("--hide-special", action="store_true", help="leave special tokens out and renormalise")
    made.add_argument("--scale", choices=("sqrt", "linear"), help="of the colours (default: sqrt)")
    made.add_argument("--queries-in", choices=("rows", "columns"), help="papers: rows (default); lesson: columns")
    made.add_argument("--width", type=_width, help="of a picture: column, page, or millimetres (default: 201)")
    made.add_argument("--kinds", action="store_true", help="every head with its kind and measures, as CSV; no sentence")
    made.add_argument("--quiet", action="store_true", help="no progress on stderr")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line asks; gives the exit status."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    try:
        if len(words) > 1 and words[0] == "study":
            return command.main(words[1:])
        return _main(words)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # whoever read the table has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _main(arguments: Sequence[str]) -> int:
    line = parser()
    asked = line.parse_args(arguments)
    _refuse_what_does_not_apply(line, asked)
    say = _silence if asked.quiet else _say
    sentences = [] if asked.kinds else _sentences(asked.sentence)
    if not sentences and not asked.kinds:
        print("There is no sentence: give one, or write one a line to stdin.", file=sys.stderr)
        return 1
    try:
        _check_folder(asked.out)
        model = _load(asked.model, say)
        _refuse_for_this_model(line, asked, model)
        if asked.kinds:
            _write_kinds(model, asked)
    except (HeadlightError, ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    table = None if asked.out else _Table(several=len(sentences) > 1)
    failed = 0
    for sentence in sentences:
        try:
            out = asked.out if asked.out is None or len(sentences) == 1 else _numbered(asked.out, sentence.line)
            _write(model, sentence, asked, out, table, say)
        except BrokenPipeError:
            raise
        except (HeadlightError, IndexError, ValueError, OSError) as error:
            where = f"Line {sentence.line}: " if len(sentences) > 1 else ""
            print(f"{where}{error}", file=sys.stderr)
            failed += 1
    return 1 if failed else 0


def _refuse_what_does_not_apply(line: argparse.ArgumentParser, asked: argparse.Namespace) -> None:
    """End with the exit status of wrong usage, naming an option that would change nothing."""
    kind = "csv" if asked.out is None else asked.out.suffix.lower().removeprefix(".")
    if asked.kinds:
        given = _given(asked, OF_A_PATTERN)
        given = ["a sentence", *given] if asked.sentence is not None else given
        if given:
            line.error(f"--kinds tells about every head, over sentences of its own: leave out {', '.join(given)}")
        if kind != "csv":
            line.error(f"--kinds writes a table: --out must end with csv, not {kind}")
    if kind in ("csv", "npz"):
        given = _given(asked, OF_A_PICTURE)
        if given:
            line.error(f"{', '.join(given)} is about pictures, and changes nothing in a {kind} table of numbers")
    if asked.width is not None and kind not in PICTURES:
        line.error(f"--width is that of a picture ({', '.join(PICTURES)}), and changes nothing in a {kind} file")
    if asked.as_chat and (asked.as_typed or asked.second is not None):
        line.error("--as-chat reads the sentence in the model's chat template: leave out --as-typed and --second")
    if kind == "npz":
        given = _given(asked, OF_ONE_SENTENCE)
        if given:
            line.error(f"an npz file holds every head over tokens as they are: leave out {', '.join(given)}")


def _refuse_for_this_model(line: argparse.ArgumentParser, asked: argparse.Namespace, model: Any) -> None:
    """The same for options that this model has no use for."""
    two = model.kind == "encoder-decoder"
    if asked.as_chat and not model.chat_roles:
        line.error(f"{model.name} has no chat template: leave out --as-chat")
    given = _given(asked, OF_ONE_SENTENCE if two else ("target", "stream"))
    if given:
        why = "reads two sentences" if two else "reads one sentence, and has one stream"
        line.error(f"{model.name} {why}: leave out {', '.join(given)}")
    if asked.second is not None and not model.reads_pairs:
        line.error(f"{model.name} reads one text, and no pair: leave out --second")
    if two and not asked.kinds and asked.target is None:
        line.error(f"{model.name} is a translator: say with --target what it writes")


def _given(asked: argparse.Namespace, names: Iterable[str]) -> list[str]:
    """Those of some options that were said; the word 0 is one."""
    said = [name for name in names if getattr(asked, name) is not None and getattr(asked, name) is not False]
    return [f"--{name.replace('_', '-')}" for name in said]


def _check_folder(out: Path | None) -> None:
    """Raise OSError, before anything is loaded, where a file could not be written."""
    if out is not None and not out.absolute().parent.is_dir():
        raise OSError(f"There is no folder {out.parent}: make it first.")
    if out is not None and not os.access(out.absolute().parent, os.W_OK):
        raise OSError(f"Nothing may be written to the folder {out.absolute().parent}.")


def _head(word: str) -> tuple[int, int]:
    layer, dot, head = word.partition(".")
    if not dot or not layer.isdecimal() or not head.isdecimal():
        raise argparse.ArgumentTypeError(f"{word!r} is no head; write LAYER.HEAD, for example 0.3")
    return int(layer), int(head)


def _width(word: str) -> str | float:
    """ "column", "page", or millimetres."""
    from attn_core.views import files

    try:
        width = word if word in files.WIDTHS else float(word)
        files.units(width)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{word!r} is no width: write column, page, or {files.NARROWEST} to {files.WIDEST} millimetres"
        ) from None
    return width


def _file(word: str) -> Path:
    path = Path(word)
    if path.suffix.lower().removeprefix(".") not in FORMATS.split(", "):
        raise argparse.ArgumentTypeError(f"{word!r} must end with one of {FORMATS}")
    return path


def _sentences(given: str | None) -> list[Sentence]:
    """What was given, or the lines of stdin; empty lines count as lines, and are no sentences."""
    if given not in (None, "-"):
        return [Sentence(str(given))]
    if given is None and sys.stdin.isatty():
        return []
    return [Sentence(line.strip(), number) for number, line in enumerate(sys.stdin, 1) if line.strip()]


def _load(name: str, say: Any) -> Any:
    os.environ.setdefault("TQDM_DISABLE", "1")  # the library's own bars would stand between our lines
    from attn_core.models.loading import load
    from attn_core.models.startup import lean_imports
    from attn_core.text.numbers import whole_percent

    lean_imports.leave_out()
    say(f"Loading {name} …")

    def progress(message: str, fraction: float | None = None) -> None:
        say(f"  {message}" if fraction is None else f"  {message} {whole_percent(fraction)}")

    return load(name, progress=progress)


class _Table:
    """The table on stdout: one header, whatever the number of sentences; of `several`, each row says its line."""

    def __init__(self, several: bool) -> None:
        self.several, self.begun = several, False
        self.lines = csv.writer(sys.stdout, lineterminator="\n")

    def add(self, rows: Iterator[list[Any]], line: int | None) -> None:
        header = next(rows)
        if not self.begun:
            self.lines.writerow(["line", *header] if self.several else header)
        self.lines.writerows([line, *row] if self.several else row for row in rows)
        self.begun = True


def _write(
    model: Any, sentence: Sentence, asked: argparse.Namespace, out: Path | None, table: _Table | None, say: Any
) -> None:
    from attn_core.capture import run
    from attn_core.views import files
    from attn_core.views.view import View

    translates = model.kind == "encoder-decoder"
    read = sentence.text if asked.second is None else (sentence.text, asked.second)
    given: dict[str, Any] = {"text": read, **({"target": asked.target} if translates else {})}
    given |= {"frame": "typed"} if asked.as_typed else {}
    if asked.as_chat:
        given = {"messages": [{"role": "user", "content": sentence.text}]}
    trace = run.trace(model, **given)
    layer, head = asked.head or (0, 0)
    view = View(
        trace,
        layer,
        head,
        stream=(asked.stream or "cross") if translates else "self",
        words=asked.words,
        hide_sink=asked.hide_special,
        scale=asked.scale or "sqrt",
        queries_in=asked.queries_in or "rows",
        query=asked.word,
    ).with_followed_word()
    if table is not None:
        table.add(files.rows(view), sentence.line)
    if out is not None:
        files.save(view, out, asked.width)
        size = out.stat().st_size / 1000
        say(f"Wrote {out} ({size:,.0f} kB): {view.name} of “{sentence.text[:60]}”")


def _write_kinds(model: Any, asked: argparse.Namespace) -> None:
    """The table of `kinds.classify_heads` as CSV, to a file or to stdout: one line a head, one column a measure."""
    from attn_core.heads.kinds import classify_heads

    stream = (asked.stream or "cross") if model.kind == "encoder-decoder" else "self"
    classify_heads(model, stream=stream).to_csv(asked.out or sys.stdout, index=False)


def _numbered(out: Path, line: int | None) -> Path:
    return out.with_name(f"{out.stem}-{line}{out.suffix}")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _silence(line: str) -> None:
    """Progress that nobody asked for."""


if __name__ == "__main__":
    sys.exit(main())
