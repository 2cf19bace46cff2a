"""A model of chemical reactions: pickled weights and a list of SMILES tokens, written as an ordinary folder.

Such a model brings no tokenizer.json; its tokenizer is Python code of its package, which is not run. What that code
does is a split by SMILES's grammar and a look into vocab.txt, so both are written as a tokenizer of the library's.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from attn_core.errors import DamagedModel
from attn_core.models.formats import pickled, tokenizer_files
from attn_core.models.verification import read_config
from attn_core.text.smiles import TOKEN

SPECIAL = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}


def convert(file: Path, into: Path, called: str, check_config: Callable[[Any, str], None]) -> str:
    """Write `into` what lies beside a pickle: its weights, config.json and, of vocab.txt, a tokenizer.

    Gives how the weights were kept, in words; raises DamagedModel for what is no such model.
    """
    config = read_config(file.parent, called)
    check_config(SimpleNamespace(**config), called)
    words = (file.parent / "vocab.txt").read_text().splitlines()
    write_tokenizer(words, into, int(config["max_position_embeddings"]), called)
    shutil.copyfile(file.parent / "config.json", into / "config.json")
    return pickled.convert([file], into, called)


def write_tokenizer(vocabulary: list[str], into: Path, limit: int, called: str) -> None:
    """Write a tokenizer that splits SMILES and frames it by [CLS] and [SEP]; what the list lacks is [UNK]."""
    from tokenizers import Regex, Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.normalizers import Strip
    from tokenizers.pre_tokenizers import Split
    from tokenizers.processors import TemplateProcessing

    ids = {token: i for i, token in enumerate(vocabulary)}
    if any(token not in ids for token in SPECIAL.values()):
        raise DamagedModel(f"The vocab.txt of {called} lacks a special token: it is no list of SMILES tokens.")
    tokenizer = Tokenizer(WordLevel(ids, unk_token="[UNK]"))
    tokenizer.normalizer = Strip()
    tokenizer.pre_tokenizer = Split(Regex(TOKEN), "isolated")
    frame = [(SPECIAL[name], ids[SPECIAL[name]]) for name in ("cls_token", "sep_token")]
    tokenizer.post_processor = TemplateProcessing("[CLS] $A [SEP]", special_tokens=frame)
    tokenizer_files.save(tokenizer, into, limit, token_is_word=True, **SPECIAL)
