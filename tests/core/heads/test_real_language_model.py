"""Induction, previous-token and duplicate heads of a real language model, judged by the library's eager attention."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

import attn_core as ac
from attn_core.heads.kinds import classify_heads
from attn_core.heads.samples import SENTENCES, ordinary_words, repeated_random_tokens
from attn_core.models.catalogue import CATALOGUE
from attn_core.models.packages import fetched_folder

pytestmark = pytest.mark.models
RULES = {  # whether a query at i may be expected to look at a key at j, told by the ids alone
    "previous": lambda ids, i, j: j == i - 1,
    "duplicate": lambda ids, i, j: j < i and ids[j] == ids[i],
    "induction": lambda ids, i, j: j <= i and ids[j - 1] == ids[i] and j - 1 != i,
}

NAMED = {
    "previous": [(1, 2), (2, 1), (11, 1), (16, 0), (17, 8), (19, 3), (19, 8), (22, 1)],
    "duplicate": [(2, 4), (5, 6), (8, 1), (9, 2), (12, 8)],
    "induction": [
        *[(17, 3), (17, 4), (17, 5), (18, 6), (18, 7), (20, 6)],
        *[(23, 0), (23, 2), (23, 7), (23, 8), (24, 4)],
    ],
}


def share(texts: list[list[int]], seen: list[np.ndarray], rule: Callable[[list[int], int, int], bool]) -> np.ndarray:
    """Of the weight that is not on the first token, what lies on a rule's keys: [layer, head], counted cell by cell."""
    on = total = np.zeros(seen[0].shape[:2])
    for ids, weights in zip(texts, seen, strict=True):
        for i in range(2, len(ids)):
            keys = [j for j in range(1, i + 1) if rule(ids, i, j)]
            if keys:
                on = on + weights[:, :, i, keys].sum(axis=-1)
                total = total + weights[:, :, i, 1:].sum(axis=-1)
    return on / total


@pytest.fixture(scope="module")
def smollm2(fetched: Callable[[str], None]) -> Any:
    fetched("smollm2")
    return ac.load("smollm2")


def test_heads_of_a_real_language_model_have_their_names(smollm2: Any) -> None:
    table = classify_heads(smollm2, seeds=(0, 1))
    folder = fetched_folder(CATALOGUE["smollm2"])
    judge = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32).eval()

    def looked(ids: list[int]) -> np.ndarray:
        with torch.inference_mode():
            layers = judge(torch.tensor([ids]), output_attentions=True).attentions
        return np.stack([layer[0].numpy() for layer in layers])  # [layer, head, query, key]

    said = [smollm2.tokenizer(sentence).input_ids for sentence in SENTENCES]
    words = ordinary_words(smollm2.tokenizer)
    repeated = [repeated_random_tokens(words, seed) for seed in (0, 1)]
    for kind, texts in (("previous", said), ("duplicate", repeated), ("induction", repeated)):
        theirs = share(texts, [looked(ids) for ids in texts], RULES[kind])
        assert np.abs(table[kind].to_numpy().reshape(theirs.shape) - theirs).max() < 1e-4, kind
        named = [(layer, head) for layer, head, name in table[["layer", "head", "kind"]].to_numpy() if name == kind]
        assert named == NAMED[kind] and min(theirs[head] for head in named) > 0.4
