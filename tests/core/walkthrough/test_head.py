"""Every stage of a head against numpy in float64, and every break against what it may and may not change."""

import inspect
import math
from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from attn_core import attention, masks
from attn_core.attention import AttentionWeights
from attn_core.rotary import Rotation, apply_rotary, fit_rotary
from attn_core.traces import parity
from attn_core.walkthrough.ablations import StageAblation
from attn_core.walkthrough.head import HeadInputs, HeadStages, run_stages

WORDS, D_MODEL, D_HEAD = 7, 12, 4
TENSORS = [each.name for each in fields(HeadStages) if each.name != "ran"]
SCORES = {"raw_scores", "scaled", "shifted", "masked", "pattern"}


def make_inputs(seed: int = 0, **rules) -> HeadInputs:
    dice = torch.Generator().manual_seed(seed)

    def numbers(*shape):
        return torch.randn(*shape, generator=dice)

    matrices = {name: numbers(D_MODEL, D_HEAD) for name in ("w_q", "w_k", "w_v")}
    biases = {name: numbers(D_HEAD) for name in ("b_q", "b_k", "b_v")}
    w_o = numbers(D_HEAD, D_MODEL)
    x = numbers(WORDS, D_MODEL)
    return HeadInputs(x=x, w_o=w_o, weights=AttentionWeights(**matrices, w_o=w_o, **biases), **rules)


def rotation_for(n_tokens: int) -> Rotation:
    angles = torch.arange(n_tokens)[:, None] * torch.tensor([1.0, 0.1])
    return Rotation(angles.cos(), angles.sin(), torch.tensor([0, 1]), torch.tensor([2, 3]))


def by_numpy(inputs: HeadInputs) -> dict[str, np.ndarray]:
    """The same head in float64, one number at a time where that is what is being claimed."""
    w = inputs.weights
    x = inputs.x.double().numpy()
    memory = x if inputs.memory is None else inputs.memory.double().numpy()
    query = np.array([[row @ column for column in w.w_q.double().numpy().T] for row in x]) + w.b_q.double().numpy()
    key = memory @ w.w_k.double().numpy() + w.b_k.double().numpy()
    value = memory @ w.w_v.double().numpy() + w.b_v.double().numpy()
    if inputs.rotation is not None:
        query, key = by_complex(query, inputs.rotation), by_complex(key, inputs.rotation)
    raw = np.array([[sum(q * k for q, k in zip(a, b, strict=True)) for b in key] for a in query])
    scaled = raw * (inputs.scaling if inputs.scaling is not None else D_HEAD**-0.5)
    shifted = scaled if inputs.cap is None else inputs.cap * np.tanh(scaled / inputs.cap)
    if inputs.position_bias is not None:
        shifted = shifted + inputs.position_bias.double().numpy()
    masked = shifted.copy()
    if inputs.may_look is not None:
        masked[~inputs.may_look.numpy()] = -np.inf
    pattern = np.exp(masked) / np.exp(masked).sum(axis=1, keepdims=True)
    weighted = pattern @ value
    delta = weighted @ inputs.w_o.double().numpy()
    return {
        "turned_query": query,
        "turned_key": key,
        "value": value,
        "raw_scores": raw,
        "scaled": scaled,
        "shifted": shifted,
        "masked": masked,
        "pattern": pattern,
        "weighted_values": weighted,
        "delta": delta,
    }


def by_complex(x: np.ndarray, rotation: Rotation) -> np.ndarray:
    points = x[:, :2] + 1j * x[:, 2:]
    points = points * np.exp(1j * rotation.angles.double().numpy())
    return np.concatenate([points.real, points.imag], axis=1)


RULES = {
    "open": {},
    "causal": {"may_look": masks.causal(WORDS, WORDS)},
    "window": {"may_look": masks.window(WORDS, WORDS, 3)},
    "bias": {"position_bias": torch.randn(WORDS, WORDS, generator=torch.Generator().manual_seed(5)), "scaling": 1.0},
    "cap": {"cap": 2.0, "scaling": 0.3},
    "rotary": {"rotation": rotation_for(WORDS), "may_look": masks.causal(WORDS, WORDS)},
    "cross": {"memory": torch.randn(3, D_MODEL, generator=torch.Generator().manual_seed(6))},
}


@pytest.mark.parametrize("rules", RULES.values(), ids=RULES.keys())
def test_every_stage_is_what_numpy_says(rules):
    inputs = make_inputs(**rules)
    made, expected = run_stages(inputs), by_numpy(inputs)
    for name, numbers in expected.items():
        np.testing.assert_allclose(getattr(made, name), numbers, atol=2e-5, rtol=2e-5, err_msg=name)
    np.testing.assert_allclose(made.pattern.sum(-1), np.ones(WORDS), atol=1e-6)
    np.testing.assert_allclose(made.lifted, expected["value"] @ inputs.w_o.double().numpy(), atol=1e-5)
    np.testing.assert_allclose(made.by_source(2).sum(0), expected["delta"][2], atol=1e-5)


def test_stages_that_a_model_does_not_have_pass_on_what_they_got():
    made = run_stages(make_inputs(scaling=1.0))
    assert made.turned_query is made.query and made.scaled is made.raw_scores and made.shifted is made.scaled
    assert "apply_rotary" not in made.ran and "scaled" not in made.ran and "shifted" not in made.ran


def test_a_head_without_known_matrices_starts_from_its_captured_vectors():
    whole = run_stages(make_inputs(**RULES["rotary"]))
    captured = (whole.turned_query, whole.turned_key, whole.value)
    part = run_stages(replace(make_inputs(may_look=masks.causal(WORDS, WORDS)), weights=None, captured=captured))
    assert torch.equal(part.delta, whole.delta)
    assert "query" not in part.ran


def test_a_setup_needs_something_to_start_from():
    with pytest.raises(ValueError, match="captured"):
        replace(make_inputs(), weights=None)


def test_each_stage_takes_what_the_stage_before_gave():
    """Change the queries, and everything that follows from them changes, ΔE included."""
    inputs = make_inputs()
    other = replace(inputs, weights=replace(inputs.weights, b_q=inputs.weights.b_q + 1))
    a, b = run_stages(inputs), run_stages(other)
    for name in ("query", "raw_scores", "scaled", "masked", "pattern", "weighted_values", "delta"):
        assert not torch.allclose(getattr(a, name), getattr(b, name), atol=1e-3), name
    assert torch.equal(a.key, b.key) and torch.equal(a.value, b.value)


# What each ablation may change; all other stages must be bit for bit the same.
CHANGES = {
    StageAblation.NO_SCALE: {"scaled", "shifted", "masked", "pattern", "weighted_values", "delta"},
    StageAblation.NO_MASK: {"may_look", "masked", "pattern", "weighted_values", "delta"},
    StageAblation.NO_SOFTMAX: {"pattern", "weighted_values", "delta"},
    StageAblation.NO_W_O: {"w_o", "delta"},
    StageAblation.KEYS_ARE_QUERIES: {"key", "turned_key", *SCORES, "weighted_values", "delta"},
    StageAblation.RANDOM_WEIGHTS: {"query", "key", "turned_query", "turned_key", *SCORES, "weighted_values", "delta"},
}


@pytest.mark.parametrize("broken", CHANGES)
def test_an_ablation_changes_what_it_should_and_nothing_else(broken):
    inputs = make_inputs(may_look=masks.causal(WORDS, WORDS))
    assert broken in inputs.possible_ablations()
    true, spoilt = run_stages(inputs), run_stages(inputs, frozenset({broken}))
    changed = {name for name in TENSORS if not torch.equal(getattr(true, name), getattr(spoilt, name))}
    assert changed == CHANGES[broken]


def test_a_causal_mask_can_be_put_on_a_model_that_has_none():
    inputs = make_inputs()
    assert (
        StageAblation.CAUSAL_MASK in inputs.possible_ablations()
        and StageAblation.NO_MASK not in inputs.possible_ablations()
    )
    spoilt = run_stages(inputs, frozenset({StageAblation.CAUSAL_MASK}))
    assert torch.equal(spoilt.pattern, run_stages(make_inputs(may_look=masks.causal(WORDS, WORDS))).pattern)
    changed = {name for name in TENSORS if not torch.equal(getattr(run_stages(inputs), name), getattr(spoilt, name))}
    assert changed == {"may_look", "masked", "pattern", "weighted_values", "delta"}


def test_shuffling_walks_the_other_setup():
    inputs = replace(make_inputs(), shuffled=lambda: make_inputs(seed=1))
    assert torch.equal(
        run_stages(inputs, frozenset({StageAblation.SHUFFLED_POSITIONS})).delta, run_stages(make_inputs(seed=1)).delta
    )


@pytest.mark.parametrize("rules", [RULES["causal"], RULES["rotary"], RULES["bias"]], ids=["causal", "rotary", "bias"])
def test_words_in_another_order_are_the_same_words(rules):
    """Rows move together with their masks, biases and turns: the head must not notice."""
    inputs, order = make_inputs(**rules), torch.tensor([3, 0, 6, 1, 5, 2, 4])
    moved, made = run_stages(inputs.rearranged(order)), run_stages(inputs)
    torch.testing.assert_close(moved.pattern, made.pattern[order][:, order])
    torch.testing.assert_close(moved.delta, made.delta[order])


def test_without_a_scale_the_scores_are_the_raw_ones_also_where_the_model_scales_its_queries():
    inputs = make_inputs(scaling=1.0, scaled_before=0.5)
    assert StageAblation.NO_SCALE in inputs.possible_ablations()
    spoilt = run_stages(inputs, frozenset({StageAblation.NO_SCALE}))
    torch.testing.assert_close(spoilt.scaled, 2 * spoilt.raw_scores)


def test_breaks_that_would_change_nothing_are_not_offered():
    assert StageAblation.NO_SCALE not in make_inputs(scaling=1.0).possible_ablations()
    assert StageAblation.SHUFFLED_POSITIONS not in make_inputs().possible_ablations()
    cross = make_inputs(**RULES["cross"]).possible_ablations()
    assert StageAblation.KEYS_ARE_QUERIES not in cross and StageAblation.CAUSAL_MASK not in cross
    captured = replace(make_inputs(), weights=None, captured=(torch.ones(7, 4),) * 3).possible_ablations()
    assert StageAblation.RANDOM_WEIGHTS not in captured and StageAblation.KEYS_ARE_QUERIES in captured


def test_random_weights_are_the_same_numbers_in_other_places_every_time_the_same():
    inputs = make_inputs()
    first, second = (run_stages(inputs, frozenset({StageAblation.RANDOM_WEIGHTS})) for _ in range(2))
    assert torch.equal(first.query, second.query)
    from attn_core.walkthrough.ablations import permuted_weights

    spoilt = permuted_weights(inputs.weights)
    assert torch.equal(spoilt.w_q.flatten().sort().values, inputs.weights.w_q.flatten().sort().values)
    assert torch.equal(spoilt.w_v, inputs.weights.w_v) and torch.equal(spoilt.b_v, inputs.weights.b_v)


def test_keys_as_queries_make_the_scores_a_mirror():
    raw = run_stages(make_inputs(), frozenset({StageAblation.KEYS_ARE_QUERIES})).raw_scores
    torch.testing.assert_close(raw, raw.T)


def test_without_w_o_a_heads_numbers_stand_in_its_own_slot():
    made = run_stages(replace(make_inputs(), slot=8), frozenset({StageAblation.NO_W_O}))
    assert torch.equal(made.delta[:, 8:], made.weighted_values) and not made.delta[:, :8].any()


def test_without_softmax_masked_words_give_nothing_and_rows_do_not_sum_to_one():
    made = run_stages(make_inputs(may_look=masks.causal(WORDS, WORDS)), frozenset({StageAblation.NO_SOFTMAX}))
    assert made.delta.isfinite().all()
    assert torch.equal(made.pattern, made.shifted.tril())


def test_the_functions_shown_are_the_ones_that_ran(monkeypatch):
    def other_softmax(scores):
        """Not ours."""
        return torch.softmax(scores, dim=-1)

    assert run_stages(make_inputs()).ran["pattern"] == (attention.softmax,)
    monkeypatch.setattr(attention, "softmax", other_softmax)
    made = run_stages(make_inputs())
    assert made.ran["pattern"] == (other_softmax,)
    assert "Not ours." in inspect.getsource(made.ran["pattern"][0])


def test_every_stage_names_the_functions_that_made_it():
    made = run_stages(make_inputs(cap=3.0, **RULES["rotary"]))
    assert {stage: [f.__name__ for f in functions] for stage, functions in made.ran.items()} == {
        "query": ["linear"],
        "key": ["linear"],
        "value": ["linear"],
        "apply_rotary": ["apply_rotary"],
        "raw_scores": ["raw_scores"],
        "scaled": ["scale"],
        "shifted": ["soft_cap"],
        "masked": ["mask_scores"],
        "pattern": ["softmax"],
        "weighted_values": ["weighted_values"],
        "delta": ["delta_e"],
    }


@pytest.mark.parametrize("pairing", ["halves", "neighbours", "partial"])
def test_a_rotation_is_read_off_the_vectors(pairing):
    first, second = {
        "halves": (torch.arange(4), torch.arange(4, 8)),
        "neighbours": (torch.arange(0, 8, 2), torch.arange(1, 8, 2)),
        "partial": (torch.arange(2), torch.arange(2, 4)),
    }[pairing]
    angles = torch.arange(9)[:, None] * 100.0 ** -(torch.arange(len(first)) / len(first))
    true = Rotation(angles.cos(), angles.sin(), first, second)
    before = torch.randn(3, 9, 8, generator=torch.Generator().manual_seed(1))
    found = fit_rotary(before, apply_rotary(before, true), parity.ROTATION)
    other = torch.randn(9, 8, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(apply_rotary(other, found), apply_rotary(other, true), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(apply_rotary(other, found).norm(dim=-1), other.norm(dim=-1))


def test_what_is_no_rotation_is_not_taken_for_one():
    before = torch.randn(3, 9, 8, generator=torch.Generator().manual_seed(1))
    assert fit_rotary(before, before.flip(-1) * 2 + 1, parity.ROTATION) is None


def test_rotated_scores_depend_on_the_distance_alone():
    word = torch.ones(1, D_HEAD).expand(WORDS, -1)
    turned = apply_rotary(word, rotation_for(WORDS))
    scores = attention.raw_scores(turned, turned)
    for distance in range(1, WORDS):
        diagonal = scores.diagonal(distance)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal))
        assert math.isclose(diagonal[0], 2 * math.cos(distance) + 2 * math.cos(0.1 * distance), rel_tol=1e-5)
