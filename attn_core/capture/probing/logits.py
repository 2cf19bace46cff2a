"""How a model reads words off its final embedding, found by comparing its own logits with its unembedding's."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from attn_core.capture.probing.short_run import ShortRun
from attn_core.tolerances import SMALLEST_SQUARE
from attn_core.traces import parity
from attn_core.traces.wiring import LogitRule, Wiring


def logit_rule(hf_model: Any, wiring: Wiring, short_run: ShortRun) -> LogitRule | None:
    """The rule that fits the logits of the short run; None where there are none, or they are of another form."""
    head = hf_model.get_output_embeddings()
    stream = "decoder" if hf_model.config.is_encoder_decoder else "self"
    if head is None or short_run.logits is None or stream not in wiring.final:
        return None
    states = short_run.record.by_tap[wiring.final[stream]].value  # [token, d_model]
    return fit_logit_rule(head, states, short_run.logits[0], getattr(hf_model.config, "final_logit_softcapping", None))


def fit_logit_rule(head: nn.Module, final: Tensor, logits: Tensor, soft_cap: float | None) -> LogitRule | None:
    """How the model's own logits [token, word] follow from its final embedding; None where this form does not fit."""
    if getattr(head, "weight", final).shape[-1] != final.shape[-1]:
        return None
    plain = head(final)
    finite = torch.isfinite(plain).all(dim=0) & torch.isfinite(logits).all(dim=0)  # [word]
    # A damaged row of the unembedding gives NaN by this rule as by the model; the rule is fitted to the other words.
    plain, logits = plain[:, finite], logits[:, finite]
    if not bool(finite.any()):
        return None
    if soft_cap is not None:
        capped = LogitRule(soft_cap=soft_cap)
        return capped if torch.allclose(capped.logits(plain), logits, rtol=parity.FACTOR, atol=parity.FACTOR) else None
    x, y = plain - plain.mean(dim=0), logits - logits.mean(dim=0)
    factor = float((x * y).sum() / (x * x).sum().clamp_min(SMALLEST_SQUARE))
    factor = 1.0 if abs(factor - 1) < parity.FACTOR else factor
    bias = (logits - factor * plain).mean(dim=0)
    relative, of_largest = parity.LOGITS
    noise = of_largest * float(logits.abs().max())
    if not torch.allclose(factor * plain + bias, logits, rtol=relative, atol=noise):
        return None
    if not float(bias.abs().max()) > noise:
        return LogitRule(factor)
    return LogitRule(factor, bias=torch.zeros(len(finite)).to(bias).masked_scatter(finite, bias))
