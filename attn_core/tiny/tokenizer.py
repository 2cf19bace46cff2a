"""The tokenizers of the small models: a token is a word, and unknown words have stand-ins.

`AutoTokenizer` alone gives every unknown word the first of them; `text.unknown_words` tells them apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


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
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=core, unk_token=slots[0], model_max_length=limit, slots=list(slots), **special
    )
