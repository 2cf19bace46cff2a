"""Record the starter sentence: run the bundled model once and store what the first screen shows, in starter.npz.

python -m attn_core.views.record_starter
"""

import numpy as np

from attn_core.capture.model import Model
from attn_core.capture.run import trace as run_trace
from attn_core.heads import ablation
from attn_core.models.loading import load
from attn_core.traces.trace import Trace
from attn_core.views import recorded


def turns_of(model: Model, trace: Trace) -> np.ndarray:
    """By how many degrees each token's last vector turns without each head: [layer, head, query]."""
    run, own = ablation.runner(model, trace), trace.stream()
    turns = np.zeros((own.n_layers, own.n_heads, len(own.tokens)), np.float32)
    for layer, head in np.ndindex(own.n_layers, own.n_heads):
        without = run(without=[(layer, head)]).stream()
        turns[layer, head] = [ablation.effect(own, without, query).value for query in range(len(own.tokens))]
    return turns


if __name__ == "__main__":
    model = load("minilm")
    trace = run_trace(model, recorded.SENTENCE)
    recorded.save(trace, turns_of(model, trace))
    print(f"wrote {recorded.STARTER.name}: {recorded.STARTER.stat().st_size:,} bytes")
