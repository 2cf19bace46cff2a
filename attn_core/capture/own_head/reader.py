"""A trace's way to the head of its model: logits of labels or words, and one logit as a direction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from attn_core.capture.own_head.frozen import read_label
from attn_core.capture.own_head.run import run_head
from attn_core.precision import without_autocast
from attn_core.text.tokens import Tokens
from attn_core.traces.source import HeadReader, LabelReading, OwnHead


def reader_of(module: Callable[[], Any], says: OwnHead, require_unchanged: Callable[[str], None]) -> HeadReader:
    """The head of the model that `module` gives, asked with its modules as they were when the trace was made."""

    def hf_model() -> Any:
        for name in says.modules:
            require_unchanged(name)
        return module()

    @torch.inference_mode()
    @without_autocast()
    def logits(states: Tensor, tokens: Tokens) -> Tensor:
        hf = hf_model()
        made = run_head(hf, *_given(hf, states, tokens, says.task))[0]
        return made[0] if says.task == "word" else made

    def reading(states: Tensor, tokens: Tokens, at: tuple[int, ...]) -> LabelReading:
        hf = hf_model()
        return read_label(hf, *_given(hf, states, tokens, says.task), at)

    return HeadReader(says, logits, reading)


def _given(hf: Any, states: Tensor, tokens: Tokens, task: str) -> tuple[Tensor, Mapping[str, Any]]:
    """The last states [1, token, d_model] where the model is, and what its head looks at besides: ids and a mask.

    Filler, whose states a trace leaves out, is 0 and masked. A head of words looks at its one state alone.
    """
    device = next(hf.parameters()).device
    filler = torch.isnan(states).any(dim=-1)  # [token]
    given = states.masked_fill(filler[:, None], 0).to(device)[None]
    if task == "word" or hf.main_input_name != "input_ids":
        return given, {}
    ids = torch.tensor([tokens.ids], device=device)
    return given, {"input_ids": ids, "attention_mask": (~filler).to(device, torch.long)[None]}
