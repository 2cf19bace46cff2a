"""What an answer costs the server: its CPU time ÷ that of a bare forward pass of the same tokens.

A visitor without a browser speaks Streamlit's protocol to the hosted app and asks each page about sentences that nobody
asked before, no other page either; another head or word is a click in a page that is open. As a browser does, it keeps
what it was sent. The server's CPU time is read from the system. The floor is a page of Streamlit's own with five
inputs, a folded table and ten lines. With `--beside FOLDER` another checkout answers the same questions in the same
run, once as it is and once with `runner.postScriptGC` off, so that a gain can be told from a quieter machine.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.browser import ROOT, WORDS, app, sentence
from benchmarks.load import Visitor, public_settings
from benchmarks.tables import report

TOKENS = 13
GC_OFF = {"STREAMLIT_RUNNER_POST_SCRIPT_GC": "false"}
OTHERS: dict[str, dict[str, str]] = {"the other checkout": {}, "the same, postScriptGC off": GC_OFF}
WARM = 10_050  # turns from here on are no measurement
FLOOR = """
import pandas as pd
import streamlit as st

for i in range(5):
    st.text_input(f"input {i}", str(st.query_params.get("text", "")))
with st.expander("table"):
    st.dataframe(pd.DataFrame({"a": range(10)}))
for i in range(10):
    st.text(f"line {i} {st.query_params.get('text', '')}")
"""
Question = Callable[[int], Callable[[Visitor], object]]  # the turn → what a visitor asks


def opened(page: str, view: Callable[[int], dict[str, object]]) -> Question:
    """A link into a page, another one each turn."""
    return lambda turn: lambda visitor: visitor.ask(page, **view(turn))


def new_sentence(row: str, turn: int) -> str:
    """A sentence of so many tokens that no other row and no other turn has, so that no trace of it is kept."""
    return " ".join(random.Random(f"{row} {turn}").choices(WORDS, k=TOKENS - 2))


def fresh(page: str, **view: object) -> Question:
    """A page asked about a sentence of its own each time."""
    return opened(page, lambda turn: {"text": new_sentence(f"{page} {view}", turn), **view})


def words(turn: int) -> dict[str, object]:
    """A board of word senses with three sentences of its own."""
    rows = (f"a mole dug hole {turn}", f"{turn} mole of carbon", f"take a biopsy of the mole {turn}")
    return {"board": json.dumps([[row, "the mole", 0] for row in rows])}


def source(turn: int) -> dict[str, object]:
    """A sentence to translate."""
    return {
        "source": f"the small blue car sees {('a', 'the', 'some', 'my')[turn % 4]} horse {'and ' * (turn // 4 % 9)}"
    }


def pair(turn: int) -> dict[str, object]:
    """Two sentences that differ in one word, others each turn, in words of the shipped decoder."""
    begin = "and " * (turn // 4 % 12) + "anna and tom went to the market ."
    thing = ("book", "ball", "map", "cake")[turn % 4]
    return {"text": f"{begin} tom gave a {thing} to", "second": f"{begin} anna gave a {thing} to"}


def many(turn: int) -> dict[str, object]:
    """Eight sentences of its own for a study."""
    return {"sentences": "\n".join(sentence(TOKENS, 8 * turn + row) for row in range(8))}


def clicked(key: str, event: str, tells: Callable[[int], dict[str, int]]) -> Question:
    """A click on a picture of the front page, in a session that has it open; who has not opens it instead."""

    def asked(turn: int) -> Callable[[Visitor], object]:
        def act(visitor: Visitor) -> object:
            if visitor.page_name or sentence(TOKENS, 1).replace(" ", "+") not in visitor.link:
                return visitor.ask(text=sentence(TOKENS, 1))
            return visitor.click(key, event, tells(turn))

        return act

    return asked


def tile(turn: int) -> dict[str, int]:
    """Another head each turn, and other ones for warming up."""
    return {"layer": turn % 6, "head": (turn // 6 + (6 if turn >= WARM else 0)) % 12, "query": 0, "key": 0}


QUESTIONS: dict[str, Question] = {
    "front page, new sentence": fresh(""),
    "front page, another head": clicked("overview", "opened", tile),
    "front page, another word": clicked("heatmap", "chosen", lambda turn: {"row": turn % TOKENS, "column": 0}),
    **{f"step by step, step {step}": fresh("step_by_step", step=step, guess_told=1) for step in range(1, 9)},
    "ΔE": fresh("delta_e"),
    "word senses": opened("word_senses", words),
    "compare": fresh("compare_heads"),
    "find heads": fresh("find_heads"),
    "find heads, one switched off": fresh("find_heads", find="matter", off="0.3"),
    "study, eight sentences": opened("study", many),
    "why there, a score": fresh("why_there"),
    "why there, the flow": fresh("why_there", why="flow"),
    "why there, a card seen before": opened("why_there", lambda turn: {"why": "card", "text": sentence(TOKENS, 1)}),
    "patching, every head": opened("patching", pair),
    "predict first": fresh("predict_first"),
    "translate": opened("cross_attention", source),
    "parameters": opened("parameters", lambda turn: {"own": 1, "n_layers": 2 + turn % 90}),
    "lesson": opened("lesson", lambda turn: {"stop": 1 + turn % 8}),
    "teacher's kit": opened("teachers_kit", lambda turn: {"sheet": turn % 2}),
    "training": opened("training", lambda turn: {"checkpoint": turn % 12}),
    "about": opened("about", lambda turn: {}),
}


def cpu_seconds(process: int) -> float:
    """User and system time that a process and its ended children have used."""
    fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def bare_pass(rounds: int = 200) -> float:
    """CPU seconds of a warm forward pass of as many tokens, one thread."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    from attn_core.models.sources import bundled_folder

    torch.set_num_threads(1)
    model = AutoModel.from_pretrained(bundled_folder(), attn_implementation="sdpa").eval()
    inputs = AutoTokenizer.from_pretrained(bundled_folder())(sentence(TOKENS, 0), return_tensors="pt")
    seconds = []
    with torch.inference_mode():
        for _ in range(rounds):
            start = time.process_time()
            model(**inputs)
            seconds.append(time.process_time() - start)
    return statistics.median(seconds[rounds // 10 :])


def costs(folder: Path, rounds: int, **settings: str) -> Iterator[tuple[str, float, int]]:
    """(page, CPU seconds an answer, bytes an answer) of the app in a folder."""
    with app("serve.py", folder, **settings) as (address, _, process):
        visitor = Visitor(address)
        for what, question in QUESTIONS.items():
            for turn in range(3):  # warm: lazy imports, models
                question(WARM + turn)(visitor)
            time.sleep(0.5)
            before, received = cpu_seconds(process), visitor.received
            for turn in range(rounds):
                question(turn)(visitor)
            yield what, (cpu_seconds(process) - before) / rounds, (visitor.received - received) // rounds


def floor(rounds: int) -> float:
    """CPU seconds of an answer of a small page of Streamlit's own."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "floor.py").write_text(FLOOR, encoding="utf-8")
        with app("floor.py", Path(folder), **GC_OFF) as (address, _, process):
            visitor = Visitor(address)
            visitor.ask()
            before = cpu_seconds(process)
            for turn in range(rounds):
                visitor.ask(text=str(turn))
            return (cpu_seconds(process) - before) / rounds


def main(rounds: int = 24, beside: str | None = None) -> None:
    bare = bare_pass()
    settings = public_settings()
    ours = {what: (cpu, size) for what, cpu, size in costs(ROOT, rounds, **settings)}
    others: dict[str, dict[str, float]] = {}
    if beside is not None:
        for name, extra in OTHERS.items():
            others[name] = {what: cpu for what, cpu, _ in costs(Path(beside), max(6, rounds // 3), **settings, **extra)}
    rows: list[dict[str, object]] = [
        {"page": what, "CPU ÷ bare": cpu / bare, "kB on the socket": size / 1000}
        | {f"{name}, CPU ÷ bare": found[what] / bare for name, found in others.items()}
        for what, (cpu, size) in ours.items()
    ]
    notes = [
        f"Bare: {bare * 1000:.1f} ms of CPU for {TOKENS} tokens, one thread. Floor, a small page of Streamlit's own: "
        f"{floor(rounds) / bare:.2f} × the pass.",
        f"{rounds} answers a page, one visitor, the container's settings.",
    ]
    report("answers", "CPU time of an answer ÷ a bare forward pass", rows, notes)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=24)
    parser.add_argument("--beside", help="a folder with another checkout of Headlight")
    own = parser.parse_args()
    main(own.rounds, own.beside)
