"""What `stream_contributions` costs: all that layers and heads add to one token, beside a bare forward pass.

Peak memory is measured in a process of its own, after the model, the trace and one warm-up are there, so that it is
what the computation itself needs on top.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

import attn_core as ac
from attn_core.residual import decomposition
from benchmarks.passes import bundled
from benchmarks.tables import by_turns, ratio, report

LENGTHS = (16, 128, 512)
ROUNDS = 20
STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def traced(model: ac.Model, length: int) -> tuple[Any, ac.Trace]:
    """Ids of some length and their trace; the caller keeps the model, since a trace does not keep it alive."""
    ids = torch.randint(1000, 20000, (1, length), generator=torch.Generator().manual_seed(0))
    return ids, ac.trace(model, ids[0].tolist())


def costs(length: int) -> dict[str, object]:
    bare, model = bundled("sdpa"), ac.load("minilm")
    ids, trace = traced(model, length)
    mask = torch.ones_like(ids)

    def forward() -> Any:
        with torch.inference_mode():
            return bare(input_ids=ids, attention_mask=mask)

    seconds = by_turns(
        {
            "forward": forward,
            "contributions": lambda: decomposition.stream_contributions(trace.stream(), length // 2),
            "sources": lambda: [
                decomposition.sources(trace.stream(), layer, head, length // 2)
                for layer in range(trace.n_layers)
                for head in range(trace.n_heads)
            ],
        },
        ROUNDS,
    )
    return {
        "tokens": length,
        "contributions of all layers ÷ bare": ratio(seconds, "contributions", "forward"),
        "sources of all heads ÷ bare": ratio(seconds, "sources", "forward"),
        "peak extra bytes": in_a_process_of_its_own(length),
    }


def in_a_process_of_its_own(length: int) -> int | str:
    script = f"from benchmarks.contributions import peak_bytes; print(peak_bytes({length}))"
    if not STATUS.exists():
        return "only measured on Linux"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return int(done.stdout.split()[-1])


def peak_bytes(length: int) -> int:
    """How far resident memory rises above the model and the trace while all contributions to one token are computed."""
    torch.set_num_threads(1)
    model = ac.load("minilm")
    _, short = traced(model, 8)
    _, trace = traced(model, length)
    decomposition.stream_contributions(short.stream(), 4)  # whatever is made once is not counted
    RESET.write_text("5")  # the kernel forgets its high-water mark
    before = _resident("VmRSS")
    decomposition.stream_contributions(trace.stream(), length // 2)
    return _resident("VmHWM") - before


def _resident(field: str) -> int:
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(field))
    return 1024 * int(line.split()[1])


def main() -> None:
    torch.set_num_threads(1)
    report(
        "contributions",
        "What is added to one token, part by part, bundled model, all layers and heads",
        [costs(length) for length in LENGTHS],
        [
            "Medians of quotients within a round; one thread. The aim at 512 tokens is below 1.00.",
            "Contributions: E, heads, biases, norms and MLPs of all layers. Sources: every head split by source word.",
        ],
    )


if __name__ == "__main__":
    main()
