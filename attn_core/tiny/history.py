"""The decoder while it learnt: its weights at a few steps of the training, in half precision, and what they could do.

The steps stand densely where this training changes, between 800 and 2,200; the last is the end, so its weights are the
trained model's, rounded. Every score is of the rounded weights, as `evaluation` measures them on the same sentences.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from attn_core.tiny.checkpoints import gpt2_names
from attn_core.tiny.decoder import Decoder
from attn_core.tiny.evaluation import decoder_report
from attn_core.tiny.training_loop import Recipe

FILE, SCORES = "training.safetensors", "training.json"  # read by `attn_core.models.history`
STEPS = (0, 800, 1000, 1200, 1300, 1400, 1500, 1600, 1800, 2000, 2200, 3500)  # how many were made


def keep(model: Decoder, step: int, folder: Path) -> None:
    """Put the weights after so many steps aside, rounded, where the step is one of those that are kept."""
    if step in STEPS:
        torch.save({name: weight.half() for name, weight in model.state_dict().items()}, _kept(folder, step))


def write(model: Decoder, folder: Path, seed: int, recipe: Recipe) -> None:
    """Write the kept weights side by side into one file, with their scores beside it; `model` is changed."""
    from safetensors.torch import save_file

    weights: dict[str, list[Tensor]] = {}
    reports: list[dict[str, Any]] = []
    steps = [step for step in STEPS if _kept(folder, step).exists()]
    for step in steps:
        model.load_state_dict(torch.load(_kept(folder, step), weights_only=True))
        reports.append(decoder_report(model.eval()))
        for name, parts in gpt2_names(model).items():
            weights.setdefault(name, []).append(torch.cat(parts, dim=-1).detach().half())
    stacked = {name: torch.stack(each).contiguous() for name, each in weights.items()}  # [step, …]
    save_file(stacked, folder / FILE, metadata={"format": "pt"})
    (folder / FILE).chmod(0o644)
    said = {
        "seed": seed,
        "steps": steps,
        "first_sharp_step": recipe.first_sharp_step,
        "sha256": hashlib.sha256((folder / FILE).read_bytes()).hexdigest(),
        "scores": reports,
    }
    (folder / SCORES).write_text(json.dumps(said, indent=1) + "\n")
    for step in steps:
        _kept(folder, step).unlink()


def _kept(folder: Path, step: int) -> Path:
    return folder / f"weights-after-{step}.pt"
