"""Where the parameters are: every tensor of a model, counted from its configuration alone.

    >>> gpt3 = count_parameters("gpt-3")
    >>> f"{gpt3.lesson_total:,} of which {gpt3.lesson_attention:,} in attention"
    '175,181,291,520 of which 57,982,058,496 in attention'

Nothing is downloaded and no weights are loaded. Families with a formula need neither torch nor transformers; the rest
are built without memory. `reconcile` sets a table beside the sum over the real class's parameters.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attn_core.errors import DamagedModel, UnknownModel
from attn_core.models.verification import parse_config
from attn_core.parameters.architectures.families import FAMILIES, complete, lay_out
from attn_core.parameters.presets import ALIASES, PRESETS, Preset
from attn_core.parameters.shape import ImpossibleModel, problems
from attn_core.parameters.stored import has_own_unembedding
from attn_core.parameters.table import ParameterTable


def count_parameters(config_or_name: Any) -> ParameterTable:
    """The table of parameters of a model, from its configuration alone.

    `config_or_name`: a preset or catalogue name ("gpt-3", "gpt2-xl", "minilm"), a folder with a config.json, a
    mapping with a `model_type`, a transformers configuration, or a model that has one: the library's or `ac.load`'s.
    What stands on top follows `architectures`; where it is silent, decoders and translators have their unembedding
    and encoders their pooler.

    The law: `total == Σ row.total`, and for a model that can be built `total == Σ numel`.
    Raises UnknownModel for a name that is neither, DamagedModel for a config.json that cannot be read, ImpossibleModel
    for numbers that fit no model, and UnsupportedFamily for an architecture that the library does not have.
    """
    title, config, notes = _described(config_or_name)
    full = complete(config)
    if full is None:
        from attn_core.parameters.from_class import table_of

        return table_of(config, title)
    wrong = problems(full)
    if wrong:
        raise ImpossibleModel(" ".join(wrong))
    return ParameterTable(title, full, lay_out(full), "formula", notes)


def read_config(name: str) -> Mapping[str, Any]:
    """The published configuration behind a preset's name or in a folder, as it is; raises as `count_parameters`."""
    return _named(name)[1]


def _described(given: Any) -> tuple[str, Mapping[str, Any], tuple[str, ...]]:
    """A title, the configuration and what should be said about it."""
    given = getattr(given, "hf", given)  # a model that `load` or `wrap` gave
    if isinstance(given, str | Path):
        return _named(given)
    if isinstance(given, Preset):
        return given.title, given.config, (given.note,) if given.note else ()
    if isinstance(given, Mapping):
        config = given
    elif hasattr(given, "to_dict"):
        config = given.to_dict()
    elif hasattr(getattr(given, "config", None), "to_dict"):
        config = {**given.config.to_dict(), "architectures": [type(given).__name__], **_untied(given)}
    else:
        raise TypeError(f"a configuration or a name is needed, not {type(given).__name__}")
    if not isinstance(config.get("model_type"), str):
        raise UnknownModel("A configuration needs a model_type, such as 'gpt2' or 'bert'.")
    family = FAMILIES.get(config["model_type"])
    return family.title if family else str(config["model_type"]), config, ()


def _untied(model: Any) -> dict[str, bool]:
    """What a model says of its unembedding where its configuration is silent: that it has numbers of its own."""
    head, words = (getattr(model, f"get_{side}_embeddings", lambda: None)() for side in ("output", "input"))
    last, first = (getattr(each, "weight", None) for each in (head, words))
    has_own = last is not None and first is not None and last is not first
    return {"tie_word_embeddings": False} if has_own else {}


def _named(name: str | Path) -> tuple[str, Mapping[str, Any], tuple[str, ...]]:
    preset = PRESETS.get(ALIASES.get(str(name), str(name)))
    if preset is not None:
        return _described(preset)
    try:
        file = Path(name).expanduser() / "config.json"
        is_there = file.is_file()
    except (OSError, RuntimeError):  # longer than any path can be, or the home of nobody
        is_there = False
    if not is_there:
        said = str(name) if len(str(name)) <= 60 else f"{str(name)[:60]}…"
        near = difflib.get_close_matches(said.lower(), PRESETS, n=3, cutoff=0.4) or list(PRESETS)[:3]
        raise UnknownModel(f"There are no published numbers here for {said!r}. Nearest: {', '.join(near)}.")
    try:
        config = parse_config(file.read_text())
    except (OSError, ValueError) as error:
        raise DamagedModel(f"{file} cannot be read as a configuration.") from error
    if not isinstance(config, dict):
        raise DamagedModel(f"{file} is no configuration: it holds a {type(config).__name__}, not named numbers.")
    if has_own_unembedding(file.parent):
        config["tie_word_embeddings"] = False
    return Path(name).name, _described(config)[1], ()
