"""The only door to transformers: run a model once, hand over a trace.

One attention function, registered with the library, sees every family. It calls the library's own fused function for
the result and tells the recorder of this call, if there is one, what went in: q and k already rotated, v, the mask, the
scale. Nothing about a loaded model is changed between or during calls, so visitors can share it.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from attn_core import attention, tokens
from attn_core.errors import EmptyText, HeadlightError, UnsupportedFamily
from attn_core.masks import Mask, RelativeBias
from attn_core.probe import Wiring, logit_rule, probe
from attn_core.recording import RECORDER, Attended, Recorder, listen
from attn_core.tokens import Tokens
from attn_core.traces import Call, Layer, Source, Trace, Vocabulary, frozen
from attn_core.wiring import Tap

NAME = "headlight"
MOST_TOKENS = 512  # what a trace reads at most, where the model itself could read more

HeadKey = tuple[int, int] | tuple[str, int, int]


# --- The attention function -------------------------------------------------------------------------------------------


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
    if kwargs.get("s_aux") is not None:
        raise UnsupportedFamily("Models with learned attention sinks give weight to no word; they cannot be drawn yet.")
    if scaling is None:
        scaling = query.shape[-1] ** -0.5
    causal = getattr(module, "is_causal", True) if is_causal is None else is_causal
    causal = bool(causal) and attention_mask is None and query.shape[2] > 1
    if softcap is None:
        output, _ = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout, scaling, is_causal, position_bias, **kwargs
        )
    else:
        output = _capped(query, key, value, attention_mask, causal, scaling, softcap)
    recorder = RECORDER.get()
    if recorder is not None:
        recorder.attended(
            Attended(module, query, key, value, attention_mask, position_bias, causal, scaling, softcap, output)
        )
    return output, None


def _capped(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, causal: bool, scaling: float, cap: float
) -> Tensor:
    """Attention with capped scores, which the fused function refuses: [1, head, query, d] → [1, query, head, d]."""
    n_heads, n_query, n_key = query.shape[1], query.shape[2], key.shape[2]
    key, value = attention.repeat_groups(key, n_heads), attention.repeat_groups(value, n_heads)
    scores = attention.soft_cap(attention.raw_scores(query, key) * scaling, cap)
    rule, _ = read_mask(mask, None, causal, n_query, n_key)
    scores = attention.mask_scores(scores, rule.may_look(n_query, n_key).to(scores.device))
    return attention.weighted_values(attention.softmax(scores), value).transpose(1, 2).contiguous()


AttentionInterface.register(NAME, attend)
AttentionMaskInterface.register(NAME, sdpa_mask)


def read_mask(
    mask: Tensor | None, bias: Tensor | None, causal: bool, n_query: int, n_key: int
) -> tuple[Mask, RelativeBias | None]:
    """The library's mask [1, 1 or head, query, key], boolean or additive, and its bias, as rules."""
    if mask is None:
        rule = Mask(ahead=0) if causal else Mask()
    else:
        square = mask[0].cpu()
        cells = square if square.dtype == torch.bool else square > torch.finfo(square.dtype).min / 2
        added = None if square.dtype == torch.bool else square.masked_fill(~cells, 0)
        if not torch.equal(cells, cells[:1].expand_as(cells)):
            raise UnsupportedFamily("This model hides different words from different heads; that cannot be drawn yet.")
        rule = Mask.of(cells[0].expand(n_query, n_key))
        bias = bias if added is None or not bool(added.any()) else added[None] + (0 if bias is None else bias.cpu())
    if not rule.is_open and not bool(rule.may_look(n_query, n_key).any(dim=-1).all()):
        raise UnsupportedFamily(
            "This model's mask leaves a word with nothing to look at, so its weights are undefined."
        )
    return rule, None if bias is None else RelativeBias.of(bias[0].cpu())


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

    @property
    def n_bytes(self) -> int:
        """What its weights take in memory."""
        return sum(p.numel() * p.element_size() for p in self.hf.parameters())

    @property
    def n_parameters(self) -> int:
        """How many numbers it learnt, tied weights counted once."""
        return sum(p.numel() for p in self.hf.parameters())

    def read(self, text: str | Sequence[int], *, target: bool = False) -> Tokens:
        """Cut a text into the model's tokens, or describe ids; at most `limit` of them."""
        if isinstance(text, str):
            return tokens.encode(self.tokenizer, text, self.limit, target=target)
        ids = [int(i) for i in text]
        n_words = self.hf.get_input_embeddings().num_embeddings
        if any(not 0 <= i < n_words for i in ids):
            raise HeadlightError(f"Token ids of {self.name} go from 0 to {n_words - 1}.")
        kept = tokens.from_ids(self.tokenizer, ids[: self.limit], target=target)
        return replace(kept, dropped=max(0, len(ids) - self.limit))

    @contextmanager
    def running(self) -> Iterator[None]:
        """Hold the model for one pass: our attention, no dropout, no gradients. Everything is as it was afterwards."""
        with self.lock, torch.inference_mode(), nullcontext() if self.is_ours else _as_ours(self.hf):
            yield

    def run(self, **inputs: Any) -> Any:
        """One forward pass, up to the final embedding: no logits of a vocabulary where they can be left out."""
        device = next(self.hf.parameters()).device
        inputs = {name: value.to(device) for name, value in inputs.items()}
        return self.hf.base_model(**inputs, use_cache=False) if _caches(self.hf) else self.hf.base_model(**inputs)


_WIRINGS: weakref.WeakKeyDictionary[Any, Wiring] = weakref.WeakKeyDictionary()


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
    library's interface, and HeadlightError for weights that are not float32 (half precision gives gibberish on a CPU).
    """
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
        lock=threading.Lock(),
        is_ours=all(c._attn_implementation_internal == NAME for c in _configs(hf_model)) and not hf_model.training,
        reload=reload,
    )
    if wiring is None:
        with model.running():
            wiring = probe(hf_model, lambda: model.run(**_probe_inputs(hf_model)))
            wiring = replace(wiring, logits=_logit_rule(model, wiring))
        _WIRINGS[hf_model] = wiring
        _place_taps(hf_model, wiring)
    kind = "encoder-decoder" if hf_model.config.is_encoder_decoder else "decoder" if wiring.causal else "encoder"
    return replace(model, wiring=wiring, kind=kind)


def use_ours_always(hf_model: Any) -> None:
    """Choose our attention once and for all; for a model that was loaded here and that nobody else holds."""
    hf_model.eval()
    for config in _configs(hf_model):
        config._attn_implementation_internal = NAME


def _configs(hf_model: Any) -> list[Any]:
    configs = [m.config for m in hf_model.modules() if hasattr(m, "config")]
    return [c for c in {id(c): c for c in configs}.values() if hasattr(c, "_attn_implementation_internal")]


@contextmanager
def _as_ours(hf_model: Any) -> Iterator[None]:
    before = [(c, c._attn_implementation_internal) for c in _configs(hf_model)]
    training = [m for m in hf_model.modules() if m.training]
    if training:
        hf_model.eval()
    try:
        for config, name in before:
            if name != NAME:
                config._attn_implementation_internal = NAME
        yield
    finally:
        for config, name in before:
            if name != NAME:
                config._attn_implementation_internal = name
        for module in training:
            module.training = True


def _place_taps(hf_model: Any, wiring: Wiring) -> None:
    for module, side in sorted({(tap.module, tap.side) for tap in wiring.taps}):
        listen(hf_model.get_submodule(module), module, side)


def _caches(hf_model: Any) -> bool:
    return hasattr(hf_model.config, "use_cache")


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
    recorder = _Recorder(wiring, {}, "zero", {})
    inputs = _probe_inputs(model.hf)
    handles = [listen(model.hf.get_submodule(t.module), t.module, t.side) for t in wiring.final.values()]
    with _heard_by(recorder):
        logits = model.hf(**{k: v.to(model.hf.device) for k, v in inputs.items()}).logits[0]
    for handle in handles:
        handle.remove()
    final = recorder.taps[wiring.final[stream]].to(model.hf.device)
    return logit_rule(head, final, logits, getattr(model.hf.config, "final_logit_softcapping", None))


# --- One pass ---------------------------------------------------------------------------------------------------------


@contextmanager
def _heard_by(recorder: Recorder) -> Iterator[None]:
    token = RECORDER.set(recorder)
    try:
        yield
    finally:
        RECORDER.reset(token)


class _Recorder:
    """Keeps, of one pass, what the wiring asks for; switches heads off where it is asked to."""

    def __init__(
        self, wiring: Wiring, without: dict[tuple[str, int], set[int]], fill: str, edit: dict[tuple[str, int, int], Any]
    ) -> None:
        self.wiring, self.without, self.fill, self.edit = wiring, without, fill, edit
        self.calls: list[Call] = []
        self.taps: dict[Tap, Tensor] = {}
        self.counts: dict[tuple[str, str], int] = {}
        self.masks: dict[Any, tuple[Mask, RelativeBias | None]] = {}

    def attended(self, call: Attended) -> None:
        if len(self.calls) == len(self.wiring.sites):
            raise UnsupportedFamily("This model takes another path for another text; its layers cannot be told apart.")
        site = self.wiring.sites[len(self.calls)]
        mask, bias = self._mask(call)
        kept = Call(
            query=_compact(call.query[0]),
            key=_compact(call.key[0]),
            value=_compact(call.value[0]),
            mask=mask,
            bias=bias,
            scaling=call.scaling,
            soft_cap=call.soft_cap,
            mixed=call.output[0].flatten(-2),
        )
        forced = self._force(call, kept, site.stream, site.layer)
        replaced = self._switch_off(call, site.stream, site.layer)
        self.calls.append(replace(kept, mixed=_compact(kept.mixed), replaced=frozen(replaced), forced=frozen(forced)))

    def _mask(self, call: Attended) -> tuple[Mask, RelativeBias | None]:
        """Layers share their masks and biases, so each is read once."""
        n_query, n_key = call.query.shape[2], call.key.shape[2]
        pointers = tuple(None if t is None else t.data_ptr() for t in (call.mask, call.bias))
        key = (*pointers, call.is_causal, n_query, n_key)
        if key not in self.masks:
            self.masks[key] = read_mask(call.mask, call.bias, call.is_causal, n_query, n_key)
        return self.masks[key]

    def _force(self, call: Attended, kept: Call, stream: str, layer: int) -> dict[int, Tensor]:
        """Put the asked patterns in place of the heads' own, in this pass alone."""
        forced: dict[int, Tensor] = {}
        for (s, at, head), cells in self.edit.items():
            if (s, at) != (stream, layer):
                continue
            n_query, n_key = kept.query.shape[1], kept.key.shape[1]
            forced[head] = _legal_pattern(cells, kept.mask.may_look(n_query, n_key), f"{layer}.{head}")
            mixed = forced[head] @ kept.heads(head)[2][0]
            call.output[0, :, head] = mixed.to(call.output.device)
        return forced

    def _switch_off(self, call: Attended, stream: str, layer: int) -> dict[int, Tensor]:
        """Put nothing, or the head's mean over the sentence, in its place, before W_O mixes the heads."""
        heads = self.without.get((stream, layer), set())
        replaced: dict[int, Tensor] = {}
        for head in sorted(heads):
            own = call.output[0, :, head]
            put = own.mean(dim=0, keepdim=True).expand_as(own).clone() if self.fill == "mean" else torch.zeros_like(own)
            call.output[0, :, head] = put
            replaced[head] = put.cpu()
        return replaced

    def passed(self, module: str, side: str, tensors: dict[int | str, Tensor]) -> None:
        count = self.counts[module, side] = self.counts.get((module, side), -1) + 1
        for tap in self.wiring.wanted.get((module, side, count), ()):
            tensor = tensors[tap.slot]
            tensor = tensor.reshape(-1, tensor.shape[-1])
            self.taps[tap] = tensor.clone() if tap in self.wiring.changed_later else _compact(tensor)


def _compact(tensor: Tensor) -> Tensor:
    """The tensor without the storage it shares: a cut of a fused projection would keep all of it alive."""
    tensor = tensor.detach().cpu()
    own = tensor.numel() * tensor.element_size()
    return tensor if tensor.untyped_storage().nbytes() == own else tensor.contiguous().clone()


def _legal_pattern(cells: Any, may_look: Tensor, name: str) -> Tensor:
    pattern = torch.as_tensor(np.array(cells), dtype=torch.float32)
    if pattern.shape != may_look.shape:
        raise ValueError(f"the pattern for head {name} must be {list(may_look.shape)}, got {list(pattern.shape)}")
    if bool((pattern < 0).any()) or bool(((pattern.sum(dim=-1) - 1).abs() > 1e-4).any()):
        raise ValueError(f"every row of the pattern for head {name} must be positive and sum to 1")
    if bool((pattern[~may_look] > 0).any()):
        raise ValueError(f"the pattern for head {name} looks where the model's mask forbids it")
    return pattern


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
    recorder = _Recorder(model.wiring, off, fill, {_head_key(model, k): v for k, v in (edit or {}).items()})
    with model.running(), _heard_by(recorder):
        model.run(**inputs)
    return _assemble(model, recorder, read)


def _head_key(model: Model, key: HeadKey) -> tuple[str, int, int]:
    """(stream, layer, head), checked."""
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
        sound = torch.as_tensor(np.asarray(audio), dtype=torch.float32)
        if sound.dim() != 2:
            raise HeadlightError(f"Sound must be a spectrogram [mel, frame]; this has shape {list(sound.shape)}.")
        given: dict[str, Tensor] = {"input_features": sound[None]}
        source = _times(model, sound.shape[1])
    else:
        if text is None or len(text) == 0:
            raise EmptyText("There is no word here yet. Type a sentence, for example: a fluffy blue creature.")
        source = model.read(text)
        ids = torch.tensor([source.ids])
        given = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if model.kind != "encoder-decoder":
        return given, {"self": (source, source)}
    if target is None:
        raise EmptyText("A translator also needs a target sentence: what it is about to write.")
    written = _target(model, target)
    given["decoder_input_ids"] = torch.tensor([written.ids])
    return given, {"encoder": (source, source), "decoder": (written, written), "cross": (written, source)}


def _target(model: Model, target: str | Sequence[int]) -> Tokens:
    """What the decoder reads: its start token, then all but the end of what it writes."""
    if not isinstance(target, str):
        return model.read(target, target=True)
    config = model.hf.config
    written = model.read(target, target=True)
    ids = written.ids
    while len(ids) > 1 and ids[-1] == config.eos_token_id:
        ids = ids[:-1]
    start = config.decoder_start_token_id
    if start is not None and ids[0] != start:
        ids = [start, *ids]
    return replace(model.read(ids, target=True), text=target, dropped=written.dropped)


def _times(model: Model, n_frames: int) -> Tokens:
    """Positions of a sound, named by when they begin; a frame is 10 ms."""
    n_positions = model.hf.config.max_source_positions
    labels = [f"{i * n_frames / n_positions / 100:.2f} s" for i in range(n_positions)]
    places = list(range(n_positions))
    return Tokens("", places, labels, [False] * n_positions, list(places), list(labels))


def _assemble(model: Model, recorder: _Recorder, read: dict[str, tuple[Tokens, Tokens]]) -> Trace:
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
            raise HeadlightError(f"{name} does not predict a next word.")
        with torch.inference_mode():
            plain = hf.get_output_embeddings()(final.to(hf.device))
            if rule.soft_cap is not None:
                return rule.soft_cap * torch.tanh(plain / rule.soft_cap)
            return rule.factor * plain + (0 if rule.bias is None else rule.bias)

    return Source(module, vocabulary, logits)
