"""How a shipped model learnt: weights at a few steps of its training, and what they could do.

history = history_of("tiny-decoder")
history.steps[5], history.induction[5].max()       # 1400, the best induction head's score then
model = checkpoint("tiny-decoder", 5)              # the model after that step, traced like any other

The last checkpoint is the shipped model with its weights rounded to half precision; all are of its own training.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from attn_core.errors import DamagedModel, UnknownModel
from attn_core.models.cards import card_of, shipped_folder
from attn_core.models.checkpoint import read_checkpoint
from attn_core.models.verification import verify

if TYPE_CHECKING:
    from attn_core.capture.model import Model

FILE, SCORES = "training.safetensors", "training.json"  # written by the training script
Array = NDArray[np.float64]


@dataclass(frozen=True)
class TrainingHistory:
    """A training at a few steps. Scores of heads are mean attention weights, [step, layer, head]."""

    name: str
    steps: tuple[int, ...]  # how many were made
    loss: Array  # [step], nats a word on fresh sentences
    floor: float  # what no model can beat
    previous_token: Array
    induction: Array
    deciding_adjective: Array  # the least over the distances
    between_senses: Array  # [step], cosine of *mole* after the last layer, …
    within_a_sense: Array
    first_sharp_step: int  # from here on, the training also pays for attention that is spread out
    sha256: str

    @property
    def change(self) -> tuple[int, int]:
        """The two checkpoints between which the best induction head learns fastest, as places in `steps`.

        Olsson et al. 2022, "In-context Learning and Induction Heads": induction heads form in one abrupt change.
        """
        best = self.induction.max(axis=(1, 2))
        at = int(np.argmax(np.diff(best) / np.diff(self.steps)))
        return at, at + 1


def history_of(name: str) -> TrainingHistory:
    """The history of a shipped model; UnknownModel where none is kept."""
    return _read(name, shipped_folder(name) / SCORES)


@cache
def _read(name: str, file: Path) -> TrainingHistory:
    if not file.is_file():
        raise UnknownModel(f"No training of {name} is kept here.")
    said = json.loads(file.read_text())
    reports = said["scores"]
    mole = [report["mole_cosine"] for report in reports]
    deciding = [list(report["deciding_adjective"].values()) for report in reports]  # [step, distance, layer, head]
    return TrainingHistory(
        name=name,
        steps=tuple(said["steps"]),
        loss=np.array([report["loss"] for report in reports]),
        floor=reports[-1]["floor"],
        previous_token=np.array([report["previous_token"] for report in reports]),
        induction=np.array([report["induction"] for report in reports]),
        deciding_adjective=np.array(deciding).min(axis=1),
        between_senses=np.array([each["between_senses"][-1] for each in mole]),
        within_a_sense=np.array([each["within_a_sense"][-1] for each in mole]),
        first_sharp_step=said["first_sharp_step"],
        sha256=said["sha256"],
    )


def checkpoint(name: str, at: int) -> Model:
    """The model after `steps[at]` steps. Raises UnknownModel, DamagedModel, and IndexError where there is no such."""
    from safetensors.torch import load

    from attn_core.capture.wrapping import wrap

    history = history_of(name)
    if not 0 <= at < len(history.steps):
        raise IndexError(f"checkpoint {at} is not one of 0 … {len(history.steps) - 1}")
    folder = shipped_folder(name)
    raw = (folder / FILE).read_bytes()
    if hashlib.sha256(raw).hexdigest() != history.sha256:
        raise DamagedModel(f"The file {FILE} of {name} is not the one that was trained: its hash differs.")
    verify(folder, card_of(name).files, name)
    hf_model, tokenizer = read_checkpoint(folder, name, lambda message, fraction=None: None)
    weights = {key: stacked[at].float() for key, stacked in load(raw).items()}
    hf_model.load_state_dict(weights, strict=False)  # the output matrix is the embedding: it has no weights of its own
    return wrap(hf_model, tokenizer, name=f"{name} after {history.steps[at]:,} steps")
