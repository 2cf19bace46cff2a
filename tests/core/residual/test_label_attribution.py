"""A label's logit in parts: they sum to the library's own logit, and each is what it would be by hand."""

from __future__ import annotations

from functools import cache

import families
import numpy as np
import own_heads
import pytest
import torch

import attn_core as ac
from attn_core.heads.ablation import effect
from attn_core.residual.frozen_norm import FrozenNorm
from attn_core.residual.label_attribution import label_attribution, positions_read

TEXT = families.TEXT


@cache
def traced(name: str):
    theirs = own_heads.build(name)
    return theirs, ac.trace(ac.wrap(theirs, families.word_tokenizer(), name=name), TEXT)


@pytest.mark.parametrize("name", [*own_heads.TEXTS, "tokens", "answers", "answers of a decoder"])
def test_all_parts_are_the_librarys_own_logit(name):
    theirs, trace = traced(name)
    position = None if name in own_heads.TEXTS else 3
    judge = own_heads.logits(theirs, trace.tokens.ids)
    judge = judge if position is None else judge[position]
    for label in range(len(judge)):
        parts = label_attribution(trace.stream(), label, position)
        size = np.abs(parts.heads).sum() + np.abs(parts.mlp).sum() + abs(parts.embedding) + abs(parts.constant)
        assert abs(parts.total - judge[label]) <= 1e-5 * size and parts.error <= 1e-5
        assert parts.logit == pytest.approx(judge[label], abs=1e-5)
        assert parts.heads.shape == (2, 4) and np.abs(parts.heads).min() > 0


def test_the_parts_of_a_norm_after_attention_sum_too():
    """OLMo 2 takes the norm of what attention gives before it is added; its head here is a plain map of one token."""
    import transformers as tf

    class Rated(tf.Olmo2PreTrainedModel):
        def __init__(self, config):
            super().__init__(config)
            self.model, self.score = tf.Olmo2Model(config), torch.nn.Linear(32, 3)
            self.post_init()

        def forward(self, input_ids=None, attention_mask=None, **options):
            states = self.model(input_ids=input_ids, attention_mask=attention_mask, **options)[0]
            return tf.modeling_outputs.SequenceClassifierOutput(logits=self.score(states[:, -1]))

    torch.manual_seed(0)
    theirs = Rated(families.FAMILIES["olmo2"].config()).eval()
    trace = ac.trace(ac.wrap(theirs, families.word_tokenizer()), TEXT)
    assert trace.block(0) == "norm-after"
    parts = label_attribution(trace.stream(), 2)
    assert parts.error <= 1e-5
    assert parts.logit == pytest.approx(float(theirs(torch.tensor([trace.tokens.ids])).logits[0, 2].detach()), abs=1e-5)


def test_a_heads_share_is_its_delta_e_along_the_labels_direction():
    """GPT-2 reads the last token through the final norm: a share is ΔE through that norm · the label's row."""
    theirs, trace = traced("gpt2")
    last = len(trace.tokens) - 1
    norm = FrozenNorm.of(trace.stream().final_norm, trace.embedding(2)[last])
    parts = label_attribution(trace.stream(), 1)
    for layer, head in ((0, 1), (1, 3)):
        judge = norm.part(trace.delta_e(layer, head)[last]) @ theirs.score.weight[1].detach().numpy()
        assert parts.heads[layer, head] == pytest.approx(float(judge), rel=1e-4)


def test_the_last_norm_of_bert_and_its_pooler_are_held_at_what_they_did():
    theirs, trace = traced("bert")
    x = trace.after_attention(1)[0].astype(float) + trace.mlp_added(1)[0]
    norm, pooler = theirs.bert.encoder.layer[1].output.LayerNorm, theirs.bert.pooler.dense
    gamma, pooling = norm.weight.detach().numpy(), pooler.weight.detach().numpy()
    inside = pooling @ trace.final_embedding()[0] + pooler.bias.detach().numpy()
    row = (theirs.classifier.weight[2].detach().numpy() * np.tanh(inside) / inside) @ pooling
    added = trace.mlp_added(1)[0].astype(float)
    judge = ((added - added.mean()) / np.sqrt(x.var() + theirs.config.layer_norm_eps) * gamma) @ row
    assert label_attribution(trace.stream(), 2).mlp[1] == pytest.approx(judge, rel=1e-3)


@pytest.mark.parametrize(
    ("name", "read"), [("bert", [0]), ("gpt2", [-1]), ("llama", [-1]), ("modernbert", None), ("tokens", [3])]
)
def test_where_a_label_is_read(name, read):
    _, trace = traced(name)
    n = len(trace.tokens)
    found = positions_read(trace.stream().label_reading(0, 3 if name == "tokens" else None))
    assert found.tolist() == ([i % n for i in read] if read else list(range(n)))


def test_a_patched_pass_adds_up():
    _, trace = traced("bert")
    model = trace.stream().module()
    other = ac.wrap(model, families.word_tokenizer())
    for place in (ac.at.residual(1), ac.at.attention(0), ac.at.head(1, 2), ac.at.mlp(1), ac.at.residual(2)):
        changed = ac.trace(other, TEXT, patch={place: "zero"})
        assert label_attribution(changed.stream(), 1).error <= 1e-5, place


def test_parts_that_miss_the_logit_say_so(monkeypatch):
    """An activation that is not held shows as a sum that misses the logit; nothing hides it in the constant."""
    from attn_core.capture.own_head import frozen

    _, trace = traced("bert")
    monkeypatch.setattr(frozen, "ACTIVATIONS", frozenset())
    assert label_attribution(trace.stream(), 1).error > 1e-3


# ------------------------------------------------------------------------------- a head switched off, and its labels


def test_a_head_that_is_off_moves_the_labels_as_in_the_librarys_model():
    theirs, trace = traced("bert")
    model = ac.wrap(theirs, families.word_tokenizer())
    off = ac.trace(model, TEXT, without=[(0, 2)])
    columns = slice(2 * trace.d_head, 3 * trace.d_head)

    def silence(_module, given):
        joined = given[0].clone()
        joined[..., columns] = 0
        return (joined,)

    hook = theirs.bert.encoder.layer[0].attention.output.dense.register_forward_pre_hook(silence)
    try:
        judge = own_heads.logits(theirs, trace.tokens.ids)
    finally:
        hook.remove()
    assert np.abs(off.label_probabilities().logits - judge).max() <= 1e-5
    p, q = trace.label_probabilities().probabilities, torch.tensor(judge.astype(float)).softmax(0).numpy()
    found = effect(trace.stream(), off.stream(), 4)
    assert (found.unit, found.what) == ("bits", "change of the labels")
    assert found.value == pytest.approx((p * np.log2(p / q)).sum(), rel=1e-3)
    names = theirs.config.id2label
    assert (
        found.rising[0].text == names[int((q - p).argmax())] and found.falling[0].text == names[int((q - p).argmin())]
    )
    assert found.rising[0].after == pytest.approx(q[(q - p).argmax()], abs=1e-5)


@pytest.mark.parametrize("name", ["several labels", "tokens", "answers", "a number"])
def test_what_an_effect_is_measured_on(name):
    theirs, trace = traced(name)
    model = ac.wrap(theirs, families.word_tokenizer())
    off = ac.trace(model, TEXT, without=[(0, 0), (0, 1)])
    found = effect(trace.stream(), off.stream(), 2)
    p, q = (own.label_probabilities().probabilities for own in (trace, off))
    if name == "a number":  # no probabilities: as for any encoder
        assert found.unit == "°" and found.value > 0
        return
    p, q = (p[2], q[2]) if name == "tokens" else (p, q)
    judge = p * np.log2(p / q)
    judge = judge + (1 - p) * np.log2((1 - p) / (1 - q)) if name == "several labels" else judge
    assert found.value == pytest.approx(judge.sum(), rel=1e-6) and (found.rising or found.falling)
    if name == "answers":
        assert found.rising[0].text.startswith(("start: ", "end: "))
