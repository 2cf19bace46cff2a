"""What kind of head is each: real heads that are known, random heads that must stay nameless, an outside detector."""

from __future__ import annotations

import copy
from itertools import product

import numpy as np
import pandas as pd
import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import (
    AutoTokenizer,
    BertConfig,
    BertModel,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MBartConfig,
    MBartForConditionalGeneration,
    PreTrainedTokenizerFast,
)

import attn_core as ac
from attn_core.heads import cells, rules
from attn_core.heads.kinds import classify_heads, passes
from attn_core.heads.samples import LENGTH, SEEDS, ordinary_words, repeated_random_tokens
from attn_core.models.sources import bundled_folder
from attn_core.prediction import translation


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(bundled_folder())


SMALL = {"vocab_size": 30522, "pad_token_id": 0, "bos_token_id": 101, "eos_token_id": 102}
HUGGING = {"hidden_size": 64, "num_hidden_layers": 4, "num_attention_heads": 8, "intermediate_size": 96}


def bert(std: float):
    return BertModel(BertConfig(**SMALL, **HUGGING, initializer_range=std))


def gpt2(std: float):
    return GPT2LMHeadModel(GPT2Config(**SMALL, n_embd=64, n_layer=4, n_head=8, initializer_range=std))


def llama(std: float):
    return LlamaForCausalLM(LlamaConfig(**SMALL, **HUGGING, num_key_value_heads=4, initializer_range=std))


EACH = list(product([bert, gpt2, llama], [0.02, 0.3, 1.0]))
IN_EVERY_RUN = [(bert, 0.02), (gpt2, 0.3), (llama, 1.0)]


@pytest.mark.parametrize(
    ("family", "std"),
    [pytest.param(*each, marks=[] if each in IN_EVERY_RUN else pytest.mark.full) for each in EACH],
)
def test_at_most_one_head_in_twenty_with_random_weights_gets_a_label(family, std, tokenizer):
    kinds: list[str] = []
    for seed in range(3):
        torch.manual_seed(seed)
        model = ac.wrap(family(std).eval(), tokenizer)
        kinds += classify_heads(model).kind.tolist()
    named = [kind for kind in kinds if kind != rules.NO_PATTERN]
    assert len(named) <= 0.05 * len(kinds), named


def test_heads_of_the_bundled_model_that_are_known(minilm):
    table = classify_heads(minilm).set_index(["layer", "head"])
    assert len(table) == 72
    assert table.kind[0, 2] == "previous" and table.previous[0, 2] > 0.99
    assert table.kind[1, 8] == "next"
    assert table.kind[2, 9] == "duplicate"
    assert (table.kind == rules.NO_PATTERN).sum() > 36, "most heads follow no simple rule, and are not given a name"
    assert not table.kind.str.contains("sink").any()


@pytest.fixture(scope="module")
def minilm(tokenizer):
    from transformers import AutoModel

    return ac.wrap(AutoModel.from_pretrained(bundled_folder()), tokenizer, name="minilm")


def test_every_number_of_a_row_by_another_road(minilm):
    """One sentence, one seed: the columns from their definitions, with loops and nothing of ours but the patterns."""
    text = "Stop, look; then go: now."
    table = classify_heads(minilm, texts=[text], seeds=[5]).set_index(["layer", "head"])
    trace = ac.trace(minilm, text)
    n, layer, head = len(trace.tokens), 1, 9
    pattern = trace.pattern(layer, head)
    inner = range(1, n - 1)
    rows = [[pattern[q, k] / sum(pattern[q, j] for j in inner) for k in inner] for q in inner]
    row = table.loc[layer, head]
    assert row.sink == pytest.approx(np.mean([pattern[q, 0] + pattern[q, n - 1] for q in inner]), rel=1e-4)
    assert row.separator == pytest.approx(np.mean([pattern[q, n - 1] for q in inner]), rel=1e-4)
    assert row.entropy == pytest.approx(np.mean([-sum(p * np.log2(p) for p in r) for r in rows]), rel=1e-4)
    distances = [sum(p * abs(k - q) for k, p in enumerate(r)) for q, r in enumerate(rows)]
    assert row.distance == pytest.approx(np.mean(distances), rel=1e-4)
    free = sum(pattern[q, k] for q in inner if q > 1 for k in inner)
    assert row.previous == pytest.approx(sum(pattern[q, q - 1] for q in inner if q > 1) / free, rel=1e-4)
    marks = [i for i in inner if trace.tokens.labels[i] in ",;:."]
    assert len(marks) == 4
    every = sum(pattern[q, k] for q in inner for k in inner)
    assert row.punctuation == pytest.approx(sum(pattern[q, k] for q in inner for k in marks) / every, rel=1e-4)
    assert row["punctuation chance"] == pytest.approx(4 / (n - 2))
    assert row["punctuation lift"] == pytest.approx((row.punctuation - 4 / (n - 2)) / (1 - 4 / (n - 2)), rel=1e-3)

    tokens = repeated_random_tokens(ordinary_words(minilm.tokenizer), seed=5)
    ids = [101, *tokens, 102]
    pattern, m = ac.trace(minilm, ids).pattern(2, 9), len(ids)
    row = table.loc[2, 9]
    inner = range(1, m - 1)
    twins = sum(pattern[q, k] for q in inner for k in inner if k != q and ids[k] == ids[q])
    assert row.duplicate == pytest.approx(twins / sum(pattern[q, k] for q in inner for k in inner), rel=1e-4)
    third = range(m - 1 - LENGTH, m - 1)
    first = sum(pattern[q, q - 2 * LENGTH] for q in third) / sum(pattern[q, k] for q in third for k in inner)
    assert row.first_mention == pytest.approx(first, rel=1e-4)


def test_the_table_says_what_it_was_counted_on(minilm):
    heard: list[float] = []
    table = classify_heads(minilm, seeds=[1, 2], texts=["one, two.", "three: four!"], progress=heard.append)
    assert table.attrs == {"seeds": [1, 2], "samples": 2, "sentences": 2, "length": LENGTH}
    assert heard == [0.25, 0.5, 0.75, 1.0]
    assert passes(minilm) == 6 + len(SEEDS)
    same = classify_heads(minilm, seeds=[1, 2], texts=["one, two.", "three: four!"])
    pd.testing.assert_frame_equal(table, same)


def test_punctuation_is_not_judged_on_fewer_than_three_marks(minilm):
    table = classify_heads(minilm, seeds=[1], texts=["the keys are on the table. the dog is not."])
    assert table["punctuation lift"].isna().all() and (table.kind != "punctuation").all()


def test_a_decoder_is_never_said_to_look_ahead(tokenizer):
    torch.manual_seed(0)
    model = ac.wrap(gpt2(0.3).eval(), tokenizer)
    table = classify_heads(model)
    assert table.next.isna().all() and table.previous.notna().all()
    assert (table.sink > 0).all(), "[CLS] is the first token here"


def test_each_stream_of_an_encoder_decoder_is_classified(tokenizer):
    torch.manual_seed(0)
    shape = {"encoder_attention_heads": 4, "decoder_attention_heads": 4, "encoder_ffn_dim": 48, "decoder_ffn_dim": 48}
    config = MBartConfig(
        **SMALL,
        **shape,
        d_model=32,
        encoder_layers=1,
        decoder_layers=2,
        max_position_embeddings=64,
        decoder_start_token_id=102,
    )
    original = MBartForConditionalGeneration(config).eval()
    model = ac.wrap(original, tokenizer)
    pairs = [("stop, look; go: now.", "halte, regarde; va: maintenant.")]
    tables = {
        stream: classify_heads(model, stream=stream, texts=pairs, seeds=[0])
        for stream in ("encoder", "decoder", "cross")
    }
    assert [len(t) for t in tables.values()] == [4, 8, 8]
    assert tables["encoder"].next.notna().all() and tables["decoder"].next.isna().all()
    followed = [name for name, kind in rules.KINDS.items() if kind.judged_on == "repeats"]
    for rule in (*followed, "previous", "next", "same", "local"):
        assert tables["cross"][rule].isna().all(), "between two sentences there is no token before"
    assert tables["cross"].distance.isna().all() and tables["cross"].punctuation.notna().all()
    with pytest.raises(ValueError, match="stream"):
        classify_heads(model, texts=pairs, seeds=[0])

    alone = classify_heads(model, stream="cross", texts=["stop, look; go: now."], seeds=[0])
    own = translation.greedy(model, model.read("stop, look; go: now."), at_most=64)
    trace = ac.trace(model, "stop, look; go: now.", target=own.ids)
    asks = ~np.array(trace.tokens_of("cross")[0].special)
    judged = np.stack([trace.patterns(i, stream="cross") for i in range(2)])[:, :, asks][..., [0, -1]].sum(axis=-1)
    np.testing.assert_allclose(alone.sink, judged.mean(axis=-1).ravel(), rtol=1e-5, err_msg="its own translation")


def test_random_tokens_are_words_and_a_seed_is_a_seed(tokenizer):
    words = ordinary_words(tokenizer)
    labels = tokenizer.convert_ids_to_tokens(words)
    assert all(label.isalpha() and len(label) > 2 for label in labels) and len(words) > 10_000
    tokens = repeated_random_tokens(words, seed=3)
    assert tokens[:LENGTH] * 3 == tokens and len(set(tokens)) == LENGTH
    assert tokens == repeated_random_tokens(words, seed=3) != repeated_random_tokens(words, seed=4)


def test_a_vocabulary_without_words_gives_the_tokens_that_it_has():
    letters = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(WordLevel({letter: i for i, letter in enumerate("?abcdefghijklmnopqrst")})),
        unk_token="?",
    )
    assert ordinary_words(letters) == list(range(1, 21))


@pytest.mark.judge
def test_scores_are_those_of_another_librarys_head_detector(tokenizer, tmp_path):
    """Its scores count every row and drop the first key; so do ours, summed the same way."""
    pytest.importorskip("transformer_lens", reason="TransformerLens is an optional judge: make test-judges")
    from transformer_lens.head_detector import detect_head
    from transformer_lens.model_bridge import TransformerBridge

    torch.manual_seed(0)
    original = gpt2(0.3).eval()
    original.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    ours = ac.wrap(copy.deepcopy(original), tokenizer)  # the bridge takes the model for itself
    bridge = TransformerBridge.boot_transformers(str(tmp_path), hf_model=original, tokenizer=tokenizer)
    ids = [101, *repeated_random_tokens(ordinary_words(tokenizer), seed=0)]
    _, cache = bridge.run_with_cache(torch.tensor([ids]), remove_batch_dim=True)
    trace = ac.trace(ours, ids)
    judged_rules = {
        "previous_token_head": cells.offset_cells(len(ids), len(ids), -1),
        "duplicate_token_head": cells.duplicate_cells(ids),
        "induction_head": cells.induction_cells(ids),
    }
    sink, text = np.arange(len(ids)) == 0, tokenizer.decode(ids[1:])
    bridge.to_tokens = lambda *_: torch.tensor([ids])
    for name, rule in judged_rules.items():
        judged = detect_head(bridge, text, name, cache=cache, exclude_bos=True, error_measure="mul").numpy()
        for layer in range(trace.n_layers):
            pattern = trace.patterns(layer)
            score = rules.score_rule(pattern, rule, trace.may_look(layer), sink)
            np.testing.assert_allclose(score.on / pattern[..., 1:].sum(axis=(1, 2)), judged[layer], atol=1e-5)
