"""Many sentences: `ac.trace_many` beside one `ac.trace` after the other, in CPU seconds a sentence."""

from __future__ import annotations

import attn_core as ac
from attn_core.heads.samples import SENTENCES
from benchmarks.tables import by_turns_cpu, report

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
    for about, texts in kinds.items():
        ways = {
            "one by one": lambda texts=texts: sum(len(ac.trace(model, text).tokens) for text in texts),
            "in batches": lambda texts=texts: sum(len(own.tokens) for own in ac.trace_many(model, texts)),
        }
        seconds = by_turns_cpu(ways, ROUNDS)
        rows.append(
            {
                "texts": about,
                "one by one (ms)": 1000 * seconds["one by one"] / N_TEXTS,
                "in batches (ms)": 1000 * seconds["in batches"] / N_TEXTS,
                "sentences a second": seconds["one by one"] / seconds["in batches"],
            }
        )
    report(
        "batches",
        "Many sentences in padded passes",
        rows,
        ["MiniLM, batches of 32, one thread; tokens: 14 to 23, 17 and 4; the last column is a ratio"],
    )
