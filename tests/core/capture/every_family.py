"""Every text family that the transformers library knows, made small, and what becomes of it here: read or refused.

    python tests/core/capture/every_family.py    # all of them, about two minutes; writes docs/families.json and .md

A family is built with random weights from its own configuration with small sizes; `ac.wrap` and `ac.trace` read it or
say why not. `test_every_family.py` compares a few with what is written, and in `make test-full` all.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import torch
import transformers as tf
from families import TARGET, TEXT, word_tokenizer
from transformers.models.auto import modeling_auto

import attn_core as ac

DOCS = Path(__file__).parents[3] / "docs"
LARGEST = 20_000_000  # parameters; what stays larger was not made small
CLASSES = {  # how a family is built: with the first of these that has it and is read
    "MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES": tf.AutoModelForSeq2SeqLM,
    "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES": tf.AutoModelForCausalLM,
    "MODEL_FOR_MASKED_LM_MAPPING_NAMES": tf.AutoModel,
}
SIZES: dict[str, Any] = {  # by the names that configurations give them
    **dict.fromkeys(("hidden_size", "d_model", "n_embd", "dim", "embed_dim", "emb_dim", "hidden_dim", "n_embed"), 32),
    **dict.fromkeys(("num_hidden_layers", "n_layer", "n_layers", "num_layers", "encoder_layers", "decoder_layers"), 2),
    **dict.fromkeys(("num_decoder_layers", "encoder_num_hidden_layers", "decoder_num_hidden_layers"), 2),
    **dict.fromkeys(("num_attention_heads", "n_head", "n_heads", "num_heads", "encoder_attention_heads"), 4),
    **dict.fromkeys(("decoder_attention_heads", "num_encoder_attention_heads", "num_decoder_attention_heads"), 4),
    **dict.fromkeys(("num_key_value_heads", "num_kv_heads"), 2),
    **dict.fromkeys(("intermediate_size", "ffn_dim", "d_ff", "n_inner", "encoder_ffn_dim", "decoder_ffn_dim"), 48),
    **dict.fromkeys(("d_inner", "ffn_hidden_size", "feed_forward_size", "mlp_hidden_size"), 48),
    **dict.fromkeys(("moe_intermediate_size", "shared_expert_intermediate_size", "expert_ffn_hidden_size"), 16),
    **dict.fromkeys(
        ("head_dim", "d_kv", "attention_head_size", "v_head_dim", "qk_nope_head_dim", "qk_rope_head_dim"), 8
    ),
    **dict.fromkeys(("q_lora_rank", "kv_lora_rank"), 16),
    **dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts"), 4),
    **dict.fromkeys(("num_experts_per_tok", "num_experts_per_token", "moe_top_k", "moe_k", "top_k_experts"), 2),
    **dict.fromkeys(("n_group", "topk_group", "n_shared_experts", "first_k_dense_replace"), 1),
    **dict.fromkeys(("max_position_embeddings", "n_positions", "max_seq_len", "max_source_positions"), 64),
    **dict.fromkeys(("sliding_window", "attention_window_size", "local_attention"), 8),
    **dict.fromkeys(("embedding_size", "word_embed_proj_dim", "embedding_dim"), 32),
    "vocab_size": 99,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 1,
    "cls_token_id": 1,
    "sep_token_id": 2,
    "n_mels": 16,
}


def names() -> dict[str, list[Any]]:
    """Each text family of the library, and the classes that it can be built with."""
    found: dict[str, list[Any]] = defaultdict(list)
    for mapping, made_with in CLASSES.items():
        for name in getattr(modeling_auto, mapping):
            found[name].append(made_with)
    return dict(sorted(found.items()))


_MAMBA = {"mamba_n_heads": 8, "mamba_d_head": 8, "mamba_expand": 2, "mamba_d_state": 4, "mamba_n_groups": 1}
_PART = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
         "num_key_value_heads": 2, "head_dim": 8, "query_pre_attn_scalar": 8, "vocab_size": 99}  # fmt: skip
OWN: dict[str, dict[str, Any]] = {  # what a family needs besides
    "bamba": {**_MAMBA, "attn_layer_indices": [1]},
    "codegen": {"rotary_dim": 4},
    "funnel": {"block_sizes": [1, 1], "d_head": 8, "num_hidden_layers": None},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]], "num_layers": 2},
    "gptj": {"rotary_dim": 4},
    "granitemoehybrid": {**_MAMBA, "layer_types": ["mamba", "attention"]},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1, "expert_layer_period": 2, "mamba_d_state": 4},
    "luke": {"entity_vocab_size": 99, "entity_emb_size": 32},
    "mamba2": {"num_heads": 8, "head_dim": 8, "n_groups": 1, "state_size": 4},
    "recurrent_gemma": {"num_hidden_layers": 3, "lru_width": 32},
    "reformer": {"is_decoder": True, "axial_pos_embds": False, "attn_layers": ["local", "local"]},
    "roc_bert": {"enable_pronunciation": False, "enable_shape": False},
    "t5gemma": {"encoder": _PART, "decoder": _PART},
    "xmod": {"default_language": "en_XX"},
}
TRIED: tuple[dict[str, Any], ...] = (  # until one of them runs and has attention
    {},
    {"num_hidden_layers": 4, "num_layers": 4},
    {"num_key_value_heads": 4},
    {"head_dim": None},
    {"head_dim": None, "num_key_value_heads": None, "num_hidden_layers": 4},
    {"v_head_dim": None, "qk_nope_head_dim": None, "qk_rope_head_dim": None, "q_lora_rank": None, "kv_lora_rank": None},
    {"num_hidden_layers": None, "num_layers": None, "n_layer": None},
    {"num_hidden_layers": 8, "num_layers": 8},
    {"head_dim": None, "num_key_value_heads": 4, "num_experts": None, "num_local_experts": None},
    {"sliding_window": None, "head_dim": None, "num_attention_heads": None, "num_key_value_heads": None},
    {"max_position_embeddings": None},
)


def small(name: str, other: dict[str, Any]) -> Any:
    """A family's own configuration with small sizes, or None where it describes more than a text."""
    known = tf.AutoConfig.for_model(name)
    if set(known.sub_configs) - {"attn_config", "ffn_config"} and name not in OWN:
        return None
    renamed = getattr(known, "attribute_map", {})
    has = {k for k in SIZES if k in known.to_dict() or k in renamed}
    sizes = {renamed.get(k, k): size for k, size in (SIZES | other).items() if k in has} | OWN.get(name, {})
    return tf.AutoConfig.for_model(name, **{k: size for k, size in sizes.items() if size is not None})


def built(name: str, made_with: Any, other: dict[str, Any]) -> Any:
    """A small model of a family with random weights, eager, that has run once; None where it reads more than text."""
    config = small(name, other)
    if config is None:
        return None
    with torch.device("meta"):
        size = sum(p.numel() for p in made_with.from_config(config).parameters())
    if size > LARGEST:
        raise ValueError(f"still {size:,} parameters")
    torch.manual_seed(0)
    model = made_with.from_config(config, attn_implementation="eager").eval()
    if getattr(model, "main_input_name", "input_ids") != "input_ids":
        return None
    ids = torch.arange(5, 13)[None]
    with torch.inference_mode():
        model(ids, **({"decoder_input_ids": ids} if config.is_encoder_decoder else {}))
    return model


def outcome(name: str) -> dict[str, Any] | None:
    """What becomes of a family, in the first of its forms that is read; None: more than a text."""
    found = [_outcome(name, made_with) for made_with in names()[name]]
    return next((each for each in found if each and each["is"] == "read"), found[0])


def _outcome(name: str, made_with: Any) -> dict[str, Any] | None:
    """What becomes of one form: "read", "refused" with the reason, or "not built"; None: more than a text.

    Sizes that suit most families leave some without a layer of attention, so others are tried before it is refused.
    """
    found: dict[str, Any] | None = None
    for other in TRIED:
        try:
            model = built(name, made_with, other)
        except Exception as error:
            found = found or {"is": "not built", "why": _first_line(error)}
            continue
        if model is None:
            return None
        found = read(model, name)
        if found["is"] != "refused" or "have no attention" not in found["why"]:
            break
    return found


def read(model: Any, name: str) -> dict[str, Any]:
    """What becomes of one model."""
    try:
        wrapped = ac.wrap(model, word_tokenizer(), name=name)
        trace = ac.trace(wrapped, TEXT, **({"target": TARGET} if wrapped.kind == "encoder-decoder" else {}))
        parity = trace.check()
    except ac.UnsupportedFamily as error:
        return {"is": "refused", "why": str(error)}
    except Exception as error:
        return {"is": "failed", "why": _first_line(error)}
    compared = [parity.pattern, parity.delta, parity.residual, parity.own_weights]
    return {
        "is": "read" if parity.ok else "not exact",
        "kind": wrapped.kind,
        "errors": [_rounded(error) for error in compared],
    }


def _rounded(error: float | None) -> float | None:
    return None if error is None else float(f"{error:.0e}")


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:300]


def page(result: dict[str, Any]) -> str:
    """docs/families.md."""
    families = result["families"]
    found: dict[str, list[str]] = defaultdict(list)
    for name, each in families.items():
        found[each["is"]].append(name)
    reasons: dict[str, list[str]] = defaultdict(list)
    for name in found["refused"]:
        reasons[families[name]["why"].replace(f"{name} models", "these models")].append(name)
    return PAGE.format(
        version=result["transformers"],
        tried=len(families),
        n_read=len(found["read"]),
        n_refused=len(found["refused"]),
        n_other=len(found["not built"]),
        rows="\n".join(_row(name, families[name]) for name in found["read"]),
        reasons="\n".join(
            f"* **{len(names)}**: {why[0].upper()}{why[1:]}\n  `{'`, `'.join(names)}`"
            for why, names in sorted(reasons.items(), key=lambda each: -len(each[1]))
        ),
        others=f"`{'`, `'.join(found['not built'])}`",
    )


def _row(name: str, each: dict[str, Any]) -> str:
    errors = ["–" if error is None else f"{error:.0e}" for error in each["errors"]]
    return f"| `{name}` | {each['kind']} | {' | '.join(errors)} |"


PAGE = """# Families: read or refused

Headlight has no table of architectures. A model is read if its attention goes through the attention interface of the
transformers library and what follows can be found by a short run; otherwise it is refused, by name and with the reason,
and never drawn as a guess.

This page is the result of a test. It takes the {tried} text families that transformers {version} can build with a
causal, masked or sequence-to-sequence head (models in several parts, such as text and image, are left out: wrap their
text part), makes each small, with random weights, and traces a sentence: **{n_read} are read, {n_refused} refused**,
and {n_other} could not be made small by the test, so nothing is said about them.

A checkpoint may use options that the family's own configuration does not; it is looked at again when it is wrapped.

## Read

Errors are those of `trace.check()`: absolute difference ÷ the row's largest value, of the worst row of all layers and
heads; of pattern · value, of ΔE and of the residual stream, against tensors that left the model. *Weights* are patterns
against those of the model's own eager attention, an absolute difference. – : not compared, because the model does not
give that tensor. A family of encoders and decoders is tried as a whole first, and is a *decoder* here where it is read
as a decoder alone.

| family | kind | pattern | ΔE | residual | weights |
| --- | --- | --- | --- | --- | --- |
{rows}

## Refused

{reasons}

## Not tried

The test could not build these with a few small sizes:

{others}
"""


def everything() -> dict[str, Any]:
    """Every family's outcome."""
    outcomes = {name: outcome(name) for name in names()}
    return {"transformers": tf.__version__, "families": {name: each for name, each in outcomes.items() if each}}


def written() -> dict[str, Any]:
    """What the last whole run wrote."""
    return dict(json.loads((DOCS / "families.json").read_text(encoding="utf-8")))


if __name__ == "__main__":
    tf.logging.set_verbosity_error()
    result = everything()
    (DOCS / "families.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (DOCS / "families.md").write_text(page(result), encoding="utf-8")
    odd = {name: each for name, each in result["families"].items() if each["is"] in ("failed", "not exact")}
    sys.exit(str(odd) if odd else 0)
