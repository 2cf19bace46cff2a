"""The door to a model: run it once, hand over a trace.

Nothing about a loaded model is changed between or during calls, so visitors can share it.
"""

from __future__ import annotations

import operator
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from attn_core import tokens
from attn_core.calls import Layer, frozen
from attn_core.errors import EmptyText, HeadlightError, UnsupportedFamily
from attn_core.interface import attention_of, is_ours_always, our_name
from attn_core.pass_recorder import PassRecorder, heard_by
from attn_core.probe import Wiring, logit_rule, probe
from attn_core.recording import forget, listen
from attn_core.tiny.slots import MARK, new_words
from attn_core.tokens import Tokens
from attn_core.traces import Source, Trace, Vocabulary

MOST_TOKENS = 512  # what a trace reads at most, where the model itself could read more

HeadKey = tuple[int, int] | tuple[str, int, int]


# --- A model ----------------------------------------------------------------------------------------------------------


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

    def read(self, text: str | Sequence[int], *, target: bool = False, beside: Tokens | None = None) -> Tokens:
        """Cut a text into the model's tokens, or describe ids; at most `limit` of them.

        A target is read `beside` its source: a word that neither vocabulary has is the same word in both.
        """
        if self.reads_sound and not target:
            raise HeadlightError(f"{self.name} listens to speech: it reads no text, but a spectrogram [mel, frame].")
        taken = new_words(self.tokenizer, beside.ids, beside.labels) if beside else {}
        if isinstance(text, str):
            own = {word.lower(): slot for word, slot in taken.items()}
            return tokens.encode(self.tokenizer, text, self.limit, target=target, taken=own)
        ids = _whole_numbers(text)
        n_words = self.hf.get_input_embeddings().num_embeddings
        if any(not 0 <= i < n_words for i in ids):
            raise HeadlightError(f"Token ids of {self.name} go from 0 to {n_words - 1}.")
        typed = {slot: word + MARK for word, slot in reversed(taken.items())}  # where two share a slot, the first
        names = {place: typed[i] for place, i in enumerate(ids) if i in typed}
        kept = tokens.from_ids(self.tokenizer, ids[: self.limit], target=target, names=names)
        return replace(kept, dropped=max(0, len(ids) - self.limit))

    @contextmanager
    def running(self) -> Iterator[None]:
        """Hold the model for one pass: our attention, no dropout, no gradients. Everything is as it was afterwards."""
        with self.lock, torch.inference_mode(), self._borrowed():
            yield

    def _borrowed(self) -> AbstractContextManager[None]:
        return nullcontext() if self.is_ours else attention_of(self.hf, our_name(self.hf))

    def run(self, **inputs: Any) -> Any:
        """One forward pass, up to the final embedding: no logits of a vocabulary where they can be left out."""
        device = next(self.hf.parameters()).device
        inputs = {name: value.to(device) for name, value in inputs.items()}
        return self.hf.base_model(**inputs, **_no_cache(self.hf))


def _whole_numbers(ids: Sequence[Any]) -> list[int]:
    """Token ids of one sentence as plain numbers; takes what a tokenizer or numpy hands out."""
    try:
        return [operator.index(i.item() if hasattr(i, "item") else i) for i in ids]
    except (TypeError, ValueError, RuntimeError):
        raise HeadlightError(
            "A sentence is a text, or a list of token ids: whole numbers, one sentence at a time."
        ) from None


_WIRINGS: weakref.WeakKeyDictionary[Any, Wiring] = weakref.WeakKeyDictionary()
_LOCKS: weakref.WeakKeyDictionary[Any, threading.Lock] = weakref.WeakKeyDictionary()


def wrap(
    hf_model: Any,
    tokenizer: Any,
    *,
    name: str | None = None,
    limit: int | None = None,
    reload: Callable[[], Model] | None = None,
) -> Model:
    """Make a transformers model traceable; outside our calls it behaves as it did before.

    Runs it once on five tokens to find its wiring. Raises UnsupportedFamily where attention does not go through the
    library's interface, and HeadlightError for weights that are not float32 (half precision gives gibberish on a CPU)
    and for what is no model or no tokenizer.
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
    family = str(hf_model.config.model_type)
    wiring = _WIRINGS.get(hf_model)
    model = Model(
        name=name or getattr(hf_model, "name_or_path", "") or type(hf_model).__name__,
        family=family,
        kind="encoder",
        hf=hf_model,
        tokenizer=tokenizer,
        wiring=wiring,  # type: ignore[arg-type]
        limit=min(limit or MOST_TOKENS, _most_tokens(hf_model, tokenizer)),
        lock=_LOCKS.setdefault(hf_model, threading.Lock()),
        is_ours=is_ours_always(hf_model),
        reload=reload,
    )
    if wiring is None:
        forget(hf_model)
        with model.running():
            wiring = probe(hf_model, lambda: model.run(**_probe_inputs(hf_model)))
            _compare_with_its_own(model)
            wiring = replace(wiring, logits=_logit_rule(model, wiring))
        _WIRINGS[hf_model] = wiring
        _place_taps(hf_model, wiring)
    kind = "encoder-decoder" if hf_model.config.is_encoder_decoder else "decoder" if wiring.causal else "encoder"
    return replace(model, wiring=wiring, kind=kind)


def _compare_with_its_own(model: Model) -> None:
    """Refuse a model that says something else with its family's own attention: ours is not what it was made for."""
    inputs = _probe_inputs(model.hf)
    ours = model.run(**inputs)[0]
    with attention_of(model.hf, "eager"):
        theirs = model.run(**inputs)[0]
    if not float((ours - theirs).abs().max()) <= 1e-3 * float(theirs.abs().max()):
        raise UnsupportedFamily(
            f"{model.family} models give another result when their attention goes through the library's interface, so "
            "what would be drawn is not what they do."
        )


def _place_taps(hf_model: Any, wiring: Wiring) -> None:
    for module, side in sorted({(tap.module, tap.side) for tap in wiring.taps}):
        listen(hf_model.get_submodule(module), module, side)


def _no_cache(hf_model: Any) -> dict[str, bool]:
    return {"use_cache": False} if hasattr(hf_model.config, "use_cache") else {}


def _most_tokens(hf_model: Any, tokenizer: Any) -> int:
    """How many tokens a model can read: its tokenizer's word for it, and as many positions as it has learnt."""
    config = hf_model.config
    names = ("max_position_embeddings", "n_positions", "max_target_positions")
    counts = [n for n in (getattr(config, name, None) for name in names) if isinstance(n, int) and n > 0]
    for table in (m for m in hf_model.modules() if isinstance(m, nn.Embedding)):
        if table.num_embeddings in counts and table.padding_idx is not None:
            counts.append(table.num_embeddings - table.padding_idx - 1)  # RoBERTa counts positions from after padding
    return min([int(getattr(tokenizer, "model_max_length", 0) or MOST_TOKENS), *counts])


def _probe_inputs(hf_model: Any) -> dict[str, Tensor]:
    """Five tokens to read and, for an encoder-decoder, four to write, no special ones among them."""
    config = hf_model.config
    target = torch.tensor([_ordinary_ids(hf_model, 4)])
    if hf_model.main_input_name == "input_features":  # a spectrogram, of the one length that the model takes
        sound = torch.randn(1, config.num_mel_bins, 2 * config.max_source_positions)
        return {"input_features": sound, "decoder_input_ids": target}
    ids = torch.tensor([_ordinary_ids(hf_model, 5)])
    return {"input_ids": ids, "decoder_input_ids": target} if config.is_encoder_decoder else {"input_ids": ids}


def _ordinary_ids(hf_model: Any, count: int) -> list[int]:
    n_words = hf_model.get_input_embeddings().num_embeddings
    special = {getattr(hf_model.config, f"{name}_token_id", None) for name in ("pad", "bos", "eos")}
    ordinary = [i for i in range(n_words) if i not in special]
    return [ordinary[(i + 1) * len(ordinary) // (count + 2)] for i in range(count)]


def _logit_rule(model: Model, wiring: Wiring) -> Any:
    head = model.hf.get_output_embeddings()
    stream = "decoder" if model.hf.config.is_encoder_decoder else "self"
    if head is None or stream not in wiring.final:
        return None
    recorder = PassRecorder(wiring, {}, "zero", {})
    inputs = _probe_inputs(model.hf)
    handles = [listen(model.hf.get_submodule(t.module), t.module, t.side) for t in wiring.final.values()]
    with heard_by(recorder):
        logits = model.hf(**{k: v.to(model.hf.device) for k, v in inputs.items()}, **_no_cache(model.hf)).logits[0]
    for handle in handles:
        handle.remove()
    final = recorder.taps[wiring.final[stream]].to(model.hf.device)
    return logit_rule(head, final, logits, getattr(model.hf.config, "final_logit_softcapping", None))


# --- One pass ---------------------------------------------------------------------------------------------------------


def trace(
    model: Model,
    text: str | Sequence[int] | None = None,
    *,
    target: str | Sequence[int] | None = None,
    audio: Any = None,
    without: Sequence[HeadKey] = (),
    fill: str = "zero",
    edit: Mapping[HeadKey, Any] | None = None,
) -> Trace:
    """Run a model once over a text (or token ids) and keep what explains its attention.

    An encoder-decoder also needs `target`, what it is about to write (a text, or the decoder's ids as they are);
    a speech model takes `audio`, a spectrogram [mel, frame], in place of a text.
    `without` switches heads off, for this call only, and `fill` says what stands in their place: "zero" or the head's
    "mean" over the sentence. `edit` forces patterns [query, key]. Both name heads (layer, head), or (stream, layer,
    head) in an encoder-decoder.
    """
    if fill not in ("zero", "mean"):
        raise ValueError(f'fill must be "zero" or "mean", got {fill!r}')
    inputs, read = _inputs(model, text, target, audio)
    off: dict[tuple[str, int], set[int]] = {}
    for stream, layer, head in (_head_key(model, key) for key in without):
        off.setdefault((stream, layer), set()).add(head)
    recorder = PassRecorder(model.wiring, off, fill, {_head_key(model, k): v for k, v in (edit or {}).items()})
    with model.running(), heard_by(recorder):
        model.run(**inputs)
    return _assemble(model, recorder, read)


def _head_key(model: Model, key: HeadKey) -> tuple[str, int, int]:
    """(stream, layer, head), checked."""
    if not isinstance(key, tuple | list) or len(key) not in (2, 3):
        raise ValueError(f"{key!r} names no head: name each one (layer, head) or (stream, layer, head)")
    stream, layer, head = key if len(key) == 3 else ("self", *key)
    sites = [s for s in model.wiring.sites if s.stream == stream]
    if not sites:
        streams = sorted({s.stream for s in model.wiring.sites})
        raise ValueError(
            f"{key} names no stream of this model; name a head (stream, layer, head) with one of {streams}"
        )
    if not 0 <= layer < len(sites):
        raise IndexError(f"layer {layer} is out of range: this model has layer 0 to {len(sites) - 1}")
    if not 0 <= head < sites[layer].n_heads:
        raise IndexError(f"head {head} is out of range: this layer has head 0 to {sites[layer].n_heads - 1}")
    return stream, layer, head


def _inputs(
    model: Model, text: Any, target: Any, audio: Any
) -> tuple[dict[str, Tensor], dict[str, tuple[Tokens, Tokens]]]:
    """What the model gets, and the (query, key) tokens of each of its streams."""
    if audio is not None:
        if not model.reads_sound:
            raise HeadlightError(f"{model.name} reads text, not sound.")
        sound = torch.as_tensor(np.asarray(audio), dtype=torch.float32)
        if sound.dim() != 2:
            raise HeadlightError(f"Sound must be a spectrogram [mel, frame]; this has shape {list(sound.shape)}.")
        given: dict[str, Tensor] = {"input_features": sound[None]}
        source = _times(model, sound.shape[1])
    else:
        if text is not None and not hasattr(text, "__len__"):
            raise HeadlightError(f"A sentence is a text or a list of token ids, not {type(text).__name__}.")
        if text is None or len(text) == 0:
            raise EmptyText("There is no word here yet. Type a sentence, for example: a fluffy blue creature.")
        source = model.read(text)
        ids = torch.tensor([source.ids])
        given = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if model.kind != "encoder-decoder":
        if target is not None:
            raise HeadlightError(f"{model.name} has one stack: it reads a text, and takes no target sentence.")
        return given, {"self": (source, source)}
    if target is None:
        raise EmptyText("A translator also needs a target sentence: what it is about to write.")
    written = _target(model, target, source)
    given["decoder_input_ids"] = torch.tensor([written.ids])
    return given, {"encoder": (source, source), "decoder": (written, written), "cross": (written, source)}


def _target(model: Model, target: str | Sequence[int], source: Tokens) -> Tokens:
    """What the decoder reads: its start token, then all but the end of what it writes."""
    written = model.read(target, target=True, beside=source)
    if not isinstance(target, str):
        return written
    config, ids, labels = model.hf.config, written.ids, written.labels
    while len(ids) > 1 and ids[-1] == config.eos_token_id:
        ids = ids[:-1]
    start = config.decoder_start_token_id
    if start is not None and ids[0] != start:
        ids, labels = [start, *ids], ["", *labels]
    ids, slots = ids[: model.limit], new_words(model.tokenizer, written.ids, written.labels).values()
    names = {place: label for place, (i, label) in enumerate(zip(ids, labels, strict=False)) if i in slots}
    read = tokens.from_ids(model.tokenizer, ids, target=True, names=names)
    return replace(read, text=target, dropped=written.dropped)


def _times(model: Model, n_frames: int) -> Tokens:
    """Positions of a sound, named by when they begin; a frame is 10 ms."""
    n_positions = model.hf.config.max_source_positions
    labels = [f"{i * n_frames / n_positions / 100:.2f} s" for i in range(n_positions)]
    places = list(range(n_positions))
    return Tokens("", places, labels, [False] * n_positions, list(places), list(labels))


def _assemble(model: Model, recorder: PassRecorder, read: dict[str, tuple[Tokens, Tokens]]) -> Trace:
    layers: dict[str, list[Layer]] = {stream: [] for stream in read}
    for site, call in zip(model.wiring.sites, recorder.calls, strict=True):
        taps = {tap: recorder.taps[tap] for tap in site.taps}
        layers[site.stream].append(Layer(site, call, frozen(taps)))
    return Trace(
        model_name=model.name,
        family=model.family,
        kind=model.kind,
        streams=tuple(layers),
        _layers=frozen({stream: tuple(own) for stream, own in layers.items()}),
        _tokens=frozen(dict(read)),
        _final=frozen({stream: recorder.taps[tap] for stream, tap in model.wiring.final.items()}),
        _final_norms=frozen(model.wiring.final_norm),
        _source=_source(model),
    )


def _source(model: Model) -> Source:
    """The way back to a model's weights that does not keep them alive."""
    kept, name, reload = weakref.ref(model.hf), model.name, model.reload
    tokenizer, rule, family = model.tokenizer, model.wiring.logits, model.family

    def module() -> Any:
        hf = kept()
        if hf is None and reload is not None:
            hf = reload().hf
        if hf is None:
            raise HeadlightError(f"{name} has been unloaded, and ΔE needs its weights: trace the sentence again.")
        return hf

    def vocabulary() -> Vocabulary:
        hf = module()
        head = hf.get_output_embeddings() if rule is not None else None
        matrix = (head if head is not None else hf.get_input_embeddings()).weight.detach()
        if matrix.shape[1] != hf.config.hidden_size:
            raise HeadlightError(f"The words of {family} models live in a space of their own, not in that of E.")
        kind = "unembedding" if head is not None else "input embedding"
        target = bool(hf.config.is_encoder_decoder)
        return Vocabulary(matrix, kind, lambda i: tokens.from_ids(tokenizer, [i], target=target).labels[0])

    def logits(final: Tensor) -> Tensor:
        hf = module()
        if rule is None:
            has_head = hf.get_output_embeddings() is not None
            why = "reads its words off in a way that could not be found" if has_head else "does not predict a next word"
            raise HeadlightError(f"{name} {why}.")
        with torch.inference_mode():
            plain = hf.get_output_embeddings()(final.to(hf.device))
            if rule.soft_cap is not None:
                return rule.soft_cap * torch.tanh(plain / rule.soft_cap)
            return rule.factor * plain + (0 if rule.bias is None else rule.bias)

    return Source(module, vocabulary, logits)
