"""Tiny models with a head of their own, random and uneven, saved as somebody would who fine-tuned one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers as tf
from families import _BERT, _IDS, _LLAMA, word_tokenizer

_NAMES = {0: "dull", 1: "fair", 2: "fine"}
_THREE = {"id2label": _NAMES, "label2id": {name: i for i, name in _NAMES.items()}}
_DISTIL = {"vocab_size": 99, "dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 48}
_GPT2 = {"vocab_size": 99, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64}
_ALBERT = {**_BERT, "embedding_size": 16}
_MODERN = {**_BERT, **_IDS, "local_attention": 8, "cls_token_id": 1, "sep_token_id": 2}

MODELS: dict[str, tuple[Any, Any]] = {
    "bert": (tf.BertForSequenceClassification, tf.BertConfig(**_BERT, **_THREE)),
    "distilbert": (tf.DistilBertForSequenceClassification, tf.DistilBertConfig(**_DISTIL, **_THREE)),
    "roberta": (tf.RobertaForSequenceClassification, tf.RobertaConfig(**_BERT, **_IDS, **_THREE)),
    "electra": (tf.ElectraForSequenceClassification, tf.ElectraConfig(**_BERT, embedding_size=16, **_THREE)),
    "albert": (tf.AlbertForSequenceClassification, tf.AlbertConfig(**_ALBERT, **_THREE)),
    "modernbert": (  # which reads the mean over all words
        tf.ModernBertForSequenceClassification,
        tf.ModernBertConfig(**_MODERN, classifier_pooling="mean", **_THREE),
    ),
    "gpt2": (tf.GPT2ForSequenceClassification, tf.GPT2Config(**_GPT2, pad_token_id=0, **_THREE)),
    "llama": (tf.LlamaForSequenceClassification, tf.LlamaConfig(**_LLAMA, **_IDS, **_THREE)),
    "several labels": (
        tf.BertForSequenceClassification,
        tf.BertConfig(**_BERT, **_THREE, problem_type="multi_label_classification"),
    ),
    "a number": (tf.BertForSequenceClassification, tf.BertConfig(**_BERT, num_labels=1, problem_type="regression")),
    "tokens": (tf.BertForTokenClassification, tf.BertConfig(**_BERT, **_THREE)),
    "tokens of a decoder": (tf.LlamaForTokenClassification, tf.LlamaConfig(**_LLAMA, **_IDS, **_THREE)),
    "answers": (tf.DistilBertForQuestionAnswering, tf.DistilBertConfig(**_DISTIL)),
    "answers of a decoder": (tf.GPT2ForQuestionAnswering, tf.GPT2Config(**_GPT2)),
    "masked": (tf.BertForMaskedLM, tf.BertConfig(**_BERT)),
    "masked, in a small space": (tf.AlbertForMaskedLM, tf.AlbertConfig(**_ALBERT)),
    "masked, pre-norm": (tf.ModernBertForMaskedLM, tf.ModernBertConfig(**_MODERN)),
}
TEXTS = ["bert", "distilbert", "roberta", "electra", "albert", "modernbert", "gpt2", "llama"]


def build(name: str) -> Any:
    """The library's model with its own attention, in eval mode; the same numbers in every run."""
    made, config = MODELS[name]
    torch.manual_seed(0)
    model = made._from_config(config, attn_implementation="eager").eval()
    with torch.no_grad():
        for own, weight in model.named_parameters():
            noise = torch.randn_like(weight)
            if weight.dim() > 1:
                weight.copy_(noise * 0.2)
            else:
                weight.add_(noise * 0.1) if "bias" not in own else weight.copy_(noise * 0.1)
    return model


def save(name: str, folder: Path) -> Any:
    """Save one with a tokenizer that has a [MASK], and return it."""
    model, tokenizer = build(name), word_tokenizer()
    tokenizer.add_special_tokens({"mask_token": "[MASK]"})
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return model


def logits(theirs: Any, ids: list[int]) -> Any:
    """What the library's own model gives: [label], [token, label], or [token, 2] of start and end."""
    with torch.inference_mode():
        said = theirs(torch.tensor([ids]))
    found = said.logits if "logits" in said else torch.stack([said.start_logits, said.end_logits], dim=-1)
    return found[0].numpy()
