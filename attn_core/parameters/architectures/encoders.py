"""The tensors of models that read a text both ways: BERT and its relatives, DistilBERT, ALBERT, ModernBERT.

Each function takes a complete configuration and the head on top ("", "pooler" or "words"), and gives the layout.
"""

from __future__ import annotations

from attn_core.parameters.architectures.layout import POSITION, TOKEN, UNEMBEDDING, Config, TensorLayout, widths
from attn_core.parameters.tensors import Size, size


def bert(c: Config, top: str) -> TensorLayout:
    """BERT (Devlin et al. 2018), RoBERTa (Liu et al. 2019) and ELECTRA (Clark et al. 2020)."""
    style = c["model_type"]
    s = TensorLayout(f"{style}." if top == "words" else "")
    d = size(d_model=c["hidden_size"])
    e = size(d_embedding=c["embedding_size"]) if c.get("embedding_size", d.n) != d.n else d
    _bert_embeddings(s, c, e)
    if e is not d:
        s.linear("embeddings_project", e, d, "embedding", "from the embedding to d_model")
    width, _ = widths(c["hidden_size"], c["num_attention_heads"])
    names = {role: f"attention.self.{role}" for role in ("query", "key", "value")}
    with s.blocks("encoder.layer.{}.", c["num_hidden_layers"]):
        s.attention({**names, "output": "attention.output.dense"}, d, width, width)
        s.norm("attention.output.LayerNorm", d, "norm after attention")
        s.mlp({"up": "intermediate.dense", "down": "output.dense"}, d, size(d_ff=c["intermediate_size"]))
        s.norm("output.LayerNorm", d, "norm after the MLP")
    s.after_blocks()
    if top == "pooler":
        s.linear("pooler.dense", d, d, "other", "pooler")
    if top == "words":
        _masked_head(s, c, style, d, e)
    return s


def _bert_embeddings(s: TensorLayout, c: Config, e: Size) -> None:
    s.table("embeddings.word_embeddings.weight", size(vocabulary=c["vocab_size"]), e, "embedding", TOKEN)
    context = size(context=c["max_position_embeddings"])
    s.table("embeddings.position_embeddings.weight", context, e, "position", POSITION)
    s.table("embeddings.token_type_embeddings.weight", size(types=c["type_vocab_size"]), e, "other", "type embedding")
    s.norm("embeddings.LayerNorm", e, "norm of the embedding")


def _masked_head(s: TensorLayout, c: Config, style: str, d: Size, e: Size) -> None:
    """The head that guesses a masked word: a dense layer, a norm, and the embedding again, with a bias."""
    s.after_blocks("")
    words, tied = size(vocabulary=c["vocab_size"]), bool(c["tie_word_embeddings"])
    dense, norm, decoder, bias = {
        "roberta": ("lm_head.dense", "lm_head.layer_norm", "lm_head.decoder", "lm_head.bias"),
        "electra": ("generator_predictions.dense", "generator_predictions.LayerNorm", "generator_lm_head", ""),
        "albert": ("predictions.dense", "predictions.LayerNorm", "predictions.decoder", "predictions.bias"),
    }.get(
        style,
        (
            "cls.predictions.transform.dense",
            "cls.predictions.transform.LayerNorm",
            "cls.predictions.decoder",
            "cls.predictions.bias",
        ),
    )
    s.linear(dense, d, e, "other", "masked-word head")
    s.norm(norm, e, "norm of the masked-word head")
    table = f"{style}.embeddings.word_embeddings.weight" if tied else None
    s.table(f"{decoder}.weight", words, e, "unembedding", UNEMBEDDING, tied_to=table)
    if bias:
        s.add(bias, (words,), "unembedding", "unembedding, bias", kind="bias")
    shared = bias if tied and bias else None
    s.add(f"{decoder}.bias", (words,), "unembedding", "unembedding, bias", kind="bias", tied_to=shared)


def distilbert(c: Config, top: str) -> TensorLayout:
    """DistilBERT (Sanh et al. 2019): BERT with half the blocks and no types."""
    s = TensorLayout("distilbert." if top else "")
    d, words = size(d_model=c["dim"]), size(vocabulary=c["vocab_size"])
    width, _ = widths(c["dim"], c["n_heads"])
    s.table("embeddings.word_embeddings.weight", words, d, "embedding", TOKEN)
    context, kind = size(context=c["max_position_embeddings"]), "fixed" if c["sinusoidal_pos_embds"] else "matrix"
    s.add("embeddings.position_embeddings.weight", (context, d), "position", POSITION, kind=kind)
    s.norm("embeddings.LayerNorm", d, "norm of the embedding")
    names = {"query": "q_lin", "key": "k_lin", "value": "v_lin", "output": "out_lin"}
    with s.blocks("transformer.layer.{}.", c["n_layers"]):
        s.attention({role: f"attention.{name}" for role, name in names.items()}, d, width, width)
        s.norm("sa_layer_norm", d, "norm after attention")
        s.mlp({"up": "ffn.lin1", "down": "ffn.lin2"}, d, size(d_ff=c["hidden_dim"]))
        s.norm("output_layer_norm", d, "norm after the MLP")
    if top:
        s.after_blocks("")
        s.linear("vocab_transform", d, d, "other", "masked-word head")
        s.norm("vocab_layer_norm", d, "norm of the masked-word head")
        tied = "distilbert.embeddings.word_embeddings.weight" if c["tie_word_embeddings"] else None
        s.unembedding("vocab_projector", words, d, tied, bias=True)
    return s


def albert(c: Config, top: str) -> TensorLayout:
    """ALBERT (Lan et al. 2019): a small embedding, and one set of weights for all blocks of a group."""
    s = TensorLayout("albert." if top == "words" else "")
    d, e = size(d_model=c["hidden_size"]), size(d_embedding=c["embedding_size"])
    width, _ = widths(c["hidden_size"], c["num_attention_heads"])
    _bert_embeddings(s, c, e)
    s.linear("encoder.embedding_hidden_mapping_in", e, d, "embedding", "from the embedding to d_model")
    names = {**{role: f"attention.{role}" for role in ("query", "key", "value")}, "output": "attention.dense"}
    for inner in range(c["inner_group_num"]):
        stem = f"encoder.albert_layer_groups.{{}}.albert_layers.{inner}."
        with s.blocks(stem, c["num_hidden_groups"], "shared blocks"):
            s.norm("full_layer_layer_norm", d, "norm after the MLP")
            s.attention(names, d, width, width)
            s.norm("attention.LayerNorm", d, "norm after attention")
            s.mlp({"up": "ffn", "down": "ffn_output"}, d, size(d_ff=c["intermediate_size"]))
    s.after_blocks()
    if top == "pooler":
        s.linear("pooler", d, d, "other", "pooler")
    if top == "words":
        _masked_head(s, c, "albert", d, e)
    return s


def modernbert(c: Config, top: str) -> TensorLayout:
    """ModernBERT (Warner et al. 2024): rotary, fused, gated, without biases; the first block has no norm before."""
    s = TensorLayout("model." if top else "")
    d, words = size(d_model=c["hidden_size"]), size(vocabulary=c["vocab_size"])
    width, _ = widths(c["hidden_size"], c["num_attention_heads"])
    d_ff, n_layers, bias = size(d_ff=c["intermediate_size"]), c["num_hidden_layers"], c["norm_bias"]
    s.table("embeddings.tok_embeddings.weight", words, d, "embedding", TOKEN)
    s.norm("embeddings.norm", d, "norm of the embedding", bias=bias)
    with s.blocks("layers.{}.", range(1, n_layers)):
        s.norm("attn_norm", d, "norm before attention", bias=bias)
    with s.blocks("layers.{}.", n_layers):
        s.fused_attention("attn.Wqkv", d, width, width, bias=c["attention_bias"])
        s.attention_output("attn.Wo", d, width, bias=c["attention_bias"])
        s.norm("mlp_norm", d, "norm before the MLP", bias=bias)
        s.gate_and_up("mlp.Wi", d, d_ff, bias=c["mlp_bias"])
        s.mlp({"down": "mlp.Wo"}, d, d_ff, bias=c["mlp_bias"])
    s.after_blocks()
    s.norm("final_norm", d, "final norm", bias=bias)
    if top:
        s.after_blocks("")
        s.linear("head.dense", d, d, "other", "masked-word head", bias=c["classifier_bias"])
        s.norm("head.norm", d, "norm of the masked-word head", bias=bias)
        tied = "model.embeddings.tok_embeddings.weight" if c["tie_word_embeddings"] else None
        s.unembedding("decoder", words, d, tied, bias=c["decoder_bias"])
    return s
