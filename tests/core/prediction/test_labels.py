"""Models with a head of their own, opened from a folder, beside the library's own classes on the same weights."""

from __future__ import annotations

import json

import families
import numpy as np
import own_heads
import pytest
import torch
import transformers as tf
from scipy.special import expit, softmax

import attn_core as ac
from attn_core.prediction.labels import best_span
from attn_core.prediction.next_token import filled_words
from attn_core.traces.source import LabelProbabilities

TEXT = families.TEXT
HIDDEN = "one grey [MASK] ran far over the hill"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory):
    """(the library's model, the folder) of a name, saved once."""
    made: dict[str, tuple] = {}

    def of(name: str) -> tuple:
        if name not in made:
            folder = tmp_path_factory.mktemp("head")
            made[name] = own_heads.save(name, folder), folder
        return made[name]

    return of


@pytest.mark.parametrize("name", [name for name in own_heads.MODELS if not name.startswith("masked")])
def test_labels_are_those_of_the_librarys_own_class(folders, name):
    theirs, folder = folders(name)
    trace = ac.trace(ac.load(folder), TEXT)
    found, judge = trace.label_probabilities(), own_heads.logits(theirs, trace.tokens.ids)
    assert type(trace.stream().module()) is type(theirs)
    assert found.logits.shape == judge.shape and np.abs(found.logits - judge).max() <= 1e-5
    read = {"number": lambda x: x, "sigmoid": expit}.get(found.law, lambda x: softmax(x, axis=-1))
    if found.task == "span":
        assert found.labels == ("start", "end")
        assert np.abs(found.probabilities - softmax(judge, axis=0)).max() <= 1e-5
    else:
        assert found.labels == (("LABEL_0",) if name == "a number" else ("dull", "fair", "fine"))
        assert np.abs(found.probabilities - read(judge)).max() <= 1e-5
    assert found.law == {"several labels": "sigmoid", "a number": "number"}.get(name, "softmax")


@pytest.mark.parametrize("name", [name for name in own_heads.MODELS if name.startswith("masked")])
def test_a_mask_gives_the_librarys_words(folders, name):
    theirs, folder = folders(name)
    model = ac.load(folder)
    trace = ac.trace(model, HIDDEN)
    at = trace.tokens.ids.index(model.tokenizer.mask_token_id)
    judge = softmax(own_heads.logits(theirs, trace.tokens.ids)[at].astype(float))
    best = filled_words(trace.stream(), at, 5)
    assert [word.id for word in best] == np.argsort(-judge)[:5].tolist()
    assert np.abs([word.probability - judge[word.id] for word in best]).max() <= 1e-5
    with pytest.raises(ac.HeadlightError, match="fills words in; it names no labels"):
        trace.label_probabilities()


def test_the_best_labels_are_named(folders):
    model = ac.load(folders("bert")[1])
    found = ac.trace(model, TEXT).label_probabilities()
    assert [name for name, _ in found.best()] == [found.labels[i] for i in np.argsort(-found.probabilities)]
    assert sum(chance for _, chance in found.best()) == pytest.approx(1)
    with pytest.raises(ValueError, match="position"):
        found.best(2)


def test_an_answer_ends_where_it_starts_or_later_and_is_short_and_where_it_may_lie():
    chances = np.array([[0.1, 0.6], [0.5, 0.1], [0.3, 0.1], [0.1, 0.2]])
    found = LabelProbabilities("span", ("start", "end"), "softmax", chances, np.log(chances))
    anywhere = np.ones(4, bool)
    assert best_span(found, anywhere)[:2] == (1, 3)  # not back to 0, though an end is likeliest there
    assert best_span(found, anywhere, longest=2)[:2] == (0, 0) and best_span(found, anywhere, longest=1)[0] == 0
    assert best_span(found, np.array([False, True, True, False]))[:2] == (1, 1)
    with pytest.raises(ac.HeadlightError, match="no word"):
        best_span(found, ~anywhere)


def test_a_decoder_reads_the_last_token_that_is_no_filler(folders):
    theirs, folder = folders("gpt2")
    model = ac.load(folder)
    ids = [5, 6, 7, 0, 0]
    with pytest.warns(UserWarning, match="Padding"):
        trace = ac.trace(model, ids)
    found = trace.label_probabilities()
    assert np.abs(found.logits - own_heads.logits(theirs, ids)).max() <= 1e-5
    assert np.flatnonzero(np.abs(trace.stream().label_reading(1).rows).sum(axis=1)).tolist() == [2]


def test_filler_that_a_mask_names_is_left_out(folders):
    theirs, folder = folders("modernbert")  # the mean over all words
    inputs = {"input_ids": torch.tensor([[0, 0, 5, 6, 7]]), "attention_mask": torch.tensor([[0, 0, 1, 1, 1]])}
    with torch.inference_mode():
        judge = theirs(**inputs).logits[0].numpy()
    found = ac.trace(ac.load(folder), inputs=inputs).label_probabilities()
    assert np.abs(found.logits - judge).max() <= 1e-5


def test_a_model_of_ones_own_in_training_is_read_without_dropout_and_not_touched(folders):
    theirs = own_heads.build("distilbert")
    trace = ac.trace(ac.wrap(theirs.train(), families.word_tokenizer()), TEXT)
    found = trace.label_probabilities().logits
    assert theirs.training and theirs.dropout.training
    assert np.abs(found - own_heads.logits(theirs.eval(), trace.tokens.ids)).max() <= 1e-5
    with torch.no_grad():
        theirs.classifier.bias += 1
    with pytest.raises(ac.HeadlightError, match="no longer those of this trace"):
        trace.label_probabilities()


def test_a_head_that_cannot_be_read_is_named_and_left_aside(tmp_path):
    tf.BertForMultipleChoice(tf.BertConfig(**families._BERT)).save_pretrained(tmp_path)
    families.word_tokenizer().save_pretrained(tmp_path)
    model = ac.load(tmp_path)
    assert model.head_left_aside == "BertForMultipleChoice"
    with pytest.raises(ac.HeadlightError, match="its head, BertForMultipleChoice, was left aside"):
        ac.trace(model, TEXT).label_probabilities()


def test_a_head_whose_weights_are_missing_is_left_aside_and_never_noise(tmp_path):
    tf.BertModel(tf.BertConfig(**families._BERT)).save_pretrained(tmp_path)
    families.word_tokenizer().save_pretrained(tmp_path)
    config = tmp_path / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"architectures": ["BertForMaskedLM"]}))
    model = ac.load(tmp_path)
    assert (type(model.hf).__name__, model.head_left_aside) == ("BertModel", "BertForMaskedLM")
    assert ac.trace(model, TEXT).check().ok


def test_a_model_without_a_head_says_so():
    model = ac.load("tiny-decoder")
    assert model.head_left_aside == ""
    with pytest.raises(ac.HeadlightError, match="names no labels"):
        ac.trace(model, "a hungry creature").label_probabilities()


def test_a_saved_trace_names_labels_with_its_model(folders, tmp_path):
    model = ac.load(folders("bert")[1])
    trace = ac.trace(model, TEXT)
    trace.save(tmp_path / "t.trace")
    again = ac.open_trace(tmp_path / "t.trace", model).label_probabilities()
    assert np.array_equal(again.logits, trace.label_probabilities().logits)
    with pytest.raises(ac.HeadlightError, match="needs the weights"):
        ac.open_trace(tmp_path / "t.trace").label_probabilities()


def test_an_image_has_labels_too():
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    theirs = tf.ViTForImageClassification(tf.ViTConfig(**sizes, image_size=8, patch_size=4)).eval()
    pixels = torch.randn(1, 3, 8, 8)
    found = ac.trace(ac.wrap(theirs), inputs={"pixel_values": pixels}).label_probabilities()
    assert np.abs(found.logits - theirs(pixel_values=pixels).logits[0].detach().numpy()).max() <= 1e-5
