"""Translations, rows and alignments, judged by the library's generation and by sentences aligned by hand."""

from __future__ import annotations

import families
import numpy as np
import pytest
import torch
import transformers as tf

import attn_core as ac
from attn_core.heads.salience import most_salient_query
from attn_core.prediction import next_token, translation
from attn_core.prediction.translation import Aligned

ENGLISH = "the small blue car sees a white horse"
FRENCH = "la petite voiture bleue voit un cheval blanc"


@pytest.fixture(scope="module")
def model() -> ac.Model:
    return ac.load("tiny-translator")


@pytest.fixture(scope="module")
def trace(model: ac.Model) -> ac.Trace:
    return ac.trace(model, ENGLISH, target=translation.greedy(model, model.read(ENGLISH)).ids)


def test_its_own_translation(model: ac.Model, trace: ac.Trace) -> None:
    written = translation.greedy(model, model.read(ENGLISH))
    assert written.ended and trace.tokens_of("decoder")[0].ids == written.ids
    labels = trace.tokens_of("decoder")[0].labels
    assert translation.produced(labels, "</s>") == [*FRENCH.split(), "</s>"]
    assert ac.trace(model, ENGLISH, target=FRENCH).tokens_of("decoder")[0].ids == written.ids


def test_a_model_without_a_head_for_words_translates_nothing_by_itself() -> None:
    body = ac.wrap(families.FAMILIES["bart"].build().base_model, families.word_tokenizer())
    with pytest.raises(ac.HeadlightError, match="writes no words of its own: type the second sentence, too"):
        translation.greedy(body, body.read(families.TEXT))
    assert ac.trace(body, families.TEXT, target=families.TARGET).check().ok


@pytest.mark.parametrize("family", ["bart", "marian"])
def test_a_bias_of_the_vocabulary_counts_in_logits(family: str) -> None:
    hf_model = families.FAMILIES[family].build()
    hf_model.final_logits_bias.copy_(torch.randn(hf_model.final_logits_bias.shape))
    trace = ac.trace(ac.wrap(hf_model, families.word_tokenizer()), "the old fox", target="the grey fox")
    source, written = (torch.tensor([trace.tokens_of(name)[0].ids]) for name in ("encoder", "decoder"))
    with torch.inference_mode():
        theirs = hf_model(input_ids=source, decoder_input_ids=written, use_cache=False).logits[0, -1]
    np.testing.assert_allclose(trace.logits(), theirs.numpy(), atol=1e-4)


@pytest.mark.parametrize("family", ["t5", "bart", "mbart", "marian"])
def test_greedy_is_the_librarys(family: str, tmp_path: object) -> None:
    families.save(family, tmp_path)  # type: ignore[arg-type]
    theirs = tf.AutoModelForSeq2SeqLM.from_pretrained(tmp_path, attn_implementation="eager").eval()
    model = ac.load(str(tmp_path))
    source = model.read(families.TEXT)
    written = translation.greedy(model, source, at_most=9)
    made = theirs.generate(
        torch.tensor([source.ids]), max_new_tokens=8, num_beams=1, use_cache=False,
        output_attentions=True, return_dict_in_generate=True,
    )  # fmt: skip
    judge = made.sequences[0].tolist()
    assert [*written.ids, *([theirs.config.eos_token_id] if written.ended else [])] == judge
    trace = ac.trace(model, families.TEXT, target=written.ids)
    assert trace.streams == ("encoder", "decoder", "cross") and max(trace.check()) < 1e-5
    for name, steps in (("decoder", made.decoder_attentions), ("cross", made.cross_attentions)):
        assert len(steps) == len(judge) - 1  # every word but the first, which is given, has a step of its own
        for row, layers in enumerate(steps):
            for layer, step in enumerate(layers):  # [1, head, query, key]; the last query writes
                looked = step[0, :, -1].numpy()
                ours = trace.patterns(layer, stream=name)[:, row]
                assert np.abs(ours[:, : looked.shape[-1]] - looked).max() < 2e-6, (name, layer, row)
                assert not ours[:, looked.shape[-1] :].any()
    rows = translation.produced(trace.tokens_of("cross")[0].labels, None)
    assert len(rows) == len(trace.pattern(0, 0, stream="cross")) and rows[-1] == translation.UNFINISHED
    found = translation.align(translation.mean_pattern(trace.stream("cross"), [(0, 0), (1, 3)]))
    judged = (trace.pattern(0, 0, stream="cross") + trace.pattern(1, 3, stream="cross")) / 2
    assert [entry.key for entry in found] == judged.argmax(axis=1).tolist()
    assert np.allclose([entry.weight for entry in found], judged.max(axis=1))


def test_t5_is_told_its_task(tmp_path: object) -> None:
    theirs = families.FAMILIES["t5"].build()
    theirs.config.task_specific_params = {"translation_en_to_fr": {"prefix": "translate English to French: "}}
    model = ac.wrap(theirs, families.word_tokenizer())
    assert translation.as_read(model, "a fox") == "translate English to French: a fox"
    assert translation.as_read(model, "translate English to French: a fox") == "translate English to French: a fox"


def test_nothing_is_added_for_others(model: ac.Model) -> None:
    assert translation.as_read(model, ENGLISH) == ENGLISH


def test_new_words_are_carried_over_by_name(model: ac.Model) -> None:
    source = model.read("my small Zorple does not see the old blick")
    written = translation.greedy(model, source)
    trace = ac.trace(model, source.text, target=written.ids)
    labels = trace.tokens_of("decoder")[0].labels
    assert translation.sentence(labels[1:]) == "mon petit Zorple° ne voit pas le vieux blick°"


def test_a_new_word_is_the_same_word_in_both_sentences(model: ac.Model) -> None:
    """Typed in another order, or met in the target alone: each keeps its own name, and the source's stand-in."""
    trace = ac.trace(model, "a blick Zorple eats a wug", target="un zorple Blick mange la tove")
    source, target = trace.tokens_of("cross")[1], trace.tokens_of("cross")[0]
    slots = [model.tokenizer.convert_tokens_to_ids(f"<new{n}>") for n in (1, 2, 3, 4)]
    assert [source.ids[i] for i in (1, 2, 5)] == slots[:3]
    assert target.labels == ["<s>", "un", "zorple°", "Blick°", "mange", "la", "tove°"]
    assert target.word_labels == target.labels and [target.ids[i] for i in (2, 3, 6)] == [slots[1], slots[0], slots[3]]


def test_what_comes_next_is_named_as_the_source_has_it(model: ac.Model) -> None:
    trace = ac.trace(model, "a small Zorple eats an apple", target="un petit")
    prediction = next_token.next_words(trace.stream("decoder"), 1)[0]
    assert (prediction.word, prediction.id) == ("Zorple°", trace.tokens_of("encoder")[0].ids[2])


def test_an_alignment_is_the_largest_weight(trace: ac.Trace) -> None:
    layer, head = translation.best_alignment_head(trace.stream("cross"))
    found = translation.align(trace.pattern(layer, head, stream="cross"))
    keys = trace.tokens_of("cross")[1].labels
    by_hand = ["the", "small", "car", "blue", "sees", "a", "horse", "white"]
    assert [keys[entry.key] for entry in found[:-1]] == by_hand
    assert [(one.query, other.query) for one, other in translation.crossings(found[:-1])] == [(2, 3), (6, 7)]
    pattern = trace.pattern(layer, head, stream="cross")
    kept = translation.weights_at_first_crossing(pattern)
    assert most_salient_query(kept, [False] * 9, [False] * 8 + [True]) == 2
    np.testing.assert_array_equal(kept[2], pattern[2])
    straight = np.array([[0.9, 0.1, 0.0], [0.2, 0.7, 0.1], [0.8, 0.1, 0.1]])  # the end sign's may go back
    np.testing.assert_array_equal(translation.weights_at_first_crossing(straight), straight)


def test_clearness_wants_every_source_word_found() -> None:
    special, end = [False, False, True], [[0.0, 0, 1]]
    assert translation.alignment_score(np.array([[1.0, 0, 0], [0, 1, 0], *end]), special) == 1
    one_word_only = np.array([[1.0, 0, 0], [1, 0, 0], *end])
    assert translation.alignment_score(one_word_only, special) == 0.5
    assert translation.alignment_score(np.array([[1 / 3] * 3, [1 / 3] * 3, *end]), special) == pytest.approx(1 / 6)
    assert translation.alignment_score(np.array([*end, *end, *end]), special) == 0  # rests on the end sign


def test_the_mean_of_heads_needs_heads(trace: ac.Trace) -> None:
    with pytest.raises(ValueError, match="at least one head"):
        translation.mean_pattern(trace.stream("cross"), [])


def test_the_headline() -> None:
    aligned = [Aligned(0, 1, 0.9), Aligned(1, 0, 0.8), Aligned(2, 2, 1.0)]
    said = translation.lead(aligned, 0, ["voiture", "bleue", "</s>"], ["blue", "car", "</s>"], "head 1.2")
    assert "".join(text for text, _ in said).replace("\xa0", " ") == (
        "To write voiture, head 1.2 looks at car (90 %), then back at blue for bleue (80 %)."
    )
    assert [text for text, role in said if role == "query"] == ["voiture", "bleue"]
    straight = translation.lead(aligned, 1, ["voiture", "bleue", "</s>"], ["blue", "car", "</s>"], "head 1.2")
    assert "back" not in "".join(text for text, _ in straight)


def test_sentences_are_written_as_people_write() -> None:
    assert translation.sentence(["l'", "homme", "n'", "aime", "pas", "."]) == "l'homme n'aime pas."


def test_sound_and_its_transcript() -> None:
    """The two sequences may be of different kinds: queries are words, keys are moments of a recording."""
    theirs = families.whisper(50)
    sound = torch.randn(8, 100)
    written = [1, 5, 6, 7]
    with torch.no_grad():
        judge = theirs(
            input_features=sound[None], decoder_input_ids=torch.tensor([written]), output_attentions=True
        ).cross_attentions
    trace = ac.trace(ac.wrap(theirs, families.word_tokenizer()), audio=sound.numpy(), target=written)
    words, times = trace.tokens_of("cross")
    assert times.labels[:3] == ["0.00 s", "0.02 s", "0.04 s"] and times.labels[-1] == "0.98 s"
    assert len(words) == 4 and len(times) == 50
    for layer in range(2):
        assert np.abs(trace.patterns(layer, stream="cross") - judge[layer][0].numpy()).max() < 1e-5
    assert len(translation.align(trace.pattern(1, 0, stream="cross"))) == 4
