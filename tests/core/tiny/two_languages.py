"""A true two-tokenizer Marian, small: each language has its own pieces and its own ids, learnt from one line."""

import json
from pathlib import Path

import sentencepiece
from transformers import MarianTokenizer

LINES = {"source": "the blue cat sleeps under the table", "target": "le chat bleu dort sous la table"}


def marian_tokenizer(folder: Path) -> MarianTokenizer:
    for side, line in LINES.items():
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter([line] * 20), model_prefix=str(folder / side), vocab_size=40, minloglevel=2,
            hard_vocab_limit=False,
        )  # fmt: skip
        pieces = sentencepiece.SentencePieceProcessor(model_file=f"{folder / side}.model")
        words = ["</s>", "<unk>", "<pad>", *(pieces.id_to_piece(i) for i in range(3, pieces.get_piece_size()))]
        (folder / f"{side}.json").write_text(json.dumps({word: i for i, word in enumerate(words)}))
    return MarianTokenizer(
        str(folder / "source.model"), str(folder / "target.model"), str(folder / "source.json"),
        target_vocab_file=str(folder / "target.json"), separate_vocabs=True,
    )  # fmt: skip
