"""A model that can be traced: the library's object, its tokenizer and its wiring, found once.

Nothing about it is changed between or during calls, so visitors can share it.
"""

from __future__ import annotations

import importlib
import operator
import sys
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn

from attn_core import adapters
from attn_core.capture.hooks import remove_hooks
from attn_core.capture.probing.find import find_wiring
from attn_core.capture.probing.logits import checksum
from attn_core.capture.running import attention_of, is_ours_always, our_name, run_stack
from attn_core.errors import EmptyText, HeadlightError
from attn_core.text.tokens import Tokens
from attn_core.text.unknown_words import TextReader
from attn_core.traces.wiring import Wiring


@dataclass(frozen=True, eq=False)
class Model:
    """A model that can be traced: the library's object, its tokenizer, and its wiring. Shared and never changed."""

    name: str
    family: str
    kind: str  # "encoder", "decoder" or "encoder-decoder"
    hf: Any
    tokenizer: Any
    wiring: Wiring
    limit: int  # tokens
    lock: threading.Lock
    is_ours: bool  # loaded with our attention and in eval mode, and held by nobody who could change that
    reload: Callable[[], Model] | None = None
    unembedding: int | None = (
        None  # a checksum of what reads words off the last states; None where nobody can change it
    )
    kept_as: str = ""  # how its weights were kept before they were converted, in words

    def __repr__(self) -> str:
        return f"<Model {self.name}: {self.kind} of family {self.family}, {self.n_parameters:,} parameters>"

    @property
    def n_bytes(self) -> int:
        """What its weights take in memory."""
        return sum(p.numel() * p.element_size() for p in self.hf.parameters())

    @property
    def reads_sound(self) -> bool:
        """Whether it takes a spectrogram in place of a text."""
        return bool(self.hf.main_input_name == "input_features")

    @property
    def n_parameters(self) -> int:
        """How many numbers it learnt, tied weights counted once."""
        return sum(p.numel() for p in self.hf.parameters())

    @cached_property
    def reader(self) -> TextReader:
        """How this model's texts become tokens."""
        return TextReader(self.tokenizer)

    def with_limit(self, limit: int | None) -> Model:
        """The same model, which reads at most `limit` tokens; None: as many as it was made for.

        Raises ValueError for a limit below 1.
        """
        if limit is not None and limit < 1:
            raise ValueError(f"limit must be at least 1 token, got {limit}")
        most = most_tokens(self.hf, self.tokenizer)
        limit = most if limit is None else min(limit, most)
        return self if limit == self.limit else replace(self, limit=limit)

    def read_sentence(self, text: Any) -> Tokens:
        """The tokens of what somebody gave as a sentence; raises EmptyText or HeadlightError where it is none."""
        if text is not None and not hasattr(text, "__len__"):
            raise HeadlightError(f"A sentence is a text or a list of token ids, not {type(text).__name__}.")
        if text is None or len(text) == 0:
            raise EmptyText("There is no word here yet. Type a sentence, for example: a fluffy blue creature.")
        return self.read(text)

    def read(self, text: str | Sequence[int], *, target: bool = False, beside: Tokens | None = None) -> Tokens:
        """Cut a text into the model's tokens, or describe ids; at most `limit` of them.

        A target is read `beside` its source: a word that neither vocabulary has is the same word in both.
        """
        if self.reads_sound and not target:
            raise HeadlightError(f"{self.name} listens to speech: it reads no text, but a spectrogram [mel, frame].")
        if isinstance(text, str):
            return self.reader.read_text(text, self.limit, target=target, beside=beside)
        ids = _whole_numbers(text)
        n_words = self.hf.get_input_embeddings().weight.shape[0]
        if any(not 0 <= i < n_words for i in ids):
            raise HeadlightError(f"Token ids of {self.name} go from 0 to {n_words - 1}.")
        dropped = max(0, len(ids) - self.limit)
        return self.reader.read_ids(ids[: self.limit], target=target, beside=beside, dropped=dropped)

    @contextmanager
    def running(self, grad: bool = False) -> Iterator[None]:
        """Hold the model for one pass: our attention, no dropout. Everything is as it was afterwards.

        Without `grad` nothing is kept for gradients; with it they flow through the pass, and never into the weights.
        """
        if self.wiring is not None and self.hf not in _WIRINGS:
            raise HeadlightError(f"{self.name} was unwrapped: wrap it again to trace it.")
        mode = torch.enable_grad() if grad else torch.inference_mode()
        with self.lock, mode, self._borrowed(), _not_compiled(), self._frozen() if grad else nullcontext():
            yield

    @contextmanager
    def _frozen(self) -> Iterator[None]:
        """Inside, no weight asks for a gradient."""
        asking = [p for p in self.hf.parameters() if p.requires_grad]
        try:
            for parameter in asking:
                parameter.requires_grad_(False)
            yield
        finally:
            for parameter in asking:
                parameter.requires_grad_(True)

    def _borrowed(self) -> AbstractContextManager[None]:
        return nullcontext() if self.is_ours else attention_of(self.hf, our_name(self.hf))

    def run(self, **inputs: Any) -> Any:
        """One forward pass, up to the final embedding: no logits of a vocabulary where they can be left out."""
        return run_stack(self.hf, inputs)


def _not_compiled() -> AbstractContextManager[Any]:
    """Inside, what was compiled runs as it was written: compiled code reports to no hook."""
    if "torch._dynamo" not in sys.modules:  # nothing was compiled in this process, and importing it takes a second
        return nullcontext()
    return torch.compiler.set_stance("force_eager")


def model_of(given: Model | str | Path) -> Model:
    """A model itself, or the one that `attn_core.load` gives for a name, a folder or a file.

    The last two that were named are kept, so that a loop over sentences reads each once. Raises
    HeadlightError for a model of the transformers library, which has to be wrapped with its tokenizer first.
    """
    if isinstance(given, Model):
        return given
    if not isinstance(given, str | Path):
        raise HeadlightError(
            f"A model is what ac.load or ac.wrap gives, or a name to load, not {type(given).__name__}; "
            "a model of the transformers library is wrapped first: ac.wrap(hf_model, tokenizer)."
        )
    loading = importlib.import_module("attn_core.models.loading")  # it stands above: it makes models with `wrap`
    named: Model = loading.load(given)
    if named not in _LAST_NAMED:
        _LAST_NAMED.append(named)
    return named


_LAST_NAMED: deque[Model] = deque(maxlen=2)


def _whole_numbers(ids: Sequence[Any]) -> list[int]:
    """Token ids of one sentence as plain numbers; takes what a tokenizer or numpy hands out."""
    try:
        return [operator.index(i.item() if hasattr(i, "item") else i) for i in ids]
    except (TypeError, ValueError, RuntimeError):
        raise HeadlightError(
            "A sentence is a text, or a list of token ids: whole numbers, one sentence at a time."
        ) from None


_WIRINGS: weakref.WeakKeyDictionary[Any, tuple[int, Wiring]] = weakref.WeakKeyDictionary()
_LOCKS: weakref.WeakKeyDictionary[Any, threading.Lock] = weakref.WeakKeyDictionary()


def wrap(
    hf_model: Any,
    tokenizer: Any,
    *,
    name: str | None = None,
    limit: int | None = None,
    reload: Callable[[], Model] | None = None,
) -> Model:
    """Make a transformers model traceable; outside our calls it behaves as it did before, and `unwrap` undoes it.

    `limit` is how many tokens of a sentence are read at most, by default as many as the model was made for.
    Runs it once on five tokens to find its wiring. Raises UnsupportedFamily where attention does not go through the
    library's interface, DamagedModel where weights that are not finite spoil that run, and HeadlightError for weights
    that are not float32 (half precision gives gibberish on a CPU) and for what is no model or no tokenizer.
    """
    if not all(hasattr(hf_model, part) for part in ("config", "base_model", "get_input_embeddings")):
        raise HeadlightError(
            f"{type(hf_model).__name__} is no model of the transformers library; wrap the model inside."
        )
    if not hasattr(tokenizer, "convert_ids_to_tokens"):
        raise HeadlightError("A tokenizer of the transformers library is needed, to say what the tokens are.")
    kinds = {p.dtype for p in hf_model.parameters() if p.is_floating_point()}
    if kinds != {torch.float32}:
        found = ", ".join(sorted(str(k).removeprefix("torch.") for k in kinds))
        raise HeadlightError(f"This model's weights are {found}; convert them first: model.float().")
    owners, hf_model = hf_model, adapters.inside(hf_model)
    family, modules = str(hf_model.config.model_type), adapters.structure(hf_model)
    known = _WIRINGS.get(hf_model)  # an adapter may have been put in, or merged, since
    wiring = known[1] if known is not None and known[0] == modules else None
    model = Model(
        name=name or getattr(hf_model, "name_or_path", "") or type(hf_model).__name__,
        family=family,
        kind="encoder",
        hf=hf_model,
        tokenizer=tokenizer,
        wiring=wiring,  # type: ignore[arg-type]
        limit=0,  # set below
        lock=_LOCKS.setdefault(hf_model, threading.Lock()),
        is_ours=is_ours_always(hf_model),
        reload=reload,
    )
    if wiring is None:
        with model.running(), adapters.with_way_out(owners):
            wiring = find_wiring(hf_model, owners, model.name)
        _WIRINGS[hf_model] = modules, wiring
    kind = "encoder-decoder" if hf_model.config.is_encoder_decoder else "decoder" if wiring.causal else "encoder"
    unembedding = None if model.is_ours else checksum(hf_model.get_output_embeddings())
    return replace(model, wiring=wiring, kind=kind, unembedding=unembedding).with_limit(limit)


def unwrap(model: Any) -> None:
    """Undo `wrap`: take what reports to traces out of a model of the transformers library, or of what `wrap` gave.

    Its traces stay as they are. To trace it again, wrap it again. Raises HeadlightError for a model that `ac.load`
    gave: it is shared with whoever else loads it, and behaves as any other.
    """
    if isinstance(model, Model) and model.reload is not None:
        raise HeadlightError(f"{model.name} was loaded, not wrapped: there is nothing to undo.")
    hf_model = adapters.inside(model.hf if isinstance(model, Model) else model)
    if not isinstance(hf_model, nn.Module):
        raise HeadlightError(f"{type(model).__name__} is no model.")
    _WIRINGS.pop(hf_model, None)
    remove_hooks(hf_model)


def most_tokens(hf_model: Any, tokenizer: Any) -> int:
    """How many tokens a model can read: its tokenizer's word for it, and as many positions as it has learnt."""
    config = hf_model.config
    names = ("max_position_embeddings", "n_positions", "max_target_positions")
    counts = [n for n in (getattr(config, name, None) for name in names) if isinstance(n, int) and n > 0]
    for table in (m for m in hf_model.modules() if isinstance(m, nn.Embedding)):
        if table.num_embeddings in counts and table.padding_idx is not None:
            counts.append(table.num_embeddings - table.padding_idx - 1)  # RoBERTa counts positions from after padding
    said = getattr(tokenizer, "model_max_length", None)
    return min([int(said or sys.maxsize), *counts])
