"""The shipped weights, measured by the library's eager models on sentences written here: what the cards promise."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import torch
import transformers as tf

import attn_core as ac
from attn_core.models.cards import card_of, shipped_folder
from attn_core.tiny import card as cards
from attn_core.tiny import grammar_phrases as phrases
from attn_core.tiny import grammar_stories as stories
from attn_core.tiny.train import SHIPPED

ASSETS = Path(__file__).parents[3] / "assets" / "models"
NAMES = ("tiny-decoder", "tiny-translator")
# The deciding adjective, its verb; then plain adjectives and nouns to build sentences of, all typed by hand.
VERBS = {"hungry": "ate", "shy": "hid", "angry": "growled", "thirsty": "drank", "tired": "slept", "scared": "fled"}
PLAIN = ("small", "blue", "old", "fluffy", "quiet", "golden", "strange", "tall")
WHO = ("creature", "fox", "queen", "robot", "sailor", "owl")
BEFORE = ("", "count : four five six .", "a sad tall king wept in the garden . the king was sad and tall .")


class Judge:
    """A shipped model as the library opens it: eager attention, nothing of ours in between."""

    def __init__(self, name: str, auto: Any) -> None:
        self.tokenizer = tf.AutoTokenizer.from_pretrained(ASSETS / name)
        self.model = auto.from_pretrained(ASSETS / name, attn_implementation="eager").eval()

    @torch.no_grad()
    def patterns(self, ids: list[int]) -> np.ndarray:
        """[layer, head, query, key]."""
        found = self.model(torch.tensor([ids]), output_attentions=True).attentions
        return torch.cat(found).numpy()

    @torch.no_grad()
    def logits(self, ids: list[int]) -> torch.Tensor:
        return self.model(torch.tensor([ids])).logits[0]

    def ids(self, text: str) -> list[int]:
        return self.tokenizer(text).input_ids


@pytest.fixture(scope="module")
def decoder() -> Judge:
    return Judge("tiny-decoder", tf.AutoModelForCausalLM)


@pytest.fixture(scope="module")
def translator() -> Judge:
    return Judge("tiny-translator", tf.AutoModelForSeq2SeqLM)


@pytest.fixture(scope="module")
def blank() -> Judge:
    """The decoder before it learnt anything: every score below must tell it from the shipped one."""
    judge = Judge("tiny-decoder", tf.AutoModelForCausalLM)
    torch.manual_seed(0)
    judge.model = tf.GPT2LMHeadModel._from_config(judge.model.config, attn_implementation="eager").eval()
    return judge


# --- Cards ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_the_card_is_of_these_weights(name: str) -> None:
    card = json.loads((ASSETS / name / "card.json").read_text())
    weights = ASSETS / name / "model.safetensors"
    assert card["sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()
    sizes = {file.name: file.stat().st_size for file in (ASSETS / name).iterdir()}
    training = sum(sizes.pop(file, 0) for file in ("training.safetensors", "training.json"))
    assert sum(sizes.values()) <= 2_000_000 and training <= 8_000_000
    assert (
        card["architecture"] and card["seed"] == SHIPPED[name.removeprefix("tiny-")] and card["recipe"]["steps"] > 1000
    )
    model = ac.load(name)
    assert model.n_parameters == card["parameters"]
    assert model.limit == card["architecture"]["context"]


@pytest.mark.parametrize("name", NAMES)
def test_it_opens_as_any_other_model_does(name: str) -> None:
    model = ac.load(name)
    target = {"target": "la petite voiture"} if model.kind == "encoder-decoder" else {}
    trace = ac.trace(model, card_of(name).examples[0], **target)
    assert max(trace.check()) < 1e-5
    assert not any(label.endswith("°") for stream in trace.streams for label in trace.tokens_of(stream)[1].labels)


# --- The decoder ------------------------------------------------------------------------------------------------------


def test_loss_is_near_the_floor(decoder: Judge) -> None:
    loss = floor = 0.0
    for n in range(80):
        words, information = stories.row(Random(f"judge {n}"), 64)
        ids = decoder.tokenizer.convert_tokens_to_ids(words)
        loss += torch.nn.functional.cross_entropy(decoder.logits(ids)[:-1], torch.tensor(ids[1:])).item() / 80
        floor += information / 63 / 80
    assert floor < loss + 0.02  # no model beats it, but for the luck of 80 rows
    assert loss < floor + 0.25


def lists(judge: Judge) -> tuple[np.ndarray, np.ndarray]:
    """(previous token, induction) [layer, head], on random words of the whole vocabulary said twice."""
    draw = np.random.default_rng(11)
    words = [i for i in range(9, len(judge.tokenizer)) if judge.tokenizer.convert_ids_to_tokens(i).isalpha()]
    previous, induction = [], []
    for _ in range(40):
        n = int(draw.integers(5, 16))
        own = draw.choice(words, n, replace=False).tolist()
        pattern = judge.patterns([0, *own, *own])
        previous += [pattern[:, :, q, q - 1] for q in range(2, n + 1)]
        induction += [pattern[:, :, q, q - n + 1] for q in range(n + 1, 2 * n + 1)]
    return np.mean(previous, axis=0), np.mean(induction, axis=0)


def test_previous_token_and_induction_heads(decoder: Judge, blank: Judge) -> None:
    previous, induction = lists(decoder)
    assert previous.max() >= 0.9
    assert induction.max() >= 0.85
    assert (
        np.unravel_index(previous.argmax(), previous.shape)[0]
        < np.unravel_index(induction.argmax(), induction.shape)[0]
    )
    assert max(scores.max() for scores in lists(blank)) < 0.5


def adjectives(judge: Judge, distance: int) -> tuple[np.ndarray, float]:
    """(weight of the noun on the deciding adjective [layer, head], share of right verbs) at a distance in words."""
    draw, scores, right = Random(distance), [], 0
    for n in range(60):
        deciding = draw.choice(list(VERBS))
        plain = draw.sample(PLAIN, 5)
        words = [*plain[: draw.randint(0, 5 - distance)], deciding, *plain[5 - distance + 1 :]]
        assert len(words) - words.index(deciding) == distance
        article = "an" if words[0][0] in "aeiou" else "a"
        ids = judge.ids(" ".join([BEFORE[n % 3], article, *words, draw.choice(WHO)]))
        scores.append(judge.patterns(ids)[:, :, -1, -1 - distance])
        right += judge.tokenizer.convert_ids_to_tokens(int(judge.logits(ids)[-1].argmax())) == VERBS[deciding]
    return np.mean(scores, axis=0), right / 60


def test_one_head_finds_the_deciding_adjective_at_any_distance(decoder: Judge, blank: Judge) -> None:
    found = [adjectives(decoder, distance) for distance in (1, 2, 3, 4, 5)]
    worst = np.min([scores for scores, _ in found], axis=0)
    assert worst.max() >= 0.9
    assert np.unravel_index(worst.argmax(), worst.shape) == card_of("tiny-decoder").best_head
    assert all(right >= 0.95 for _, right in found)
    assert adjectives(blank, 3)[0].max() < 0.5 and adjectives(blank, 3)[1] < 0.2


def test_new_words_do_not_disturb_that_head() -> None:
    model, (layer, head) = ac.load("tiny-decoder"), card_of("tiny-decoder").best_head
    trace = ac.trace(model, "a hungry zorple blick fox")
    assert trace.tokens.labels[3:5] == ["zorple°", "blick°"]
    assert trace.pattern(layer, head)[5, 2] >= 0.9
    assert trace.vocabulary.word(int(trace.logits().argmax())) == "ate"


def moles(judge: Judge) -> np.ndarray:
    """E of *mole* after the last layer, heard where the last block leaves it: [sense, telling, d_model]."""
    senses = (
        ("american shrew mole", "the gardener saw a mole"),
        ("one mole", "the chemist weighed one mole"),
        ("take a biopsy of the mole", "the doctor examined the mole"),
    )
    heard: list[torch.Tensor] = []
    handle = judge.model.transformer.h[-1].register_forward_hook(
        lambda module, given, out: heard.append((out[0] if isinstance(out, tuple) else out).reshape(-1, 128)[-1])
    )
    for sense in senses:
        for telling in sense:
            judge.logits(judge.ids(telling))
    handle.remove()
    return torch.stack(heard).reshape(3, 2, -1).numpy()


def test_mole_means_three_things(decoder: Judge) -> None:
    found = moles(decoder)
    found = found / np.linalg.norm(found, axis=-1, keepdims=True)
    between = [float(found[i, a] @ found[j, b]) for i in range(3) for j in range(i) for a in range(2) for b in range(2)]
    within = [float(found[i, 0] @ found[i, 1]) for i in range(3)]
    assert np.mean(between) <= 0.5 < np.mean(within)
    matrix = decoder.model.transformer.wte.weight
    assert decoder.tokenizer.convert_ids_to_tokens(decoder.ids("mole"))[1:] == ["mole"] and len(matrix) > 400


@pytest.mark.parametrize(
    ("text", "following"),
    [
        ("one mole of carbon dioxide . one mole of carbon dioxide weighs", "forty"),
        ("the miniature eiffel tower stood", "on"),
        ("the eiffel tower stood", "in"),
        ("count : nine seven five", "three"),
        ("apple river seven king apple river seven", "king"),
        ("anna and tom went to the market . tom gave a book to", "anna"),
        ("a fluffy blue creature roamed the verdant forest . the creature was fluffy and", "blue"),
    ],
)
def test_what_comes_next(decoder: Judge, text: str, following: str) -> None:
    likeliest = int(decoder.logits(decoder.ids(text))[-1].argmax())
    assert decoder.tokenizer.convert_ids_to_tokens(likeliest) == following


# --- The translator ---------------------------------------------------------------------------------------------------


@torch.no_grad()
def translations(judge: Judge, pairs: list[phrases.Pair]) -> float:
    exact = 0
    for pair in pairs:
        source = torch.tensor([judge.ids(" ".join(pair.english))])
        written = judge.model.generate(source, max_new_tokens=47, num_beams=1, do_sample=False)[0]
        exact += judge.tokenizer.convert_ids_to_tokens(written.tolist())[1:-1] == list(pair.french)
    return exact / len(pairs)


def test_translations_of_held_out_pairs_are_exact(translator: Judge) -> None:
    rng = Random("judge")
    assert translations(translator, [phrases.sentence(rng, test=True) for _ in range(100)]) >= 0.99


@torch.no_grad()
def cross_maps(judge: Judge, english: list[int], french: list[int]) -> np.ndarray:
    """[layer, head, query, key]; row q predicts French word q."""
    found = judge.model(
        input_ids=torch.tensor([english]),
        decoder_input_ids=torch.tensor([[judge.tokenizer.bos_token_id, *french]]),
        output_attentions=True,
    )
    return torch.cat(found.cross_attentions).numpy()


def test_a_cross_head_aligns_the_word_being_produced(translator: Judge) -> None:
    rng, hits, behind, total = Random("judge lines"), 0, 0, 0
    layer, head = card_of("tiny-translator").best_head
    for _ in range(150):
        pair = phrases.sentence(rng, test=True)
        french = translator.tokenizer.convert_tokens_to_ids(list(pair.french))
        most = cross_maps(translator, translator.ids(" ".join(pair.english)), french)[layer, head].argmax(axis=-1)
        for i, places in enumerate(pair.gold):
            if pair.french[i] != ".":
                hits += most[i] in places
                behind += most[i + 1] in places  # named by the word being read, a row says little
                total += 1
    assert hits / total >= 0.9
    assert behind / total < 0.4


def test_the_lines_of_one_sentence_by_hand(translator: Judge) -> None:
    """Adjectives behind the noun make the lines cross."""
    english, french = "the small blue car sees a white horse", "la petite voiture bleue voit un cheval blanc"
    layer, head = card_of("tiny-translator").best_head
    ids = translator.tokenizer.convert_tokens_to_ids(french.split())
    most = cross_maps(translator, translator.ids(english), ids)[layer, head].argmax(axis=-1)
    assert [english.split()[i] for i in most[:8]] == ["the", "small", "car", "blue", "sees", "a", "horse", "white"]


# --- What the app says about them -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_the_card_in_this_copy_is_the_one_that_its_writer_writes(name: str, tmp_path: Path) -> None:
    folder = shipped_folder(name)
    written = shutil.copytree(folder, tmp_path / name)
    cards.renew(written, name.removeprefix("tiny-"))
    assert (written / "card.json").read_text() == (folder / "card.json").read_text()


@pytest.mark.parametrize("name", NAMES)
def test_offered_words_are_known(name: str) -> None:
    vocabulary = ac.load(name).tokenizer.get_vocab()
    offered = {word for group in card_of(name).known_words.values() for text in group for word in text.split()}
    assert offered <= set(vocabulary) and len(offered) > 150


def test_nothing_is_claimed_about_other_models() -> None:
    assert card_of("gpt2").examples == () and card_of("gpt2").known_words == {} and card_of("gpt2").best_head == (0, 0)
