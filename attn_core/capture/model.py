"""A model that can be traced: the library's object, its tokenizer and its wiring.

Nothing about it is changed between or during calls, so visitors can share it.
"""

from __future__ import annotations

import importlib
import inspect
import operator
import sys
import threading
import weakref
from array import array
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn

from attn_core.adapters import VirtualTokens, with_virtual
from attn_core.capture.running import run_stack, running
from attn_core.errors import EmptyText, HeadlightError
from attn_core.options import check_whole
from attn_core.text.chat import from_messages, roles_of
from attn_core.text.pairs import is_pair, takes_pairs
from attn_core.text.positions import NAMES
from attn_core.text.tokens import FRAMES, Tokens
from attn_core.text.unknown_words import TextReader
from attn_core.traces.wiring import Wiring

# What was found of each model that reports to traces: a number of its modules and weights, and its wiring.
WIRINGS: weakref.WeakKeyDictionary[Any, tuple[int, Wiring]] = weakref.WeakKeyDictionary()


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
    checksums: Mapping[str, int] = field(default_factory=dict)  # the same of other modules whose weights readers use
    side_by_side: bool = False  # whether it may have several passes at once; none of its modules keeps anything of one
    virtual: VirtualTokens | None = None  # keys and values that an adapter has learnt, before those of the words
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
    def reads_other(self) -> bool:
        """Whether it takes pixels or samples of sound, which are given as `inputs=`, in place of a text."""
        return self.hf.main_input_name in NAMES

    @property
    def reads_pairs(self) -> bool:
        """Whether two texts can be read as one pair: one stack that looks both ways, and a tokenizer that tells them
        apart."""
        return self.kind == "encoder" and not (self.reads_sound or self.reads_other) and takes_pairs(self.tokenizer)

    @cached_property
    def chat_roles(self) -> tuple[str, ...]:
        """Who may speak in a conversation, by the model's chat template; () where it has none."""
        one_stack = self.kind != "encoder-decoder" and not (self.reads_sound or self.reads_other)
        return roles_of(self.tokenizer) if one_stack else ()

    @cached_property
    def takes_types(self) -> bool:
        """Whether its pass can be told which token is of which segment."""
        return "token_type_ids" in inspect.signature(self.hf.base_model.forward).parameters

    @property
    def n_parameters(self) -> int:
        """How many numbers it learnt, tied weights counted once."""
        return sum(p.numel() for p in self.hf.parameters())

    @cached_property
    def n_words(self) -> int:
        """How many words its ids name."""
        return len(self.hf.get_input_embeddings().weight)

    @property
    def head_left_aside(self) -> str:
        """The class with a head that its config.json names, where that head cannot be read; "" where there is none."""
        named = [name for name in getattr(self.hf.config, "architectures", None) or () if "For" in name]
        if not named or self.wiring.own_head is not None or self.wiring.logits is not None:
            return ""
        return str(named[0])

    @cached_property
    def reader(self) -> TextReader:
        """How this model's texts become tokens."""
        return TextReader(self.tokenizer)

    @cached_property
    def filler(self) -> int | None:
        """The id of filler, where it is that of no other special token."""
        names = ("pad", "eos", "bos", "unk")
        pad, *others = (getattr(self.tokenizer, f"{name}_token_id", None) for name in names)
        return None if pad in others else pad

    def with_limit(self, limit: int | None) -> Model:
        """The same model, which reads at most `limit` tokens; None: as many as it was made for.

        Raises ValueError for a limit below 1.
        """
        check_limit(limit)
        most = most_tokens(self.hf, self.tokenizer) - (0 if self.virtual is None else self.virtual.n_tokens)
        limit = most if limit is None else min(limit, most)
        return self if limit == self.limit else replace(self, limit=limit)

    def read_sentence(self, text: Any, frame: str = "own") -> Tokens:
        """The tokens of what somebody gave as a sentence, in a `frame` of `text.tokens.FRAMES`; raises EmptyText or
        HeadlightError where it is none, and ValueError for a frame that it cannot have."""
        if frame not in FRAMES:
            raise ValueError(f'frame must be "own" or "typed", got {frame!r}')
        if frame == "typed" and text is not None and not isinstance(text, str):
            raise ValueError(
                'frame="typed" is about one text: ids are read as they are, and a pair needs its own frame'
            )
        if text is not None and not hasattr(text, "__len__"):
            raise HeadlightError(f"A sentence is a text or a list of token ids, not {type(text).__name__}.")
        if isinstance(text, Tokens):  # of another trace, read as they were
            return text
        if text is None or len(text) == 0:
            raise EmptyText("There is no word here yet. Type a sentence, for example: a fluffy blue creature.")
        return self._read_pair(*text) if is_pair(text) else self.read(text, frame=frame)

    def _read_pair(self, first: Any, second: Any) -> Tokens:
        if not self.reads_pairs:
            raise HeadlightError(f"{self.name} reads one text: it has no second segment, so it takes no pair.")
        if isinstance(first, str) and isinstance(second, str):
            return self.reader.read_pair(first, second, self.limit)
        if isinstance(first, str) or isinstance(second, str):
            raise HeadlightError("A pair is two texts, or the token ids of two, not one of each.")
        return self.reader.read_pair(self._checked_ids(first), self._checked_ids(second), self.limit)

    def read(
        self, text: str | Sequence[int], *, target: bool = False, beside: Tokens | None = None, frame: str = "own"
    ) -> Tokens:
        """Cut a text into the model's tokens, or describe ids; at most `limit` of them.

        A target is read `beside` its source: a word that neither vocabulary has is the same word in both.
        """
        if self.reads_other:
            main = self.hf.main_input_name
            raise HeadlightError(f"{self.name} reads no text: give it inputs= with {main}, from its processor.")
        if self.reads_sound and not target:
            raise HeadlightError(f"{self.name} listens to speech: it reads no text, but a spectrogram [mel, frame].")
        if isinstance(text, str):
            return self.reader.read_text(text, self.limit, target=target, beside=beside, frame=frame)
        ids = self._checked_ids(text)
        dropped = max(0, len(ids) - self.limit)
        return self.reader.read_ids(ids[: self.limit], target=target, beside=beside, dropped=dropped)

    def _checked_ids(self, given: Sequence[int]) -> list[int]:
        ids = _whole_numbers(given)
        if ids and not 0 <= min(ids) <= max(ids) < self.n_words:
            raise HeadlightError(f"Token ids of {self.name} go from 0 to {self.n_words - 1}.")
        return ids

    def inputs_of(self, tokens: Tokens, n_rows: int = 1) -> dict[str, torch.Tensor]:
        """What a pass gets for a sentence or pair, so many times, [row, token]: ids, a mask, and its segments where the
        tokenizer tells them and the model takes them."""
        mask = torch.ones(n_rows, len(tokens.ids), dtype=torch.int64)
        given = {"input_ids": _rows_of(tokens.ids, n_rows), "attention_mask": mask}
        if tokens.types is not None and self.takes_types:
            given["token_type_ids"] = _rows_of(tokens.types, n_rows)
        return given

    def read_messages(self, messages: Sequence[Mapping[str, str]]) -> Tokens:
        """The tokens of a conversation in the model's own chat template; see `text.chat.from_messages`."""
        return from_messages(self.tokenizer, messages, self.limit)

    def running(self, grad: bool = False) -> AbstractContextManager[None]:
        """Hold the model for one pass: our attention, no dropout. Everything is as it was afterwards.

        Without `grad` nothing is kept for gradients; with it they flow through the pass, and never into the weights.
        """
        if self.wiring is not None and self.hf not in WIRINGS:
            raise HeadlightError(f"{self.name} was unwrapped: wrap it again to trace it.")
        if self.is_ours and self.side_by_side and not grad:
            return torch.inference_mode()  # nobody compiled it, and others may have a pass at the same time
        return running(self.hf, self.lock, self.is_ours, grad)

    def run(self, **inputs: Any) -> Any:
        """One forward pass, up to the final embedding: no logits of a vocabulary where they can be left out."""
        return run_stack(self.hf, with_virtual(self.virtual, inputs))


def _rows_of(numbers: list[int], n_rows: int) -> torch.Tensor:
    """The same whole numbers so many times, [row, token]; an array reads a list several times as fast as torch."""
    return torch.frombuffer(array("q", numbers * n_rows), dtype=torch.int64).view(n_rows, -1)


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
    return keep_for_a_while(loading.load(given))


_LAST_LOADED: deque[Model] = deque(maxlen=2)


def keep_for_a_while(model: Model) -> Model:
    """The model itself, held until two others were loaded by name or for a trace, so that a loop reads it once."""
    if model not in _LAST_LOADED:
        _LAST_LOADED.append(model)
    return model


def check_limit(limit: Any) -> None:
    """Raise TypeError or ValueError for what is no number of tokens; None is as many as a model was made for."""
    if limit is not None:
        check_whole("limit", limit, least=1, unit=" token")


def _whole_numbers(ids: Sequence[Any]) -> list[int]:
    """Token ids of one sentence as plain numbers; takes what a tokenizer or numpy hands out."""
    if {*map(type, ids)} == {int}:
        return [*ids]
    try:
        found = [i.item() if hasattr(i, "item") else i for i in ids]
        if any(isinstance(i, bool) for i in found):
            raise TypeError("yes and no are no ids")
        return [operator.index(i) for i in found]
    except (TypeError, ValueError, RuntimeError):
        raise HeadlightError(
            "A sentence is a text, or a list of token ids: whole numbers, one sentence at a time."
        ) from None


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


def checksum(module: nn.Module | None) -> int:
    """A number that changes with the bits of a module's weights, whoever changed them and however; 0 without a module.

    Sums of whole numbers: exact, and as fast as memory can be read. Neither addresses nor versions tell of `p.data`.
    """
    tensors = [] if module is None else [*module.parameters(), *module.buffers()]
    rows = [t.detach().contiguous().reshape(len(t), -1).view(torch.uint8) for t in tensors if t.dim() and t.numel()]
    words = [row.view(torch.int64) if row.shape[-1] % 8 == 0 else row for row in rows]
    return hash(tuple(row.sum(dim=-1, dtype=torch.int64).cpu().numpy().tobytes() for row in words))
