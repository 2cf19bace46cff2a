"""What the ledger costs: everything that all layers and heads add to one token, beside a bare forward pass.

Peak memory is measured in a process of its own, after the model, the trace and one warm-up are there, so that it is
what the ledgers themselves need on top.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from typing import Any

import torch

import attn_core as ac
from attn_core import delta_ledger
from benchmarks.passes import bundled
from benchmarks.tables import by_turns, ratio, report

LENGTHS = (16, 128, 512)
ROUNDS = 10


def traced(length: int) -> tuple[Any, ac.Trace]:
    """The bundled model's ids of some length, and their trace."""
    ids = torch.randint(1000, 20000, (1, length), generator=torch.Generator().manual_seed(0))
    return ids, ac.trace(ac.load("minilm"), ids[0].tolist())


def costs(length: int) -> dict[str, object]:
    bare = bundled("sdpa")
    ids, trace = traced(length)
    mask = torch.ones_like(ids)

    def forward() -> Any:
        with torch.inference_mode():
            return bare(input_ids=ids, attention_mask=mask)

    seconds = by_turns(
        {
            "forward": forward,
            "ledger": lambda: delta_ledger.additions(trace, length // 2),
            "sources": lambda: [
                delta_ledger.sources(trace, layer, head, length // 2)
                for layer in range(trace.n_layers)
                for head in range(trace.n_heads)
            ],
        },
        ROUNDS,
    )
    return {
        "tokens": length,
        "ledger of all layers ÷ bare": ratio(seconds, "ledger", "forward"),
        "sources of all heads ÷ bare": ratio(seconds, "sources", "forward"),
        "peak extra bytes": in_a_process_of_its_own(length),
    }


def in_a_process_of_its_own(length: int) -> int:
    script = f"from benchmarks.ledger import peak_bytes; print(peak_bytes({length}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return int(done.stdout.split()[-1])


def peak_bytes(length: int) -> int:
    """How much higher the resident memory's peak is after all ledgers of one token than before; warmed up on a short
    text. The kernel counts in pages, so small needs show as 0."""
    torch.set_num_threads(1)
    _, short = traced(8)
    delta_ledger.additions(short, 4)
    _, trace = traced(length)
    before = _peak()
    delta_ledger.additions(trace, length // 2)
    return _peak() - before


def _peak() -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def main() -> None:
    torch.set_num_threads(1)
    report(
        "ledger",
        "The ledger of one token, bundled model, all layers and heads",
        [costs(length) for length in LENGTHS],
        [
            "Medians of quotients within a round; one thread. The aim for the ledger at 512 tokens is below 1.00.",
            "Ledger: E, every head, biases, norms and MLPs of all layers. Sources: every head split by source word.",
        ],
    )


if __name__ == "__main__":
    main()
