"""The training loop that both models share: a step is a pure function of its number, so stopping changes nothing.

The sentences of step n are made from the seed and n alone and there is no dropout, so the weights, the optimiser's
memory and the number of the next step are the whole state: with one thread, a run that was interrupted and resumed ends
with the same bits as one that was not.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

Loss = Callable[[int], tuple[Tensor, float]]  # step → (what is minimised, the plain loss in nats to report)


@dataclass(frozen=True)
class Recipe:
    """How long and how fast to learn."""

    steps: int
    batch: int  # rows, or sentences, a step
    weight_decay: float
    lr: float = 3e-3
    warm_up: int = 100
    last_lr: float = 0.05  # what is left of lr at the end, as a share
    clip: float = 1.0
    sharpen: float = 0.0  # nats of loss that a nat of attention entropy costs in the end
    save_every: int = 250

    def lr_at(self, step: int) -> float:
        """Up in a straight line, then down along a cosine."""
        if step < self.warm_up:
            return self.lr * (step + 1) / self.warm_up
        done = (step - self.warm_up) / max(1, self.steps - self.warm_up)
        return self.lr * (self.last_lr + (1 - self.last_lr) * 0.5 * (1 + math.cos(math.pi * done)))

    def sharpen_at(self, step: int) -> float:
        """Nothing before 35 % of the steps, all of it from 65 % on: it sharpens heads that have formed; earlier, it
        would keep them from forming."""
        return self.sharpen * min(1.0, max(0.0, (step / self.steps - 0.35) / 0.3))

    @property
    def first_sharp_step(self) -> int:
        """The first step at which attention that is spread out costs anything."""
        return next(step for step in range(self.steps) if self.sharpen_at(step) > 0)


def optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.AdamW:
    """AdamW that decays the matrices of attention and MLP only: not biases, norms or embeddings."""
    matrices = [weight for name, weight in model.named_parameters() if ".w_" in name]
    others = [weight for name, weight in model.named_parameters() if ".w_" not in name]
    groups = [{"params": matrices, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=recipe.lr, betas=(0.9, 0.98))


def fit(
    model: nn.Module,
    loss: Loss,
    recipe: Recipe,
    *,
    checkpoint: Path | None = None,
    stop_at: int | None = None,
    progress: Callable[[int, float], None] = lambda step, loss: None,
) -> list[float]:
    """Train `model` in place and return the plain loss of every step that was made, in nats.

    A `checkpoint` that exists is taken up where it stopped; it is renewed every `recipe.save_every` steps and at the
    end. `stop_at` ends the run before that step, as an interruption would.
    """
    learn = optimizer(model, recipe)
    first = restore(checkpoint, model, learn) if checkpoint and checkpoint.exists() else 0
    losses = []
    for step in range(first, min(recipe.steps, stop_at or recipe.steps)):
        for group in learn.param_groups:
            group["lr"] = recipe.lr_at(step)
        minimised, plain = loss(step)
        learn.zero_grad(set_to_none=True)
        minimised.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
        learn.step()
        losses.append(plain)
        progress(step, plain)
        if checkpoint and (step + 1) % recipe.save_every == 0:
            keep(checkpoint, model, learn, step + 1)
    if checkpoint and losses:
        keep(checkpoint, model, learn, first + len(losses))
    return losses


def keep(checkpoint: Path, model: nn.Module, learn: torch.optim.Optimizer, step: int) -> None:
    """Write the whole state of a run; a crash while writing leaves the last good file."""
    unfinished = checkpoint.with_suffix(".part")
    torch.save({"model": model.state_dict(), "optimizer": learn.state_dict(), "step": step}, unfinished)
    unfinished.replace(checkpoint)


def restore(checkpoint: Path, model: nn.Module, learn: torch.optim.Optimizer) -> int:
    """Take up a run where `keep` left it; gives the number of the next step."""
    state = torch.load(checkpoint, weights_only=True)
    model.load_state_dict(state["model"])
    learn.load_state_dict(state["optimizer"])
    return int(state["step"])
