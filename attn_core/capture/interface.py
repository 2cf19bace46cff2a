"""Our attention function, registered with the library: it sees every family's attention, whoever wrote the model.

It calls the library's own fused function for the result and tells the recorder of this call, if there is one, what went
in: q and k already rotated, v, the mask, the scale.
"""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from attn_core import attention
from attn_core.blocks import row_slices
from attn_core.capture.hooks import RECORDER, AttentionCall
from attn_core.errors import UnsupportedFamily
from attn_core.importing import ONE_AT_A_TIME
from attn_core.masks import Mask, RelativeBias, flags
from attn_core.masks import causal as causal_mask

with ONE_AT_A_TIME:
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.integrations.sdpa_attention import sdpa_attention_forward
    from transformers.masking_utils import eager_mask, sdpa_mask

NAME = "headlight"
NAME_WITH_MASK = "headlight-with-mask"


def attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    is_causal: bool | None = None,
    position_bias: Tensor | None = None,
    softcap: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """What the library calls for every attention of a model that is loaded here; see the module's docstring."""
    sink: Tensor | None = kwargs.pop("s_aux", None)  # [head], what each has learnt as the score of looking at no word
    if scaling is None:
        scaling = query.shape[-1] ** -0.5
    causal = getattr(module, "is_causal", True) if is_causal is None else is_causal
    causal = bool(causal) and attention_mask is None and query.shape[2] > 1
    recorder = RECORDER.get()
    caller: Any = module
    beside = 0
    if recorder is not None:
        groups, beside = key.shape[1], recorder.virtual
        if beside:
            if key.shape[2] != query.shape[2] + beside:
                raise UnsupportedFamily("Not every layer of this model reads the virtual tokens of its adapter.")
            virtual = key[:, :, :beside], value[:, :, :beside]
            key, value = key[:, :, beside:], value[:, :, beside:]
        if recorder.passed is None:
            query, key, value = recorder.before_attention(query, key, value)
        if key.shape[1] != groups:  # one head's key or value is patched, so no two heads share theirs in this call
            caller = SimpleNamespace(is_causal=getattr(module, "is_causal", True))
        if beside:  # words first, so that key i is word i for whoever reads this call
            key, value = (_after(own, more) for own, more in zip((key, value), virtual, strict=True))
            attention_mask = None if attention_mask is None else attention_mask.roll(-beside, dims=-1)
    if sink is not None:
        key, value, beside = with_a_zero(key), with_a_zero(value), beside + 1
    if recorder is not None and recorder.in_steps:
        mask, bias = read_mask(attention_mask, position_bias, causal, query.shape[2], key.shape[2], beside=beside)
        output = recorder.attend(query, key, value, mask, bias, scaling, softcap, sink)
    elif sink is not None:
        cells = _cells_with_sink(query, key, attention_mask, causal, sink)
        output, _ = sdpa_attention_forward(caller, query, key, value, cells, dropout, scaling, False)
    elif softcap is None:
        output, _ = sdpa_attention_forward(
            caller, query, key, value, attention_mask, dropout, scaling, is_causal, position_bias, **kwargs
        )
    else:
        output = _capped(query, key, value, attention_mask, causal, scaling, softcap)
    if recorder is not None:
        recorder.on_attention(
            AttentionCall(
                module, query, key, value, attention_mask, position_bias, causal, scaling, softcap, output, beside, sink
            )  # fmt: skip
        )
    return output, None


def _after(words: Tensor, virtual: Tensor) -> Tensor:
    """[1, group, word, d_head] and then those of virtual tokens, as many groups as words have."""
    return torch.cat([words, attention.repeat_groups(virtual, words.shape[1])], dim=2)


def with_a_zero(part: Tensor) -> Tensor:
    """[1, group, key, d_head] with a last key of zeros."""
    return torch.cat([part, torch.zeros_like(part[:, :, :1])], dim=2)


def _cells_with_sink(query: Tensor, key: Tensor, mask: Tensor | None, causal: bool, sink: Tensor) -> Tensor:
    """What is added to scores whose last key is zeros: the mask, and of that key what each head has learnt.

    [1, head, query, key], for the fused function.
    """
    n_query, n_key = query.shape[2], key.shape[2] - 1
    lowest = torch.finfo(query.dtype).min
    if mask is None:
        may_look = causal_mask(n_query, n_key).to(query.device) if causal else None
        mask = query.new_ones(1, 1, n_query, n_key, dtype=torch.bool) if may_look is None else may_look[None, None]
    added = torch.where(mask, 0.0, lowest) if mask.dtype == torch.bool else mask
    wide = added.to(query.dtype).expand(len(query), query.shape[1], n_query, n_key)
    own = sink.to(query.dtype).reshape(1, -1, 1, 1).expand(len(query), -1, n_query, 1)
    return torch.cat([wide, own], dim=-1)


def _capped(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, causal: bool, scaling: float, cap: float
) -> Tensor:
    """Attention with capped scores, which the fused function refuses: [1, head, query, d] → [1, query, head, d]."""
    n_heads, n_query, n_key = query.shape[1], query.shape[2], key.shape[2]
    key, value = attention.repeat_groups(key, n_heads), attention.repeat_groups(value, n_heads)
    scores = attention.soft_cap(attention.raw_scores(query, key) * scaling, cap)
    lowest = torch.finfo(scores.dtype).min  # not −∞: a pad of a batch may look nowhere, and its NaN would spread
    if mask is None:
        may_look = causal_mask(n_query, n_key).to(scores.device) if causal else scores.new_ones((), dtype=torch.bool)
    else:
        may_look = flags(mask)
        scores = scores if mask.dtype == torch.bool else scores + mask.masked_fill(~may_look, 0)
    scores = scores.masked_fill(~may_look, lowest)
    weights = attention.softmax(scores.float()).to(value)  # rounded after the softmax, as those families do
    return attention.weighted_values(weights, value).transpose(1, 2).contiguous()


AttentionInterface.register(NAME, attend)
AttentionMaskInterface.register(NAME, sdpa_mask)
AttentionInterface.register(NAME_WITH_MASK, attend)
AttentionMaskInterface.register(NAME_WITH_MASK, eager_mask)


def read_mask(
    mask: Tensor | None,
    bias: Tensor | None,
    causal: bool,
    n_query: int,
    n_key: int,
    filler: Tensor | None = None,
    beside: int = 0,
) -> tuple[Mask, RelativeBias | None]:
    """The library's mask [1, 1 or head, query, key], boolean or additive, and its bias, as rules.

    Queries that are `filler`, bool [query], look nowhere, whatever the model lets them see. The last `beside` keys
    stand for no word; what the mask does not tell of them may be seen.
    """
    n_words = n_key - beside
    rule = Mask(ahead=0) if causal else Mask()
    if mask is None and filler is None and not beside and rule.everyone_sees(n_query, n_key):
        return rule, None if bias is None else RelativeBias.of(bias[0].cpu())
    seen_beside = torch.ones(n_query, beside, dtype=torch.bool)
    if mask is None:
        rule = rule if filler is None else replace(rule, asks=~filler)
    else:
        square = mask[0].cpu()
        if not all(torch.equal(*_of_heads(square, rows)) for rows in row_slices(*square.shape[1:])):
            raise UnsupportedFamily("This model hides different words from different heads; that cannot be drawn yet.")
        told = square[0].expand(n_query, square.shape[-1])
        seen, virtual = told[:, :n_words], flags(told[:, n_words:])
        seen_beside[:, : virtual.shape[1]] = virtual
        rule = Mask.of(seen, filler)
        if square.dtype != torch.bool and _adds(square):
            bias = square.masked_fill(~flags(square), 0)[None] + (0 if bias is None else bias.cpu())
    everybody = seen_beside if filler is None else seen_beside[~filler]  # whoever asks
    if beside and bool(everybody.all()) and (filler is None or rule.cells is None):
        rule = rule.with_keys(beside, n_words)
        rule = rule if filler is None else replace(rule, asks=~filler)
    elif beside:
        seen_beside = seen_beside if filler is None else seen_beside & ~filler[:, None]
        rule = Mask(cells=torch.cat([rule.may_look(n_query, n_words), seen_beside], dim=1), beside=beside)
    blind = rule.blind(n_query, n_key)
    if blind is not None and (filler is None or not torch.equal(blind, filler)):
        raise UnsupportedFamily(
            "This model's mask leaves a word with nothing to look at, so its weights are undefined."
        )
    return rule, None if bias is None else RelativeBias.of(bias[0].cpu())


def _of_heads(square: Tensor, rows: slice) -> tuple[Tensor, Tensor]:
    """Some rows of what every head may see, [head, row, key], and as often those of the first."""
    seen = flags(square[:, rows])
    return seen, seen[:1].expand_as(seen)


def _adds(square: Tensor) -> bool:
    """Whether an additive mask [1 or head, query, key] also adds something to cells that may be seen."""
    pieces = (square[:, rows] for rows in row_slices(*square.shape[1:]))
    return any(bool((piece.ne(0) & flags(piece)).any()) for piece in pieces)
