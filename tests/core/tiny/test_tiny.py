"""Our small models as code: the library is the judge of the forward pass, hand-written French of the grammar."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from random import Random

import pytest
import torch
import transformers as tf
from read_back import load_decoder, load_translator
from torch import nn

from attn_core.text.unknown_words import TextReader
from attn_core.tiny import checkpoints, grammar_words, train
from attn_core.tiny import grammar_phrases as phrases
from attn_core.tiny import grammar_stories as stories
from attn_core.tiny.decoder import Decoder, DecoderShape
from attn_core.tiny.grammar_phrases import NounPhrase, in_french
from attn_core.tiny.training_loop import Recipe, fit
from attn_core.tiny.translator import Translator, TranslatorShape

ASSETS = Path(__file__).parents[3] / "assets" / "models"


def uneven(model: nn.Module) -> nn.Module:
    """Random everywhere, norms and biases too, so that nothing is right by being zero or one."""
    torch.manual_seed(5)
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(torch.randn_like(weight) * 0.3)
    return model.eval()


# --- The same as the library ------------------------------------------------------------------------------------------


@pytest.fixture(params=["shipped", "random"])
def decoder_folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == "shipped":
        return ASSETS / "tiny-decoder"
    checkpoints.save_decoder(uneven(Decoder(DecoderShape(len(stories.vocabulary())))), tmp_path)  # type: ignore[arg-type]
    return tmp_path


@pytest.fixture(params=["shipped", "random"])
def translator_folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == "shipped":
        return ASSETS / "tiny-translator"
    model = uneven(Translator(TranslatorShape(len(phrases.vocabulary()))))
    checkpoints.save_translator(model, tmp_path)  # type: ignore[arg-type]
    return tmp_path


@torch.no_grad()
def test_decoder_equals_gpt2(decoder_folder: Path) -> None:
    ours = load_decoder(decoder_folder)
    theirs = tf.AutoModelForCausalLM.from_pretrained(decoder_folder, attn_implementation="eager").eval()
    assert type(theirs).__name__ == "GPT2LMHeadModel"
    ids = torch.randint(0, ours.shape.n_words, (3, 64), generator=torch.Generator().manual_seed(0))
    logits, patterns = ours(ids)
    judge = theirs(ids, output_attentions=True)
    assert (logits - judge.logits).abs().max() <= 1e-5 * judge.logits.abs().max().clamp_min(1)
    for pattern, judged in zip(patterns, judge.attentions, strict=True):
        assert (pattern - judged).abs().max() <= 1e-5


@torch.no_grad()
def test_translator_equals_mbart(translator_folder: Path) -> None:
    ours = load_translator(translator_folder)
    theirs = tf.AutoModelForSeq2SeqLM.from_pretrained(translator_folder, attn_implementation="eager").eval()
    assert type(theirs).__name__ == "MBartForConditionalGeneration"
    draw = torch.Generator().manual_seed(0)
    english, french = (torch.randint(7, ours.shape.n_words, (2, n), generator=draw) for n in (11, 9))
    real = torch.ones(2, 11, dtype=torch.bool)
    real[1, 8:] = False  # a padded sentence
    memory, encoder = ours.read(english, real)
    logits, decoder, cross = ours.write(french, memory, real)
    judge = theirs(input_ids=english, attention_mask=real.long(), decoder_input_ids=french, output_attentions=True)
    assert (logits - judge.logits).abs().max() <= 1e-5 * judge.logits.abs().max().clamp_min(1)
    for own, judged in (
        (encoder, judge.encoder_attentions),
        (decoder, judge.decoder_attentions),
        (cross, judge.cross_attentions),
    ):
        assert (torch.stack(own) - torch.stack(judged)).abs().max() <= 1e-5


@torch.no_grad()
def test_greedy_translation_equals_the_librarys() -> None:
    folder = ASSETS / "tiny-translator"
    ours, theirs = load_translator(folder), tf.AutoModelForSeq2SeqLM.from_pretrained(folder).eval()
    tokenizer = tf.AutoTokenizer.from_pretrained(folder)
    for pair in [phrases.sentence(Random(n)) for n in range(20)]:
        english = tokenizer(" ".join(pair.english), return_tensors="pt").input_ids
        written = theirs.generate(english, max_new_tokens=47, num_beams=1, do_sample=False)[0].tolist()
        own = ours.translate(english[0], tokenizer.bos_token_id, tokenizer.eos_token_id)
        assert [tokenizer.bos_token_id, *own, tokenizer.eos_token_id] == written


def test_a_checkpoint_with_other_weights_is_refused(tmp_path: Path) -> None:
    model = Translator(TranslatorShape(len(phrases.vocabulary())))
    names = checkpoints.mbart_names(model) | {"model.encoder.stranger": (torch.zeros(2),)}
    theirs = tf.MBartForConditionalGeneration(
        tf.MBartConfig(
            vocab_size=model.shape.n_words, d_model=64, max_position_embeddings=48, encoder_layers=2, decoder_layers=2,
            encoder_attention_heads=4, decoder_attention_heads=4, encoder_ffn_dim=128, decoder_ffn_dim=128,
        )
    )  # fmt: skip
    with pytest.raises(ValueError, match="stranger"):
        checkpoints._save(theirs, names, checkpoints.phrase_tokenizer(48), tmp_path)


# --- Training ---------------------------------------------------------------------------------------------------------

SHORT = Recipe(steps=24, batch=4, weight_decay=0.01, warm_up=4, sharpen=0.1, save_every=5)


def small_decoder() -> tuple[Decoder, object]:
    torch.manual_seed(3)
    model = Decoder(DecoderShape(len(stories.vocabulary()), n_layers=1, n_heads=2, d_model=32, d_mlp=48, context=32))
    return model, train.decoder_loss(model, SHORT, seed=3)


def small_translator() -> tuple[Translator, object]:
    torch.manual_seed(3)
    model = Translator(TranslatorShape(len(phrases.vocabulary()), n_layers=1, n_heads=2, d_model=32, d_mlp=48))
    return model, train.translator_loss(model, SHORT, seed=3)


@pytest.mark.parametrize("make", [small_decoder, small_translator])
def test_training_learns_and_an_interruption_changes_no_bit(make: object, tmp_path: Path) -> None:
    assert torch.get_num_threads() == 1
    straight, loss = make()  # type: ignore[operator]
    losses = fit(straight, loss, SHORT)
    assert len(losses) == 24
    assert sum(losses[-6:]) < sum(losses[:6]) - 2  # nats, over six steps

    half_way = tmp_path / "half.pt"
    model, loss = make()  # type: ignore[operator]
    first = fit(model, loss, SHORT, checkpoint=half_way, stop_at=11)
    fresh, loss = make()  # type: ignore[operator]
    second = fit(fresh, loss, SHORT, checkpoint=half_way)
    assert first + second == losses
    assert not any(
        torch.equal(a, b) for a, b in zip(model.parameters(), fresh.parameters(), strict=True) if a.dim() > 1
    )
    for one, other in zip(straight.parameters(), fresh.parameters(), strict=True):
        assert torch.equal(one, other)


def test_the_learning_rate_rises_and_falls() -> None:
    recipe = Recipe(steps=1100, batch=1, weight_decay=0)
    rates = [recipe.lr_at(step) for step in range(1100)]
    assert rates[0] == pytest.approx(3e-5) and max(rates) == pytest.approx(3e-3) == rates[99]
    assert rates[600] == pytest.approx(3e-3 * (0.05 + 0.95 * 0.5))  # half way down the cosine
    assert rates[-1] == pytest.approx(0.05 * 3e-3, rel=0.01)


def test_heads_are_sharpened_only_after_they_have_formed() -> None:
    recipe = Recipe(steps=1000, batch=1, weight_decay=0, sharpen=0.1)
    assert [round(recipe.sharpen_at(step), 6) for step in (0, 350, 500, 650, 999)] == [0, 0, 0.05, 0.1, 0.1]


def test_spread_is_the_entropy_of_rows() -> None:
    even, sure = torch.full((1, 1, 2, 4), 0.25), torch.eye(4)[None, None, :2]
    assert train.spread([even]).item() == pytest.approx(math.log(4), abs=1e-6)
    assert train.spread([sure]).item() == pytest.approx(0, abs=1e-6)


def test_the_command_trains_and_writes_a_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[int] = []
    recipe = Recipe(steps=2, batch=2, weight_decay=0.05)
    monkeypatch.setattr(train, "translator_report", lambda model: {"new_sentences": {"alignment": [[0.0]]}})
    card = train.train("translator", 7, tmp_path, recipe, lambda step, loss: told.append(step))
    assert told == [0, 1] and card["seed"] == 7 and card["recipe"]["steps"] == 2
    assert {file.name for file in tmp_path.iterdir()} >= {"card.json", "config.json", "model.safetensors"}
    assert not list(tmp_path.rglob("*.pt"))


def test_an_interrupted_command_goes_on_with_its_own_seed_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "translator_report", lambda model: {"new_sentences": {"alignment": [[0.0]]}})
    recipe = Recipe(steps=2, batch=2, weight_decay=0.05, save_every=1)

    def stop(step: int, loss: float) -> None:
        if step == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train.train("translator", 7, tmp_path, recipe, stop)
    told: dict[int, list[int]] = {8: [], 7: []}
    for seed, steps in told.items():
        train.train("translator", seed, tmp_path, recipe, lambda step, loss, steps=steps: steps.append(step))
    assert told == {8: [0, 1], 7: [1]}


# --- The stories ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("episode", [stories.tower, stories.counting, stories.mole], ids=lambda e: e.__name__)
def test_costs_are_the_information_of_what_is_said(episode: object) -> None:
    """The probabilities of all different episodes of a kind add up to 1."""
    seen: dict[str, float] = {}
    rng = Random(1)
    for _ in range(20_000):
        tell = stories.Teller(rng)
        episode(tell)  # type: ignore[operator]
        seen[" ".join(tell.words)] = sum(tell.costs)
    total = sum(math.exp(-cost) for cost in seen.values())
    assert 0.99 < total < 1 + 1e-9


def test_a_rows_information_is_what_its_words_cost() -> None:
    """Counted, not computed: "count" costs −ln of how often it begins an episode."""
    costs, count = set(), 0
    for n in range(4000):
        tell = stories.Teller(Random(n), [grammar_words.BOS], [0.0])
        stories.tell_on(tell)
        if tell.words[1:3] == ["count", ":"]:  # and not a list of words that begins with it
            costs.add(tell.costs[1])
            count += 1
    assert costs == {-math.log(0.12)}
    assert count / 4000 == pytest.approx(0.12, abs=0.02)


def test_a_row_begins_with_bos_and_is_cut() -> None:
    words, information = stories.row(Random(0), 64)
    assert words[0] == grammar_words.BOS and len(words) == 64 and information > 0
    assert stories.row(Random(0), 64) == (words, information)
    assert set(words) <= set(stories.vocabulary())


def test_the_verb_follows_from_the_deciding_adjective() -> None:
    rng, decided = Random(4), 0
    for _ in range(500):
        tell = stories.Teller(rng)
        stories.deed(tell)
        text = tell.words
        acting = [word for word in text[: text.index("the")] if word in grammar_words.DEEDS]
        assert len(acting) <= 1
        if acting:
            decided += 1
            assert grammar_words.DEEDS[acting[0]] in text
        recalled = " ".join(text[text.index("was") + 1 :]).split(" and the ")[0].removesuffix(" .").split(" and ")
        assert text[1 : 1 + len(recalled)] == recalled  # in the order in which they were said
    assert 200 < decided < 450


# --- The French -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("phrase", "negated", "french", "places"),
    [
        (NounPhrase("the", ("small", "blue"), "car", False), False, "la petite voiture bleue", [0, 1, 3, 2]),
        (NounPhrase("the", ("european", "slow"), "area", False), False, "la zone lente européenne", [0, 3, 2, 1]),
        (NounPhrase("a", ("old",), "man", False), False, "un vieil homme", [0, 1, 2]),
        (NounPhrase("a", ("new", "green"), "tree", False), False, "un nouvel arbre vert", [0, 1, 3, 2]),
        (NounPhrase("this", (), "bird", False), False, "cet oiseau", [0, 1]),
        (NounPhrase("this", ("beautiful",), "bird", False), False, "ce bel oiseau", [0, 1, 2]),
        (NounPhrase("the", (), "church", False), False, "l' église", [0, 1]),
        (NounPhrase("my", (), "school", False), False, "mon école", [0, 1]),
        (NounPhrase("my", ("small",), "school", False), False, "ma petite école", [0, 1, 2]),
        (NounPhrase("my", ("white",), "horse", True), False, "mes chevaux blancs", [0, 2, 1]),
        (NounPhrase("some", (), "wolf", True), False, "des loups", [0, 1]),
        (NounPhrase("some", ("old",), "woman", True), False, "de vieilles femmes", [0, 1, 2]),
        (NounPhrase("a", (), "horse", False), True, "de cheval", [0, 1]),
        (NounPhrase("some", (), "friend", True), True, "d' amis", [0, 1]),
        (NounPhrase("these", ("happy",), "queen", True), True, "ces reines heureuses", [0, 2, 1]),
        (NounPhrase("the", ("good",), "<new2>", False), False, "le bon <new2>", [0, 1, 2]),
    ],
)  # fmt: skip
def test_noun_phrases(phrase: NounPhrase, negated: bool, french: str, places: list[int]) -> None:
    words, found = in_french(phrase, negated)
    assert (" ".join(words), found) == (french, places)


def test_every_french_word_comes_from_an_english_one() -> None:
    by_hand = {"ne": "not", "n'": "not", "pas": "not", "voit": "sees", "chien": "dog", "blanche": "white", "dans": "in"}
    seen = Counter()
    rng = Random(6)
    for _ in range(2000):
        pair = phrases.sentence(rng)
        assert len(pair.gold) == len(pair.french)
        assert {place for places in pair.gold for place in places} == set(range(len(pair.english)))
        for word, places in zip(pair.french, pair.gold, strict=True):
            if word in by_hand and not (word == "voit" and "not" in pair.english):
                seen[word] += 1
                assert by_hand[word] in [pair.english[place] for place in places]
    assert all(seen[word] > 10 for word in by_hand)


def test_held_out_pairs_are_never_shown_and_always_tested() -> None:
    rng = Random(7)
    singular = {many: one for one, (many, *_) in phrases.NOUNS.items()}

    def held(words: tuple[str, ...]) -> bool:
        pending: list[str] = []
        for word in words:
            if word in phrases.ADJECTIVES:
                pending.append(word)
            else:
                if any(phrases.held_out(adjective, singular.get(word, word)) for adjective in pending):
                    return True
                pending = []
        return False

    assert not any(held(phrases.sentence(rng).english) for _ in range(3000))
    assert all(held(phrases.sentence(rng, test=True).english) for _ in range(300))
    pairs = [(adjective, noun) for adjective in phrases.ADJECTIVES for noun in phrases.NOUNS]
    assert 0.07 < sum(phrases.held_out(*pair) for pair in pairs) / len(pairs) < 0.13


# --- Words that nobody has met ----------------------------------------------------------------------------------------


def test_unknown_words_take_stand_ins_and_keep_their_names() -> None:
    tokenizer = checkpoints.story_tokenizer(64)
    text = "a Zorple saw a blick and the zorple ate"
    encoded = tokenizer(text, return_offsets_mapping=True)
    assert {tokenizer.convert_ids_to_tokens(i) for i in encoded.input_ids[2:3]} == {"<new1>"}
    ids, names = TextReader(tokenizer).assign_stand_ins(encoded.input_ids, text, encoded.offset_mapping)
    assert " ".join(tokenizer.convert_ids_to_tokens(ids)) == "<bos> a <new1> saw a <new2> and the <new1> ate"
    assert names == {2: "Zorple°", 5: "blick°", 8: "zorple°"}


def test_more_new_words_than_stand_ins_begin_again() -> None:
    tokenizer = checkpoints.phrase_tokenizer(48)
    text = "aa bb cc dd ee aa"
    encoded = tokenizer(text, return_offsets_mapping=True)
    ids, _ = TextReader(tokenizer).assign_stand_ins(encoded.input_ids, text, encoded.offset_mapping)
    assert " ".join(tokenizer.convert_ids_to_tokens(ids)) == "<new1> <new2> <new3> <new4> <new1> <new1> </s>"


def test_other_tokenizers_are_left_alone() -> None:
    class Plain:
        init_kwargs: dict[str, object] = {}
        unk_token_id = 3

        def convert_tokens_to_ids(self, tokens: list[str]) -> list[int]:
            return [1 for _ in tokens]

    assert TextReader(Plain()).assign_stand_ins([3, 4], "x y", [(0, 1), (2, 3)]) == ([3, 4], {})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The doctor doesn't see l’homme.", "the doctor does not see l' homme . </s>"),
        ("Un été d'amis", "un <new1> d' amis </s>"),
        ("n'aime", "n' aime </s>"),
    ],
)
def test_the_translators_words(text: str, words: str) -> None:
    tokenizer = checkpoints.phrase_tokenizer(48)
    assert tokenizer.convert_ids_to_tokens(tokenizer(text).input_ids) == words.split()
