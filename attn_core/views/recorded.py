"""A real result of a real model, stored: what the first screen shows before torch is even imported.

`Recorded` is a `TraceReader`: it reads as a stream of a trace does, as far as a first screen needs it. Weights are
stored as they were computed (float32): a row whose words share 10⁻⁶ of the weight is one that can be shared out anew,
and rounded to nothing it would be a row without any word. The file is written by `attn_core/views/record_starter.py`.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from attn_core.heads import ablation
from attn_core.heads.summary import HeadSummary, summary_with
from attn_core.settings import assets_folder
from attn_core.text.tokens import Tokens
from attn_core.traces.parity import Parity
from attn_core.views.array_reader import ArrayReader

if TYPE_CHECKING:
    from numpy.typing import NDArray

SENTENCE = "a fluffy blue creature roamed the verdant forest"  # what was recorded: the first screen's own
STARTER = assets_folder() / "data" / "starter.npz"


@dataclass(frozen=True, eq=False)
class Recorded(ArrayReader):
    """One sentence through one model, as far as a first screen needs it.

    `turns` [layer, head, query]: by how many degrees a token's last vector turns when the head is switched off.
    """

    model_name: str
    kind: str
    tokens: Tokens
    checked: Parity  # what `Trace.check` said when this was recorded
    weights: NDArray[np.float32]  # [layer, head, query, key]; rows sum to 1. The bundled model's heads share no keys
    masks: NDArray[np.bool_]  # who may look at whom, [layer, query, key]
    sizes: NDArray[np.float32]  # ‖ΔE‖, [layer, head, query]
    turns: NDArray[np.float32]

    @property
    def wrapped(self) -> bool:
        return False

    @property
    def key_tokens(self) -> Tokens:
        return self.tokens

    @property
    def n_bytes(self) -> int:
        return self.weights.nbytes + self.masks.nbytes + self.sizes.nbytes + self.turns.nbytes

    def may_look(self, layer: int, rows: slice | None = None) -> NDArray[np.bool_]:
        return np.asarray(self.masks[layer, slice(None) if rows is None else rows], np.bool_)

    def delta_e_sizes(self, layer: int) -> NDArray[np.float32]:
        return np.asarray(self.sizes[layer], np.float32)

    def check(self) -> Parity:
        return self.checked


def summarise_head(stored: Recorded, layer: int, head: int, query: int) -> HeadSummary:
    """The four numbers of `summary.summarise_head`, from what was stored."""
    turn = ablation.Effect(float(stored.turns[layer, head, query]), "°", "turn if switched off")
    return summary_with(stored, turn, layer, head, query)


def save(trace: Any, turns: NDArray[np.float32], path: Path = STARTER) -> None:
    """Store what `Recorded` needs of a live trace."""
    layers = range(trace.n_layers)
    parity = trace.check()
    about = {
        "model_name": trace.model_name,
        "kind": trace.kind,
        "tokens": asdict(trace.tokens),
        "checked": parity._asdict(),
    }
    np.savez_compressed(
        path,
        about=np.frombuffer(json.dumps(about, ensure_ascii=False).encode(), np.uint8),
        weights=np.stack([trace.patterns(layer) for layer in layers]).astype(np.float32),
        masks=np.stack([trace.may_look(layer) for layer in layers]),
        sizes=np.stack([trace.delta_e_sizes(layer) for layer in layers]),
        turns=turns.astype(np.float32),
    )


def load(path: Path = STARTER) -> Recorded:
    """The stored result."""
    with np.load(path, allow_pickle=False) as stored:
        about = json.loads(stored["about"].tobytes())
        arrays = {name: stored[name] for name in ("weights", "masks", "sizes", "turns")}
    return Recorded(
        model_name=about["model_name"],
        kind=about["kind"],
        tokens=Tokens(**about["tokens"]),
        checked=Parity(*(about["checked"][name] for name in Parity._fields)),
        **arrays,
    )
