"""Many sentences: `ac.trace_many` beside one `ac.trace` after the other, by the clock, with every core and with one."""

from __future__ import annotations

import os
import statistics

import torch

import attn_core as ac
from attn_core.heads.samples import SENTENCES
from benchmarks.tables import by_turns, ratio, report

N_TEXTS = 96
ROUNDS = 5
DOZEN = "a fluffy blue creature roamed the verdant forest late at night alone"


def main() -> None:
    model = ac.load("minilm")
    rows = []
    kinds = {
        "sentences": list(SENTENCES) * (N_TEXTS // len(SENTENCES)),
        "a dozen words": [DOZEN] * N_TEXTS,
        "two words": ["a bird"] * N_TEXTS,
    }
    cores, before = os.cpu_count() or 1, torch.get_num_threads()
    for threads in dict.fromkeys((cores, 1)):
        torch.set_num_threads(threads)
        for about, texts in kinds.items():
            ways = {
                "one by one": lambda texts=texts: sum(len(ac.trace(model, text).tokens) for text in texts),
                "in batches": lambda texts=texts: sum(len(own.tokens) for own in ac.trace_many(model, texts)),
            }
            seconds = by_turns(ways, ROUNDS)
            rows.append(
                {
                    "texts": about,
                    "threads": threads,
                    "one by one, a second": N_TEXTS / statistics.median(seconds["one by one"]),
                    "in batches, a second": N_TEXTS / statistics.median(seconds["in batches"]),
                    "÷": ratio({"one": seconds["in batches"], "many": seconds["one by one"]}, "many", "one"),
                }
            )
    torch.set_num_threads(before)
    report(
        "batches",
        "Many sentences in padded passes",
        rows,
        ["MiniLM, batches of 32; tokens: 14 to 23, 17 and 4. As many threads as cores is what Torch takes by itself."],
    )
