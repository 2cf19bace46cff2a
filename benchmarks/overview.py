"""The overview of a large model: its packet beside the time of computing all of its patterns.

32 layers of 32 heads at 512 tokens, d_head 64 as in real models of that size; what else the model has is kept small,
because neither way uses it. No array ever holds the patterns of all layers.
"""

from __future__ import annotations

import tracemalloc
from typing import Any

import torch

import attn_core as ac
from attn_core.capture.running import use_ours_always
from benchmarks.passes import IdsOnly
from benchmarks.tables import by_turns_cpu, report
from benchmarks.torch_memory import PeakMemory

LAYERS = HEADS = 32
TOKENS = 512
ROUNDS = 5
MB = 2**20


def many_heads(d_head: int = 64) -> ac.Model:
    """A random causal model of 32 layers and 32 heads whose residual stream is small."""
    from transformers import LlamaConfig, LlamaModel

    torch.manual_seed(0)
    config: dict[str, Any] = {
        "vocab_size": 1000,
        "hidden_size": 64,
        "intermediate_size": 64,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": HEADS,
        "head_dim": d_head,
        "max_position_embeddings": TOKENS,
    }
    hf_model = LlamaModel(LlamaConfig(**config)).eval()
    use_ours_always(hf_model)
    return ac.wrap(hf_model, IdsOnly(), name="32 layers × 32 heads, random", limit=TOKENS)


def main() -> None:
    torch.set_num_threads(1)
    from attn_core.views.arrangement import arrange
    from ui.all_heads.packets import every_pattern

    model = many_heads()
    trace = ac.trace(model, [10 + i % 900 for i in range(TOKENS)]).stream()
    arrangement = arrange(trace.tokens, causal=True)

    def patterns() -> None:
        for layer in range(trace.n_layers):
            trace.patterns(layer)

    def packet() -> bytes:
        return every_pattern(trace, arrangement)

    seconds = by_turns_cpu({"patterns": patterns, "packet": packet}, ROUNDS)
    tracemalloc.start()
    with PeakMemory() as memory:
        size = len(packet())
    peak = memory.peak + tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    row = {
        "model": model.name,
        "tokens": TOKENS,
        "all patterns, s": seconds["patterns"],
        "packet, s": seconds["packet"],
        "packet ÷ patterns": seconds["packet"] / seconds["patterns"],
        "packet, MB": size / 1e6,
        "most held on the way, MB": peak / MB,
        "all patterns at once would be, MB": LAYERS * HEADS * TOKENS * TOKENS * 4 / MB,
    }
    report("overview", "The overview of a large model", [row], ["CPU time with one thread; the aims: ≤ 3 and ≤ 4 MB."])


if __name__ == "__main__":
    main()
