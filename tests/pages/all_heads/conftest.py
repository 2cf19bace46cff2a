"""What tests of All heads judge by: the shipped decoder as the library itself runs it."""

from __future__ import annotations

from typing import Any

import pytest
import transformers as tf
from page_driver import ROOT


@pytest.fixture(scope="module")
def judge() -> tuple[Any, Any]:
    """The model, with the library's own eager attention, and its tokenizer."""
    folder = ROOT / "assets" / "models" / "tiny-decoder"
    model = tf.AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager").eval()
    return model, tf.AutoTokenizer.from_pretrained(folder)
