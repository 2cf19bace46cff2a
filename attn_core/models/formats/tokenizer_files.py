"""A tokenizer that was put together here, written as the files that the transformers library opens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def save(tokenizer: Any, into: Path, limit: int, **settings: object) -> None:
    """Write a tokenizer of the tokenizers library into a folder: tokenizer.json and what the library asks beside it.

    `settings` are the names of its special tokens, `unk_token="[UNK]"`, and whatever else its reader is to know.
    """
    tokenizer.save(str(into / "tokenizer.json"))
    said = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": limit, **settings}
    (into / "tokenizer_config.json").write_text(json.dumps(said, indent=2))
