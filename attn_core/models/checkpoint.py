"""A checkpoint, from a folder that was verified, read into a model and its tokenizer, or refused in a clear sentence.

Safetensors only, and never code that comes with a model: reading somebody's file must not run it. Weights that are
missing are an error, because the library would fill them with noise, and every head would look even.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from attn_core.errors import DamagedModel, UnsupportedFamily
from attn_core.models.formats.adapter_folder import BroughtHead
from attn_core.models.hub import Progress

_LOCAL = {"local_files_only": True, "trust_remote_code": False}  # never another file, never somebody's code
# Weights that no reader of a trace looks at, and that checkpoints of another head leave out.
_NOT_LOOKED_AT = ("pooler",)
# Heads that name labels or words of their own, as the library calls its classes with them.
_NAMING = ("ForSequenceClassification", "ForTokenClassification", "ForQuestionAnswering", "ForMaskedLM")
_TOKENIZER_FILES = ("tokenizer.json", "vocab*", "*.model", "*.vocab", "*.tiktoken", "tekken.json", "merges.txt")
# Larger ones are mistakes or traps: modules are built one by one, and each layer has dozens.
_LAYERS = ("num_hidden_layers", "n_layer", "encoder_layers", "decoder_layers", "num_layers", "num_decoder_layers")
_WIDTHS = ("hidden_size", "d_model", "n_embd", "intermediate_size", "d_ff", "max_position_embeddings", "vocab_size")
_READS = {"pixel_values": "images", "input_values": "sound"}
MOST = dict.fromkeys(_LAYERS, 1_000) | dict.fromkeys(_WIDTHS, 10_000_000)


def read_checkpoint(
    folder: Path, called: str, progress: Progress, dtype: str = "float32", brought: BroughtHead | None = None
) -> tuple[Any, Any]:
    """(model, tokenizer) from a folder that was verified; sentences about it name it as it was `called`.

    With a `brought` head there is a place for the one of an adapter, which is put on later. The model is of this number
    type and in eval mode, with our attention function. Raises DamagedModel or UnsupportedFamily.
    """
    progress("reading the configuration")
    try:
        config = _config(folder, called)
        _refuse_without_text(config, called)
        tokenizer = _tokenizer(folder, called)
        progress("reading the weights")
        return _weights(folder, called, config, dtype, brought), tokenizer
    except OSError as error:  # a tokenizer's file that is not there
        raise DamagedModel(f"{called} is not complete: {_first_line(error)}") from error


def _config(folder: Path, called: str) -> Any:
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(folder, **_LOCAL)
        check_sizes(config, called)
        return config
    except RecursionError:
        raise DamagedModel(f"The config.json of {called} is nested too deeply to be read.") from None
    except ValueError as error:  # an architecture that the library does not have, or that brings its own code
        raise UnsupportedFamily(
            f"{called} is of a family that the transformers library does not know by itself, and Headlight never runs "
            f"code that comes with a model. ({_first_line(error)})"
        ) from error


def _refuse_without_text(config: Any, called: str) -> None:
    """Raise UnsupportedFamily for a family that looks or listens: its folder has no tokenizer, and misses none."""
    from transformers import MODEL_MAPPING

    found = MODEL_MAPPING.get(type(config), None)
    reads = _READS.get(getattr(found, "main_input_name", ""))
    if reads is not None:
        raise UnsupportedFamily(
            f"{called} is a {config.model_type} model: it reads {reads}, and no text. Open it with the transformers "
            "library, wrap it, ac.wrap(model), and give ac.trace what its processor gives as inputs=."
        )


def check_sizes(config: Any, called: str) -> None:
    """Refuse a configuration that would take minutes and gigabytes to build, whatever its weights are."""
    for name, most in MOST.items():
        asked = getattr(config, name, 0)
        if isinstance(asked, int) and asked > most:
            raise DamagedModel(f"{called} asks for {name} = {asked:,}; no model that is known has more than {most:,}.")


def _tokenizer(folder: Path, called: str) -> Any:
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, **_LOCAL)
    except OSError:
        raise
    except BaseException as error:  # each kind of tokenizer fails in its own way
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        if not _has_tokenizer_files(folder):
            raise DamagedModel(_no_tokenizer(called)) from error
        raise DamagedModel(f"The tokenizer of {called} cannot be read: {_first_line(error)}") from error
    if len(tokenizer) <= len(tokenizer.all_special_ids):  # the library makes up an empty one where there is none
        if not _has_tokenizer_files(folder):
            raise DamagedModel(_no_tokenizer(called))
        raise DamagedModel(
            f"The tokenizer of {called} knows no words, only its special tokens. Version 5 of the transformers library "
            "saves such a one where it was made with vocab_file=, which it ignores: give vocab=, and save it again."
        )
    if tokenizer.is_fast:  # a tokenizer.json may tell it to cut and to pad; here both are ours to decide
        tokenizer.backend_tokenizer.no_truncation()
        tokenizer.backend_tokenizer.no_padding()
    return tokenizer


def _has_tokenizer_files(folder: Path) -> bool:
    """Whether a folder holds words of a tokenizer, in any of the forms that the library reads."""
    return any(next(folder.glob(pattern), None) is not None for pattern in _TOKENIZER_FILES)


def _no_tokenizer(called: str) -> str:
    return (
        f"{called} has no tokenizer: its files are missing. Save it beside the model: "
        "tokenizer.save_pretrained(folder)."
    )


def _weights(folder: Path, called: str, config: Any, dtype: str, brought: BroughtHead | None) -> Any:
    import transformers
    from safetensors import SafetensorError
    from transformers import AutoModel

    from attn_core.capture.running import use_ours_always
    from attn_core.models.startup.unwritten import Unwritten
    from attn_core.precision import number_type

    def read(auto_class: Any) -> tuple[Any, dict[str, Any]]:
        with Unwritten():
            found: tuple[Any, dict[str, Any]] = auto_class.from_pretrained(
                folder,
                config=config,
                dtype=number_type(dtype),
                use_safetensors=True,
                output_loading_info=True,
                **_LOCAL,
            )
        return found

    if brought is not None and config.is_encoder_decoder:
        raise UnsupportedFamily(
            f"An adapter brings a head of its own to {called}, which has two stacks: such heads are not read. Load it "
            "with the peft library and save what model.merge_and_unload() gives."
        )
    try:
        if brought is not None:
            config.num_labels = brought.n_labels
            model, report = read(getattr(transformers, brought.auto_class))
        else:
            model, report = read(_auto_class(config))
            if _lacks_its_head(model, report):
                model, report = read(AutoModel)
    except SafetensorError as error:
        raise DamagedModel(f"The weights of {called} are cut or damaged ({_first_line(error)}).") from error
    except RuntimeError as error:  # sizes that do not fit the configuration
        raise DamagedModel(f"The weights of {called} do not fit its config.json ({_first_line(error)}).") from error
    except (ValueError, ImportError) as error:  # no such class for this head, or a quantised format
        raise UnsupportedFamily(f"{called} cannot be opened as {config.model_type}: {_first_line(error)}") from error
    _check_report(called, model, report, brought)
    _remove_untrained_pooler(model, report["missing_keys"])
    use_ours_always(model)
    return model.requires_grad_(False)


def _auto_class(config: Any) -> Any:
    """The library's auto class for a checkpoint: with the head that its config.json names, where that predicts words,
    names labels or answers questions; plain where it does none of these."""
    from transformers import AutoModel, AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoModelForSpeechSeq2Seq
    from transformers.models.auto import modeling_auto as auto

    for auto_class, classes in _classes_with_labels():
        if classes.get(config.model_type) in (config.architectures or ()) and not config.is_encoder_decoder:
            return auto_class
    auto_classes = (
        (AutoModelForSeq2SeqLM, auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES),
        (AutoModelForSpeechSeq2Seq, auto.MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING_NAMES),
        (AutoModelForCausalLM, auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES),
    )
    for auto_class, classes in auto_classes:
        name = classes.get(config.model_type)
        if name in (config.architectures or ()):
            return auto_class
        if not config.architectures and name and config.model_type not in auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES:
            return auto_class
    return AutoModel


def _classes_with_labels() -> tuple[tuple[Any, Mapping[str, str]], ...]:
    import transformers as tf
    from transformers.models.auto import modeling_auto as auto

    return (
        (tf.AutoModelForSequenceClassification, auto.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES),
        (tf.AutoModelForTokenClassification, auto.MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES),
        (tf.AutoModelForQuestionAnswering, auto.MODEL_FOR_QUESTION_ANSWERING_MAPPING_NAMES),
        (tf.AutoModelForMaskedLM, auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES),
    )


def _lacks_its_head(model: Any, report: dict[str, Any]) -> bool:
    """Whether weights of a head are missing that says words of a [MASK] or labels: noise would speak for it.

    A body that its config.json names by a head is common: sentence-transformers keeps the name of what it was made of.
    """
    if not type(model).__name__.endswith(_NAMING):
        return False
    inside = f"{model.base_model_prefix}."
    return any(not key.startswith(inside) or "pooler" in key for key in report["missing_keys"])


def _check_report(called: str, model: Any, report: dict[str, Any], brought: BroughtHead | None) -> None:
    """Refuse weights that are missing, and weights of layers that the configuration does not have."""
    if any(key.startswith("module.") for key in report["unexpected_keys"]):
        raise DamagedModel(
            f'{called} has weights whose names begin with "module.", as DataParallel writes them: save the model '
            "inside instead, with model.module.save_pretrained(folder)."
        )
    missing = [key for key in report["missing_keys"] if not any(part in key for part in _NOT_LOOKED_AT)]
    if brought is not None:  # whose head may look at a pooler, too
        missing = [key for key in report["missing_keys"] if key not in brought.weights]
    if missing:
        raise DamagedModel(
            f"{called} lacks weights: {len(missing)} are missing, the first is {sorted(missing)[0]}. They would be "
            "filled with noise, so it is not opened."
        )
    prefix = f"{model.base_model_prefix}."
    body = {name for name, _ in model.base_model.named_children()}
    unknown = [key for key in report["unexpected_keys"] if key.removeprefix(prefix).split(".")[0] in body]
    unknown = [key for key in unknown if not any(part in key for part in _NOT_LOOKED_AT)]
    if unknown:
        raise DamagedModel(
            f"{called} has weights that its config.json knows nothing of: {len(unknown)}, the first is "
            f"{sorted(unknown)[0]}. The picture would not be of the model that was trained."
        )


def _remove_untrained_pooler(model: Any, missing: Collection[str]) -> None:
    """Remove a pooler whose weights the checkpoint lacks: the library has filled it with random numbers."""
    base = model.base_model
    can_be_without = "add_pooling_layer" in inspect.signature(type(base).__init__).parameters
    if can_be_without and any("pooler" in key for key in missing) and getattr(base, "pooler", None) is not None:
        base.pooler = None


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
