"""One head, stage by stage: each stage takes what the stage before it gave, by the functions of `attention`.

    x → query, key → (turned by place) → scores → ÷ √d_head → mask → softmax → values → ΔE

`run_stages` also keeps the very functions that it called, so that a page can show the source that ran, and can leave a
stage out on purpose (`StageAblation`), which is the quickest way to see why that stage is there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from attn_core import attention, masks
from attn_core.attention import AttentionWeights
from attn_core.rotary import Rotation, apply_rotary
from attn_core.walkthrough.ablations import StageAblation, permuted_weights, raw_weights, side_by_side


@dataclass(frozen=True, eq=False)
class HeadInputs:
    """All that a head works on: the vectors it reads, its matrices, and the rules its model has for scores.

    `x` [query, d_model] is what W_Q receives; keys and values come from `memory` [key, d_model], or from `x` itself
    where that is None. `weights` is one head's slice, W_Q [d_model, d_head] and so on. Where a model's W_Q, W_K and W_V
    could not be told apart, `weights` is None and `captured` holds its query, key and value as they were scored. Keys
    and values that no word was made into, virtual tokens and "no word", stand `beside` those of the words, after them.
    """

    x: Tensor
    w_o: Tensor  # [d_head, d_model]
    weights: AttentionWeights | None = None
    captured: tuple[Tensor, Tensor, Tensor] | None = None
    memory: Tensor | None = None
    may_look: Tensor | None = None  # bool [query, key]; None: everything
    scaling: float | None = None  # what scores are multiplied by; None: 1 / √d_head
    scaled_before: float = 1.0  # a factor that the model puts into its queries instead
    cap: float | None = None
    position_bias: Tensor | None = None  # [query, key], added to the scores
    beside: tuple[Tensor, Tensor] | None = None  # keys and values [key, d_head] after those of the words
    learnt_score: float | None = None  # of the last key, "no word", which is a vector of zeros
    rotation: Rotation | None = None
    slot: int = 0  # the first of the d_head places that are this head's when heads are laid side by side
    shuffled: Callable[[], HeadInputs] | None = None  # the same words, each standing at another word's place

    def __post_init__(self) -> None:
        if self.weights is None and self.captured is None:
            raise ValueError("a head needs its matrices, or its captured query, key and value: both are None")

    @property
    def d_head(self) -> int:
        """The size of the small space in which queries meet keys."""
        return self.w_o.shape[0]

    def scale_factor(self) -> float:
        """What this model multiplies scores by."""
        return 1 / math.sqrt(self.d_head) if self.scaling is None else self.scaling

    def full_may_look(self) -> Tensor:
        """Who may look at whom, bool [query, key]."""
        n_key = len(self.x if self.memory is None else self.memory) + self.n_beside
        return torch.ones(len(self.x), n_key, dtype=torch.bool) if self.may_look is None else self.may_look

    @property
    def n_beside(self) -> int:
        """How many keys stand for no word."""
        return 0 if self.beside is None else len(self.beside[0])

    def causal(self) -> Tensor:
        """Which query could look at which key if no word looked ahead, bool [query, key]."""
        words = masks.causal(len(self.x), len(self.x if self.memory is None else self.memory))
        return torch.cat([words, words.new_ones(len(words), self.n_beside)], dim=1)

    def rearranged(self, order: Tensor) -> HeadInputs:
        """The same head over the same words in another order: row i becomes what row `order[i]` was.

        Masks, position biases and rotations go with their rows, so nothing about any pair of words changes.
        """

        def rows(x: Tensor | None) -> Tensor | None:
            return None if x is None else x[order]

        def cells(x: Tensor | None) -> Tensor | None:
            more = torch.arange(len(order), len(order) + self.n_beside)  # keys of no word stay where they are
            return None if x is None else x[order][:, torch.cat([order, more])]

        captured = self.captured
        if captured is not None:
            captured = (captured[0][order], captured[1][order], captured[2][order])
        return replace(
            self,
            x=self.x[order],
            captured=captured,
            memory=rows(self.memory),
            may_look=cells(self.may_look),
            position_bias=cells(self.position_bias),
            shuffled=None,
            rotation=None if self.rotation is None else self.rotation.at(order),
        )

    def possible_ablations(self) -> list[StageAblation]:
        """The ablations that would change anything in this head, in the order of the stages they belong to."""
        may_look, causal = self.full_may_look(), self.causal()
        possible = {
            StageAblation.SHUFFLED_POSITIONS: self.shuffled is not None,
            StageAblation.RANDOM_WEIGHTS: self.weights is not None,
            StageAblation.KEYS_ARE_QUERIES: self.memory is None,
            StageAblation.NO_SCALE: not math.isclose(self.scale_factor() * self.scaled_before, 1.0),
            StageAblation.NO_MASK: not bool(may_look.all()),
            StageAblation.CAUSAL_MASK: self.memory is None and bool((may_look & ~causal).any()),
            StageAblation.NO_SOFTMAX: True,
            StageAblation.NO_W_O: True,
        }
        return [each for each, makes_sense in possible.items() if makes_sense]


@dataclass(frozen=True, eq=False)
class HeadStages:
    """Every stage of one head, in order. Where a model has no such stage the tensor before it is passed on as it is.

    `ran` says which functions made each stage, under the names `query`, `key`, `apply_rotary`, `raw_scores`, `scaled`,
    `shifted`, `masked`, `pattern`, `value`, `weighted_values` and `delta`.
    """

    query: Tensor  # [query, d_head]
    key: Tensor  # [key, d_head]
    turned_query: Tensor  # [query, d_head], after rotary positions
    turned_key: Tensor  # [key, d_head]
    raw_scores: Tensor  # [query, key]: q · k
    scaled: Tensor  # [query, key]: ÷ √d_head
    shifted: Tensor  # [query, key]: soft cap and position bias in
    masked: Tensor  # [query, key]: −∞ where looking is not allowed
    pattern: Tensor  # [query, key]: rows sum to 1
    value: Tensor  # [key, d_head]: the lesson's "value down"
    weighted_values: Tensor  # [query, d_head]: pattern · value
    w_o: Tensor  # [d_head, d_model]: the one that was used
    delta: Tensor  # [query, d_model]: ΔE
    may_look: Tensor  # bool [query, key]
    ran: Mapping[str, tuple[Callable[..., Any], ...]]

    @property
    def lifted(self) -> Tensor:
        """Each word's value in the large space, value · W_O, [key, d_model]: the lesson's "value vector"."""
        return self.value @ self.w_o

    def by_source(self, query: int) -> Tensor:
        """ΔE of one word, split by the word it came from, [key, d_model]; sums to `delta[query]`."""
        return attention.delta_e_by_source(self.pattern[query], self.value, self.w_o)


@dataclass
class _Record:
    """Calls functions and remembers which ones: what a page shows as source is what was called here."""

    ran: dict[str, tuple[Callable[..., Any], ...]] = field(default_factory=dict)

    def __call__(self, stage: str, function: Callable[..., Tensor], *arguments: Any) -> Tensor:
        called = self.ran.get(stage, ())
        if function not in called:
            self.ran[stage] = (*called, function)
        return function(*arguments)


def run_stages(inputs: HeadInputs, ablations: frozenset[StageAblation] = frozenset()) -> HeadStages:
    """Compute one head from the vectors it reads to what it adds, with the `ablations` that were asked for.

    Without ablations, the pattern and ΔE are those of the model that the inputs were taken from. Ablations that are not
    among `inputs.possible_ablations()` change nothing.
    """
    if StageAblation.SHUFFLED_POSITIONS in ablations and inputs.shuffled is not None:
        inputs = inputs.shuffled()
    run = _Record()
    query, key, value = _project(inputs, ablations, run)
    turned_query, turned_key = _turn(inputs, query, key, run)
    if inputs.beside is not None:
        more_keys, more_values = inputs.beside
        key, turned_key = torch.cat([key, more_keys]), torch.cat([turned_key, more_keys])
        value = torch.cat([value, more_values])
    raw = run("raw_scores", attention.raw_scores, turned_query, turned_key)
    scaled = _scale(inputs, raw, ablations, run)
    shifted = _shift(inputs, scaled, run)
    may_look = _may_look_after(inputs, ablations)
    masked = run("masked", attention.mask_scores, shifted, may_look)
    pattern = run("pattern", raw_weights if StageAblation.NO_SOFTMAX in ablations else attention.softmax, masked)
    weighted_values = run("weighted_values", attention.weighted_values, pattern, value)
    w_o = side_by_side(inputs.w_o, inputs.slot) if StageAblation.NO_W_O in ablations else inputs.w_o
    delta = run("delta", attention.delta_e, pattern, value, w_o)
    return HeadStages(
        query=query,
        key=key,
        turned_query=turned_query,
        turned_key=turned_key,
        raw_scores=raw,
        scaled=scaled,
        shifted=shifted,
        masked=masked,
        pattern=pattern,
        value=value,
        weighted_values=weighted_values,
        w_o=w_o,
        delta=delta,
        may_look=may_look,
        ran=MappingProxyType(run.ran),
    )


def _project(inputs: HeadInputs, ablations: frozenset[StageAblation], run: _Record) -> tuple[Tensor, Tensor, Tensor]:
    if inputs.weights is None:
        assert inputs.captured is not None  # HeadInputs refuses to be without both
        query, key, value = inputs.captured
        return query, query if StageAblation.KEYS_ARE_QUERIES in ablations else key, value
    w = permuted_weights(inputs.weights) if StageAblation.RANDOM_WEIGHTS in ablations else inputs.weights
    memory = inputs.x if inputs.memory is None else inputs.memory
    w_k, b_k = (w.w_q, w.b_q) if StageAblation.KEYS_ARE_QUERIES in ablations else (w.w_k, w.b_k)
    query = run("query", attention.linear, inputs.x, w.w_q, w.b_q)
    key = run("key", attention.linear, memory, w_k, b_k)
    return query, key, run("value", attention.linear, memory, w.w_v, w.b_v)


def _turn(inputs: HeadInputs, query: Tensor, key: Tensor, run: _Record) -> tuple[Tensor, Tensor]:
    if inputs.rotation is None:
        return query, key
    rotated_query = run("apply_rotary", apply_rotary, query, inputs.rotation)
    return rotated_query, run("apply_rotary", apply_rotary, key, inputs.rotation)


def _scale(inputs: HeadInputs, raw: Tensor, ablations: frozenset[StageAblation], run: _Record) -> Tensor:
    if StageAblation.NO_SCALE in ablations:
        return raw / inputs.scaled_before
    factor = inputs.scale_factor()
    if math.isclose(factor, 1.0):
        return raw
    usual = math.isclose(factor, 1 / math.sqrt(inputs.d_head))
    return run("scaled", attention.scale, raw, inputs.d_head if usual else 1 / factor**2)


def _shift(inputs: HeadInputs, scaled: Tensor, run: _Record) -> Tensor:
    shifted = scaled
    if inputs.cap is not None:
        shifted = run("shifted", attention.soft_cap, shifted, inputs.cap)
    if inputs.position_bias is not None:
        shifted = run("shifted", add_position_bias, shifted, inputs.position_bias)
    if inputs.learnt_score is not None:
        shifted = run("shifted", add_learnt_score, shifted, inputs.learnt_score)
    return shifted


def add_position_bias(scores: Tensor, bias: Tensor) -> Tensor:
    """Add a learnt number for each distance between two words, as T5 does instead of position vectors.

    Source: Raffel et al. 2020, "Exploring the Limits of Transfer Learning", section 2.1.
    """
    return scores + bias


def add_learnt_score(scores: Tensor, learnt: float) -> Tensor:
    """Add what a head has learnt to the score of the last key, "no word", whose key is 0: [query, key].

    Its weight goes nowhere, since its value is 0. Source: OpenAI 2025, "gpt-oss-120b & gpt-oss-20b Model Card".
    """
    return torch.cat([scores[:, :-1], scores[:, -1:] + learnt], dim=-1)


def _may_look_after(inputs: HeadInputs, ablations: frozenset[StageAblation]) -> Tensor:
    may_look = inputs.full_may_look()
    if StageAblation.NO_MASK in ablations:
        return torch.ones_like(may_look)
    if StageAblation.CAUSAL_MASK in ablations:
        return may_look & inputs.causal()
    return may_look
