"""What every reader of a trace costs: time, and the most memory that it takes beside the trace and its answer.

A random model of GPT-2 small's shape reads up to 8,192 tokens. The table is written to `docs/costs.md`, so what stands
there was measured.
"""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import numpy as np
import torch

import attn_core as ac
from attn_core.capture.running import use_ours_always
from benchmarks.passes import IdsOnly
from benchmarks.tables import markdown, report
from benchmarks.torch_memory import PeakMemory

LENGTHS = (1024, 4096, 8192)
COSTS = Path(__file__).parents[1] / "docs" / "costs.md"
FILE = Path(gettempdir()) / "readers.headlight"
MB = 2**20


def long_model() -> ac.Model:
    """Two layers of GPT-2 small's shape: 12 heads, 768 numbers a token, positions for 8,192 tokens."""
    from transformers import GPT2Config, GPT2Model

    torch.manual_seed(0)
    hf_model = GPT2Model(GPT2Config(vocab_size=1000, n_layer=2, n_positions=max(LENGTHS))).eval()
    use_ours_always(hf_model)
    tokenizer = IdsOnly()
    tokenizer.model_max_length = max(LENGTHS)
    return ac.wrap(hf_model, tokenizer, name="GPT-2 small's shape, 2 layers", limit=max(LENGTHS))


def readers(trace: ac.Trace) -> dict[str, Callable[[], Any]]:
    """Name in the docs → one call of it, on the last layer, head and query."""
    layer, head, query = trace.n_layers - 1, trace.n_heads - 1, len(trace.tokens) - 1

    def all_blocks() -> None:
        for _ in trace.iter_patterns(layer):
            pass

    return {
        "query, key, value": lambda: trace.query(layer, head),
        "raw_scores": lambda: trace.raw_scores(layer, head),
        "scores": lambda: trace.scores(layer, head),
        "pattern": lambda: trace.pattern(layer, head),
        "pattern_row": lambda: trace.pattern_row(layer, head, query),
        "patterns(rows=64 of them)": lambda: trace.patterns(layer, slice(query - 63, query + 1)),
        "iter_patterns, to its end": all_blocks,
        "may_look": lambda: trace.may_look(layer),
        "weighted_values": lambda: trace.weighted_values(layer, head),
        "delta_e": lambda: trace.delta_e(layer, head),
        "delta_e_by_source": lambda: trace.delta_e_by_source(layer, head, query),
        "heads_delta_e": lambda: trace.heads_delta_e(layer, query),
        "delta_e_sizes": lambda: trace.delta_e_sizes(layer),
        "attention_output": lambda: trace.attention_output(layer),
        "embedding, mlp_added": lambda: trace.embedding(layer),
        "check, a layer": lambda: trace.check(),
        "score_parts": lambda: trace.score_parts(layer, head, query, 5),
        'score_parts, against="mean"': lambda: trace.score_parts(layer, head, query, 5, "mean"),
        "value_parts": lambda: trace.value_parts(layer, head, query, 5),
        "save": lambda: trace.save(FILE),
        "open_trace": lambda: ac.open_trace(FILE),
    }


def cost(read: Callable[[], Any]) -> tuple[float, int, int]:
    """(CPU seconds, bytes of the answer, most bytes at once beside it) of one call."""
    start = time.process_time()
    answer = read()
    seconds = time.process_time() - start
    size = answer.nbytes if isinstance(answer, np.ndarray) else getattr(answer, "n_bytes", 0)
    del answer
    tracemalloc.start()
    with PeakMemory() as torch_memory:
        read()
    peak = torch_memory.peak + tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return seconds, size, max(0, peak - size)


def main() -> None:
    torch.set_num_threads(1)
    model = long_model()
    rows: dict[str, dict[str, object]] = {}
    for length in LENGTHS:
        trace = ac.trace(model, [10 + i % 900 for i in range(length)])
        for name, read in readers(trace).items():
            seconds, size, beside = cost(read)
            seconds = seconds / trace.n_layers if name.startswith("check") else seconds
            row = rows.setdefault(name, {"reader": name})
            row[f"ms, {length:,} tokens"] = round(seconds * 1000, 1)
            row["MB of the answer"] = round(size / MB, 1)  # of the longest
            row["MB beside it"] = round(beside / MB, 1)
    notes = [
        f"{model.name}: 12 heads, 768 numbers a token; one layer, one head, one thread, CPU time.",
        f"Memory is that at {max(LENGTHS):,} tokens, beside the trace: the answer, and the most held on the way.",
    ]
    FILE.unlink(missing_ok=True)
    order = ["reader", *(f"ms, {n:,} tokens" for n in LENGTHS), "MB of the answer", "MB beside it"]
    table = [{column: row[column] for column in order} for row in rows.values()]
    report("readers", "What readers of a trace cost", table, notes)
    page = COSTS.read_text(encoding="utf-8")
    before, _, rest = page.partition("<!-- readers -->\n")
    after = rest.partition("<!-- /readers -->\n")[2]
    COSTS.write_text(
        f"{before}<!-- readers -->\n{markdown(table, notes)}\n<!-- /readers -->\n{after}", encoding="utf-8"
    )


if __name__ == "__main__":
    main()
