"""Labels, words and limits, judged by hand and by the tokenizers' own decoding."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from families import STARTER_LABELS
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import AutoTokenizer, PreTrainedTokenizerFast
from two_languages import marian_tokenizer

from attn_core import EmptyText
from attn_core.models.sources import bundled_folder
from attn_core.text import decoding, tokens, whole_words
from attn_core.text.description import names_of
from attn_core.text.tokens import Tokens

LINES = ["a fluffy blue creature roamed the verdant forest", "the café was warm", "she didn't see the 🤗", "שלום עולם"]


@pytest.fixture(scope="module")
def wordpiece():
    return AutoTokenizer.from_pretrained(bundled_folder())


@pytest.fixture(scope="module")
def byte_level():
    """A true byte-level BPE: all 256 bytes, merges learnt from a few lines."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=420, initial_alphabet=alphabet, special_tokens=["<|endoftext|>"])
    bpe.train_from_iterator([*LINES[:2] * 9, *LINES], trainer)
    end = "<|endoftext|>"
    return PreTrainedTokenizerFast(tokenizer_object=bpe, bos_token=end, eos_token=end, unk_token=end)


@pytest.fixture(scope="module")
def sentencepiece():
    pieces = ["<unk>", "</s>", "▁", "▁the", "▁caf", "é", "▁warm", "er", "fluffy", ".", "<0xF0>", "<0x9F>"]
    pieces += ["<0xA4>", "<0x97>"]
    unigram = Tokenizer(models.Unigram([(p, -1.0) for p in pieces], unk_id=0, byte_fallback=True))
    unigram.pre_tokenizer = pre_tokenizers.Metaspace()
    unigram.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace()])
    unigram.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=unigram, eos_token="</s>", unk_token="<unk>")


@pytest.fixture(scope="module")
def xlmr():
    """XLM-R's ways: a lone ▁ that shares its place with the letter behind it, blanks that are normalised, a mask and
    other added tokens that take the blank before them."""
    pieces = ["<s>", "<pad>", "</s>", "<unk>", "▁", *"日本語", "▁the", "▁fox", "▁na", "ï", "ve", "▁Allen", *"NLP"]
    pieces += ["▁می", "خواهم", *"བོད་", "."]
    unigram = Tokenizer(models.Unigram([(p, -1.0) for p in pieces], unk_id=3))
    one_blank = normalizers.Replace(Regex(" {2,}"), " ")
    unigram.normalizer = normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC(), one_blank])
    unigram.pre_tokenizer, unigram.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    unigram.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    names = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=unigram, mask_token=AddedToken("<mask>", lstrip=True, special=True), **names
    )
    tokenizer.add_tokens([AddedToken(" zorple", normalized=False), AddedToken("blick", lstrip=True)])
    return tokenizer


@pytest.fixture(scope="module")
def translator(tmp_path_factory):
    return marian_tokenizer(tmp_path_factory.mktemp("marian"))


def test_wordpiece_keeps_its_joints_and_flags_its_frame(wordpiece):
    t = tokens.encode(wordpiece, "a fluffy blue creature roamed the verdant forest", 512)
    assert t.labels == STARTER_LABELS
    assert t.special == [True] + [False] * 11 + [True]
    assert t.words == [None, 0, 1, 2, 3, 4, 4, 5, 6, 6, 6, 7, None]
    assert t.word_labels == [
        "[CLS]",
        *["a", "fluffy", "blue", "creature", "roamed", "the", "verdant", "forest"],
        "[SEP]",
    ]
    assert t.dropped == 0


def test_byte_pieces_are_decoded_truly(byte_level):
    t = tokens.encode(byte_level, "the café was warm", 64)
    assert t.labels == ["the", "café", "was", "warm"]
    assert not any(c in "".join(t.labels) for c in "ĠÃ©")


def test_an_emoji_in_several_tokens_is_shown_in_every_one(byte_level):
    t = tokens.encode(byte_level, "the 🦙", 64)
    parts = [label for label in t.labels if "🦙" in label]
    assert len(parts) == len(t) - 1 - t.labels.count("␠") > 1
    assert parts == [f"🦙‹{i + 1}/{len(parts)}›" for i in range(len(parts))]
    assert t.word_labels == ["the", "🦙"]


@pytest.mark.parametrize("line", LINES)
def test_byte_level_words_are_the_words_typed(byte_level, line):
    assert tokens.encode(byte_level, line, 64).word_labels == line.split()


def test_half_an_emoji_is_shown_as_its_bytes(byte_level):
    whole = tokens.encode(byte_level, "🦙", 64)
    assert tokens.from_ids(byte_level, whole.ids[:1]).labels[0].startswith("\\xf0")


def test_sentencepiece_marks_and_byte_pieces_are_read(sentencepiece):
    t = tokens.encode(sentencepiece, "the café warmer fluffy. 🤗", 64)
    emoji = [f"🤗‹{i}/4›" for i in (1, 2, 3, 4)]
    assert t.labels == ["the", "caf", "é", "warm", "er", "␠", "fluffy", ".", "␠", *emoji, "</s>"]
    assert t.word_labels == ["the", "café", "warmer", "fluffy", ".", "🤗", "</s>"]
    assert t.words[-1] is None and t.special[-1] and not any(t.special[:-1])


def test_an_unknown_or_masked_word_is_a_word(wordpiece):
    t = tokens.encode(wordpiece, "the [MASK] 🦙 slept", 64)
    assert t.labels[2:4] == ["[MASK]", "[UNK]"]
    assert t.special[2:4] == [False, False]


def test_a_translator_reads_each_language_with_its_own_pieces(translator):
    source = tokens.encode(translator, "the blue cat", 32)
    target = tokens.encode(translator, "le chat bleu", 32, target=True)
    assert source.word_labels == ["the", "blue", "cat", "</s>"]
    assert target.word_labels == ["le", "chat", "bleu", "</s>"]
    assert tokens.from_ids(translator, source.ids).labels == source.labels
    assert tokens.from_ids(translator, target.ids, target=True).labels == target.labels
    assert source.special[-1] and target.special[-1] and not any(source.special[:-1])


def test_a_token_that_frames_and_stands_in_for_the_unknown_is_special(byte_level):
    t = tokens.from_ids(byte_level, [byte_level.bos_token_id, *tokens.encode(byte_level, "the café", 64).ids])
    assert t.special == [True, False, False]
    assert t.labels[0] == "<|endoftext|>"


def test_half_a_character_does_no_harm(wordpiece, byte_level):
    for tokenizer in (wordpiece, byte_level):
        assert tokens.encode(tokenizer, "the \ud83e cat", 64).text == "the \ufffd cat"


def test_apostrophes_and_punctuation(wordpiece):
    t = tokens.encode(wordpiece, "It didn't rain... 日本!", 64)
    assert t.word_labels[1:-1] == ["It", "didn't", "rain", "...", "日", "本", "!"]


def test_equal_tokens_stay_apart(wordpiece):
    t = tokens.encode(wordpiece, "the the the", 64)
    assert t.labels[1:4] == ["the", "the", "the"]
    assert t.words[1:4] == [0, 1, 2]


def test_the_bundled_tokenizer_neither_truncates_nor_pads(wordpiece):
    assert len(tokens.encode(wordpiece, "blue", 512)) == 3
    assert len(tokens.encode(wordpiece, "blue " * 300, 512)) == 302


@pytest.mark.parametrize("limit", [3, 4, 10])
def test_the_cut_leaves_page_for_the_frame_and_is_counted(wordpiece, limit):
    t = tokens.encode(wordpiece, "one two three four five six seven eight nine", limit)
    assert len(t) == min(limit, 11)
    assert (t.labels[0], t.labels[-1]) == ("[CLS]", "[SEP]")
    assert len(t) + t.dropped == 11
    assert t.labels[1:-1] == ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"][: limit - 2]


def test_a_very_long_text_is_cut(wordpiece):
    t = tokens.encode(wordpiece, "blue " * 4_000, 512)
    assert (len(t), t.dropped, t.unread) == (512, 4_002 - 512, 0)
    assert (t.cut_after, t.left_out) == ("512 tokens", "3490 more are not shown.")


def test_the_tokenizer_is_never_given_more_than_it_needs(wordpiece, monkeypatch):
    given = []
    tokenize = tokens.tokenize
    monkeypatch.setattr(tokens, "tokenize", lambda t, text, **how: given.append(len(text)) or tokenize(t, text, **how))
    t = tokens.encode(wordpiece, "blue " * 4_000_000, 512)
    assert given == [20_480]
    assert (len(t), t.dropped, t.unread) == (512, 4_096 + 2 - 512, 20_000_000 - 20_480)
    assert t.left_out == "3586 more, and 19,979,520 characters after them are not shown."
    assert len(t.text) == 20_480


def test_one_endless_word_is_cut_by_its_characters(wordpiece):
    t = tokens.encode(wordpiece, "x" * 30_000, 512)
    assert t.labels == ["[CLS]", "[UNK]", "[SEP]"] and t.is_cut
    assert (t.cut_after, t.left_out) == ("20,480 characters", "9,520 characters after them are not shown.")


def test_a_limit_without_page_is_refused(wordpiece):
    with pytest.raises(ValueError, match="no room"):
        tokens.encode(wordpiece, "blue", 2)


@pytest.mark.parametrize("text", ["", " ", "\n\t ", "\u200b", "\u200b\u200d"])
def test_nothing_to_look_at(wordpiece, text):
    with pytest.raises(EmptyText, match="Type a sentence"):
        tokens.encode(wordpiece, text, 512)


def test_ids_and_text_agree(wordpiece, byte_level, sentencepiece):
    for tokenizer in (wordpiece, byte_level, sentencepiece):
        typed = tokens.encode(tokenizer, "the warm café", 64)
        given_ids = tokens.from_ids(tokenizer, typed.ids)
        assert (given_ids.labels, given_ids.words, given_ids.special) == (typed.labels, typed.words, typed.special)
    with pytest.raises(EmptyText):
        tokens.from_ids(wordpiece, [])


@settings(deadline=None, max_examples=200)
@given(st.text(st.characters(codec=None), min_size=1, max_size=40))
def test_any_text_gives_labels_and_words_for_every_token(wordpiece, byte_level, sentencepiece, text):
    for tokenizer in (wordpiece, byte_level, sentencepiece):
        try:
            t = tokens.encode(tokenizer, text, 24)
        except EmptyText:
            continue
        n = len(t)
        assert len(t.labels) == len(t.special) == len(t.words) == len(t.ids) == n <= 24
        assert all(label and decoding.visible(label) == label for label in t.labels + t.word_labels)
        assert [w is None for w in t.words] == t.special
        counted = [w for w in t.words if w is not None]
        assert counted == sorted(counted) and set(counted) == set(range(max(counted) + 1))
        assert [p for unit in whole_words.units(t.words) for p in unit] == list(range(n))
        assert len(t.word_labels) == len(whole_words.units(t.words))


@settings(deadline=None, max_examples=100)
@given(st.text(min_size=1, max_size=30))
def test_the_labels_of_bytes_spell_what_the_tokenizer_decodes(byte_level, text):
    try:
        t = tokens.encode(byte_level, text, 500)
    except EmptyText:
        return
    if not any(t.special):
        assert tokens.from_ids(byte_level, t.ids).text == byte_level.decode(t.ids).strip()


def test_words_that_a_small_model_never_met_keep_their_names_and_stay_apart():
    from attn_core.text.unknown_words import TextReader
    from attn_core.tiny.tokenizer import word_tokenizer

    words = ["<bos>", "<new1>", "<new2>", "the", "met"]
    tokenizer = word_tokenizer(
        words, ["<new1>", "<new2>"], template="<bos> $A", cut=r"\w+|[^\w\s]", limit=64, bos_token="<bos>"
    )
    t = TextReader(tokenizer).read_text("the Zorple met blick the zorple", 64)
    assert t.ids == [0, 3, 1, 4, 2, 3, 1]
    assert t.labels == ["<bos>", "the", "Zorple°", "met", "blick°", "the", "zorple°"]
    assert t.word_labels == t.labels
    assert t.special == [True] + [False] * 6


def test_visible():
    shown = {"": "∅", "  ": "␠␠", "\n": "⏎", "\t": "⇥", "\r": "␍", "\x00": "␀", "\u200b": "‹U+200B›"}
    shown |= {"\u202e": "‹U+202E›", "\xa0": "‹U+00A0›", "\u0301": "◌\u0301", "<b>": "<b>", "Ġthe": "Ġthe", "🤗": "🤗"}
    assert {text: decoding.visible(text) for text in shown} == shown


def test_a_word_level_pattern_by_hand():
    pattern = np.array([[0.1, 0.2, 0.3, 0.4], [0.4, 0.3, 0.2, 0.1], [0.0, 1.0, 0.0, 0.0], [0.25, 0.25, 0.25, 0.25]])
    words = [None, 0, 0, None]
    expected = [[0.1, 0.5, 0.4], [0.2, 0.75, 0.05], [0.25, 0.5, 0.25]]
    assert np.allclose(whole_words.word_pattern(pattern, words, words), expected)


def test_a_word_level_pattern_between_two_sentences_sums_to_one():
    pattern = np.random.default_rng(0).dirichlet(np.ones(5), size=(2, 3))  # [head, query, key]
    between = whole_words.word_pattern(pattern, [0, 0, 1], [None, 0, 1, 1, 1])
    assert between.shape == (2, 2, 3)
    assert np.allclose(between.sum(axis=-1), 1)


def test_threads_do_not_mix_languages(translator):
    """Marian switches itself to the target's pieces and back: a second reader must not meet it half-way."""
    lines = [("the blue cat", False), ("le chat bleu", True)] * 4
    alone = [tokens.encode(translator, line, 32, target=target).ids for line, target in lines]
    wrong = []

    def work(n: int) -> None:
        line, target = lines[n]
        wrong.extend(1 for _ in range(200) if tokens.encode(translator, line, 32, target=target).ids != alone[n])

    with ThreadPoolExecutor(len(lines)) as threads:
        list(threads.map(work, range(len(lines))))
    assert not wrong


def test_tokens_that_are_described_later_are_plain_values() -> None:
    """They are copied, compared and pickled as their fields, without the tokenizer that describes them."""
    plain = Tokens("a b", [1, 2], ["a", "b"], [False, False], [0, 1], ["a", "b"], dropped=3)
    late = Tokens.described_later([1, 2], lambda: plain, dropped=3)
    assert "labels" not in vars(late) and late.is_cut
    assert pickle.loads(pickle.dumps(late)) == late == plain == replace(late)
    with pytest.raises(AttributeError, match="nothing"):
        late.nothing  # noqa: B018


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("สวัสดีชาวโลก", ["สวัสดี", "ชาว", "โลก"]),
        ("ຂ້ອຍຮັກແມວ", ["ຂ້ອຍ", "ຮັກ", "ແມວ"]),
        ("មកកាន់ប្រទេសកម្ពុជា", ["មកកាន់", "ប្រទេស", "កម្ពុជា"]),
        ("ကျွန်တော်ချစ်တယ်", ["ကျွန်တော်", "ချစ်", "တယ်"]),
    ],
    ids=["Thai", "Lao", "Khmer", "Burmese"],
)
def test_words_of_scripts_without_spaces_are_told_apart(byte_level, text, words):
    """One sentence was one word; no letter is lost, and a word in another script beside it stays whole."""
    read = tokens.encode(byte_level, f"don't {text} fox", 512)
    assert read.word_labels == ["don't", *words, "fox"]
    assert "".join(words) == text


ODD_WORDS = [
    ("xlmr", "日本 the 語", ["日", "本", "the", "語"]),
    ("xlmr", "the 日本 fox", ["the", "日", "本", "fox"]),
    ("xlmr", "   the fox", ["the", "fox"]),
    ("xlmr", "\n the\u202ffox", ["the", "fox"]),
    ("xlmr", "the \x10 fox", ["the", "fox"]),
    ("xlmr", "the zorple fox", ["the", "zorple", "fox"]),
    ("xlmr", "the <mask> fox", ["the", "<mask>", "fox"]),
    ("xlmr", " <mask> the   blick fox", ["<mask>", "the", "blick", "fox"]),
    ("xlmr", "naïve AllenNLP…", ["naïve", "AllenNLP", "…"]),
    ("xlmr", "nai\u0308 the", ["nai\u0308", "the"]),  # the token is one character, whose place is that of the letter
    ("xlmr", "می\u200cخواهم the", ["می\u200cخواهم", "the"]),
    ("xlmr", "བོད་བོད་ the", ["བོད་", "བོད་", "the"]),
    ("byte_level", "   the fox", ["␠", "␠", "the", "fox"]),
    ("byte_level", "the\u202ffox", ["the", "‹U+202F›", "fox"]),
    ("byte_level", "the\xa0\u3000fox", ["the", "‹U+00A0›", "‹U+3000›", "fox"]),
    ("byte_level", "the\x10fox", ["the", "␐", "fox"]),
    ("byte_level", "fox\n\nthe", ["fox", "⏎", "⏎", "the"]),
    ("byte_level", "naïve [MASK] AllenNLP", ["naïve", "[", "MASK", "]", "AllenNLP"]),
    ("byte_level", "می\u200cخواهم the", ["می\u200cخواهم", "the"]),
    ("byte_level", "བོད་བོད་ the", ["བོད་", "བོད་", "the"]),
    ("wordpiece", "naïve [MASK] AllenNLP", ["naïve", "[MASK]", "AllenNLP"]),
    ("wordpiece", "  the\u202f\x10 fox ", ["the", "fox"]),
    ("wordpiece", "می\u200cخواهم 🦙 the", ["می\u200cخواهم", "[UNK]", "the"]),
]


@pytest.mark.parametrize(("name", "text", "words"), ODD_WORDS)
def test_words_are_shown_as_written_with_no_letter_lost_and_none_empty(name, text, words, request):
    read = tokens.encode(request.getfixturevalue(name), text, 512)
    firsts = [unit[0] for unit in whole_words.units(read.words)]
    said = [label for label, i in zip(read.word_labels, firsts, strict=True) if not read.special[i]]
    assert said == words
    assert all(label.strip() for label in read.labels) and len(read.word_labels) == len(firsts)


def test_a_character_without_width_is_seen_only_where_letters_join():
    """Persian and Hindi write it; between Latin letters, and at an end, nobody would see it."""
    for word in ("می\u200cخواهم", "क्\u200dष"):
        assert decoding.visible(word) == word
    assert decoding.visible("a\u200cb") == "a‹U+200C›b" and decoding.visible("a\u200cم") == "a‹U+200C›م"
    assert decoding.visible("می\u200c") == "می‹U+200C›" and decoding.visible("\u200cمی") == "‹U+200C›می"


def test_blanks_have_names_for_those_who_hear_them():
    said = {"⏎": "line break", "⏎⏎": "line break line break", "␠a": "space a", "⇥": "tab", "fox": "fox"}
    assert {label: decoding.aloud(label) for label in said} == said
    assert [decoding.aloud(decoding.visible(blank)) for blank in " \n\t"] == ["space", "line break", "tab"]


@pytest.mark.parametrize(
    "unit", ["👩\u200d🔬", "👍🏽", "🇫🇷", "❤\ufe0f", "1\ufe0f\u20e3", "3.14", "1,000", "e\u0301te\u0301", "naïve"]
)
def test_an_emoji_a_flag_a_number_and_a_letter_with_its_marks_are_one_unit(byte_level, unit):
    read = tokens.encode(byte_level, f"the {unit} fox {unit}", 512)
    assert read.word_labels == ["the", unit, "fox", unit]


def test_two_flags_are_two_and_a_joiner_that_joins_no_picture_is_shown(byte_level):
    assert tokens.encode(byte_level, "🇫🇷🇩🇪👍🏽👍", 512).word_labels == ["🇫🇷", "🇩🇪", "👍🏽", "👍"]
    assert decoding.visible("a\u200db") == "a‹U+200D›b" and decoding.visible("\u200d🔬") == "‹U+200D›🔬"
    assert decoding.visible("👩\u200d🔬") == "👩\u200d🔬"


@pytest.mark.parametrize(
    ("typed", "doubled"),
    [
        ("a fox", ()),
        ("[CLS] a fox", ("[CLS]",)),
        ("[CLS] a fox [SEP]", ("[CLS]", "[SEP]")),
        ("a [SEP] fox", ()),  # in the middle it parts two sentences
    ],
)
def test_a_frame_that_is_typed_on_top_of_the_models_own_is_noticed(wordpiece, typed, doubled):
    assert tokens.encode(wordpiece, typed, 32).doubled == doubled


def test_a_special_token_that_nobody_adds_is_not_doubled(byte_level):
    assert tokens.encode(byte_level, "<|endoftext|><|endoftext|>a fox", 32).doubled == ()


@pytest.mark.parametrize("kind", ["wordpiece", "byte_level", "sentencepiece"])
def test_a_word_of_the_vocabulary_is_read_as_in_a_sentence_of_its_own(
    kind: str, request: pytest.FixtureRequest
) -> None:
    tokenizer = request.getfixturevalue(kind)
    ids = range(0, len(tokenizer), 1 + len(tokenizer) // 400)
    alone = [tokens.from_ids(tokenizer, [i]).labels[0] for i in ids]
    assert names_of(tokenizer, [*ids], target=False) == alone
