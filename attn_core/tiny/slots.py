"""Word-level tokenizers for the small models, and what becomes of words that they have never met.

A plain `<unk>` would make all new words the same word. Instead each distinct unknown word of a text takes one of a few
slots, `<new1>`, `<new2>`, …, which training filled with stand-ins: heads then treat *zorple* as a word that they do not
know, but can find again. `AutoTokenizer` alone gives every unknown word the first slot; `take_slots` tells them apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

MARK = "°"  # set behind a word, as typed, that the model has not met


def word_tokenizer(
    words: Sequence[str], slots: Sequence[str], *, template: str, cut: str, limit: int, **special: str
) -> PreTrainedTokenizerFast:
    """A tokenizer whose tokens are words, whatever their case; `words` gives the ids, in order.

    `template` frames a text, as in "<bos> $A"; `cut` is the regular expression of one word; `special` names the special
    words, as in bos_token="<bos>". It is saved in the library's own format, slots included.
    """
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    ids = {word: number for number, word in enumerate(words)}
    core = Tokenizer(models.WordLevel(ids, unk_token=slots[0]))
    core.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Lowercase(), normalizers.Replace("’", "'"), normalizers.Replace("n't", " not")]
    )
    core.pre_tokenizer = pre_tokenizers.Split(Regex(cut), behavior="removed", invert=True)
    frame = [(piece, ids[piece]) for piece in template.split() if piece in ids]
    core.post_processor = processors.TemplateProcessing(single=template, special_tokens=frame)
    return PreTrainedTokenizerFast(
        tokenizer_object=core, unk_token=slots[0], model_max_length=limit, slots=list(slots), **special
    )


def slots_of(tokenizer: Any) -> list[str]:
    """The slots that this tokenizer keeps for words it does not know; none for any other tokenizer."""
    return list(getattr(tokenizer, "init_kwargs", {}).get("slots", ()))


def take_slots(
    tokenizer: Any,
    ids: Sequence[int],
    text: str,
    spans: Sequence[tuple[int, int]],
    taken: Mapping[str, int] | None = None,
) -> tuple[list[int], dict[int, str]]:
    """Give every unknown word of a text its slot: the new ids, and what to call each such position.

    `spans` says where in `text` each token lies. The same word, whatever its case, takes the same slot, also the one
    that it has `taken` in a sentence before this one; with more new words than slots they begin again at the first. A
    tokenizer without slots is left as it is.
    """
    slots = tokenizer.convert_tokens_to_ids(slots_of(tokenizer))
    given, names = list(ids), {}
    order = dict(taken or {})
    for position, (start, end) in enumerate(spans):
        if slots and ids[position] == tokenizer.unk_token_id:
            word = text[start:end]
            free = (slot for slot in slots if slot not in order.values())
            given[position] = order.setdefault(word.lower(), next(free, slots[len(order) % len(slots)]))
            names[position] = word + MARK
    return given, names


def new_words(tokenizer: Any, ids: Sequence[int], labels: Sequence[str]) -> dict[str, int]:
    """The unknown words of a sentence in the order in which they came, as typed, and the slot that each one took."""
    slots = set(tokenizer.convert_tokens_to_ids(slots_of(tokenizer)))
    marked = zip(labels, ids, strict=True)
    return {label.removesuffix(MARK): i for label, i in marked if i in slots and label.endswith(MARK)}
