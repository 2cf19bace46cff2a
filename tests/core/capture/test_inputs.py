"""E taken apart, for every way that families have of making it; the library's own first hidden state is the judge."""

import pytest
import torch
import transformers as tf
from families import SEQ2SEQ

from attn_core.residual.input_parts import input_parts

IDS = [5, 9, 2, 30, 31, 7, 5]
SMALL = {"vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
GPT2 = {"vocab_size": 40, "n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 32}
OPT = SMALL | {"ffn_dim": 16, "word_embed_proj_dim": 16, "max_position_embeddings": 32}
DISTILBERT = {"vocab_size": 40, "dim": 16, "n_layers": 1, "n_heads": 2, "hidden_dim": 16}
LLAMA = SMALL | {"num_key_value_heads": 1}
# (configuration, what is added or done: p position, s segment, f factor, then the steps)
FAMILIES = {
    "bert": (lambda: tf.BertConfig(**SMALL, max_position_embeddings=32), "ps", ["LayerNorm"]),
    "roberta": (lambda: tf.RobertaConfig(**SMALL, max_position_embeddings=32, pad_token_id=1), "ps", ["LayerNorm"]),
    "distilbert": (
        lambda: tf.DistilBertConfig(**DISTILBERT),
        "p",
        ["LayerNorm"],
    ),
    "electra": (lambda: tf.ElectraConfig(**SMALL, embedding_size=8), "ps", ["LayerNorm", "projection"]),
    "albert": (lambda: tf.AlbertConfig(**SMALL, embedding_size=8), "ps", ["LayerNorm", "projection"]),
    "gpt2": (lambda: tf.GPT2Config(**GPT2), "p", []),
    "opt": (
        lambda: tf.OPTConfig(**OPT),
        "p",
        [],
    ),
    "gpt-neox": (lambda: tf.GPTNeoXConfig(**SMALL), "", []),
    "llama": (lambda: tf.LlamaConfig(**LLAMA), "", []),
    "gemma2": (lambda: tf.Gemma2Config(**LLAMA, head_dim=8), "f", []),
    "modernbert": (lambda: tf.ModernBertConfig(**SMALL, pad_token_id=0), "", ["LayerNorm"]),
    "t5": (lambda: tf.T5Config(vocab_size=40, d_model=16, d_kv=8, num_heads=2, num_layers=1, d_ff=16), "", []),
    "bart": (lambda: tf.BartConfig(**SEQ2SEQ), "p", ["LayerNorm"]),
    "marian": (lambda: tf.MarianConfig(**SEQ2SEQ, scale_embedding=True, pad_token_id=0), "pf", []),
    "mbart": (lambda: tf.MBartConfig(**SEQ2SEQ, scale_embedding=True), "pf", ["LayerNorm"]),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_the_parts_of_e_give_the_models_own_e(family):
    make, added, steps = FAMILIES[family]
    torch.manual_seed(0)
    model = tf.AutoModel.from_config(make()).eval()
    for table in (m.weight for m in model.modules() if isinstance(m, torch.nn.Embedding)):
        torch.nn.init.normal_(table.data) if table.requires_grad else None  # no padding row of zeros
    stack = model.get_encoder() if model.config.is_encoder_decoder else model
    with torch.inference_mode():
        e = stack(torch.tensor([IDS]), output_hidden_states=True).hidden_states[0][0]
    parts = input_parts(model, IDS, e)
    assert parts is not None
    torch.testing.assert_close(parts.embedding, e, atol=1e-5, rtol=1e-5)
    assert (parts.position is not None, parts.segment is not None, parts.factor != 1) == tuple(
        c in added for c in "psf"
    )
    assert [name for name, _ in parts.steps] == steps
    table = model.get_input_embeddings().weight
    assert torch.equal(parts.token[3], table[30]) and torch.equal(parts.token[0], parts.token[6])


def test_what_does_not_come_from_the_tables_is_not_explained_away():
    model = tf.AutoModel.from_config(tf.GPT2Config(**GPT2)).eval()
    assert input_parts(model, IDS, torch.randn(len(IDS), 16)) is None


def never(*_):
    yield pytest.fail("searched again")


def test_a_model_that_was_read_once_is_not_searched_again(monkeypatch):
    model = tf.AutoModel.from_config(tf.BertConfig(**SMALL, max_position_embeddings=32)).eval()
    with torch.inference_mode():
        e = model(torch.tensor([IDS]), output_hidden_states=True).hidden_states[0][0]
    first = input_parts(model, IDS, e)
    monkeypatch.setattr("attn_core.residual.input_parts._readings", never)
    again, short = input_parts(model, IDS, e), input_parts(model, IDS[:2], e[:2])
    assert first is not None and again is not None and short is not None
    assert torch.equal(first.embedding, again.embedding) and torch.equal(again.position, first.position)


def test_an_encoder_and_a_decoder_that_are_read_in_turn_are_searched_once_each(monkeypatch):
    model = tf.AutoModel.from_config(tf.BartConfig(**SEQ2SEQ)).eval()
    ids = torch.tensor([IDS])
    with torch.inference_mode():
        out = model(ids, decoder_input_ids=ids, output_hidden_states=True)
    both = [states[0][0] for states in (out.encoder_hidden_states, out.decoder_hidden_states)]
    first = [input_parts(model, IDS, e) for e in both]
    monkeypatch.setattr("attn_core.residual.input_parts._readings", never)
    for e, parts in zip(both * 2, first * 2, strict=True):
        again = input_parts(model, IDS, e)
        assert parts is not None and again is not None and torch.equal(again.position, parts.position)
    assert not torch.equal(first[0].position, first[1].position)
