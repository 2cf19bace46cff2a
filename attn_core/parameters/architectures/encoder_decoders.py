"""The tensors of models that read one text and write another: T5, BART, mBART, Marian, and the first Transformer.

Each function takes a complete configuration and the head on top ("" or "words"), and gives the layout. The three
uses of one embedding (encoder, decoder, unembedding) are written down each, and all but the first are tied.
"""

from __future__ import annotations

from attn_core.parameters.architectures.layout import POSITION, TOKEN, Config, TensorLayout, widths
from attn_core.parameters.tensors import Size, size

_BART_ATTENTION = {"key": "k_proj", "value": "v_proj", "query": "q_proj", "output": "out_proj"}
_T5_ATTENTION = {"query": "q", "key": "k", "value": "v", "output": "o"}


def t5(c: Config, top: str) -> TensorLayout:
    """T5 (Raffel et al. 2019): no biases, a relative position bias in each stack's first block, d_head set apart."""
    s = TensorLayout()
    d, words = size(d_model=c["d_model"]), size(vocabulary=c["vocab_size"])
    s.table("shared.weight", words, d, "embedding", TOKEN)
    for stack, n_layers in (("encoder", c["num_layers"]), ("decoder", c["num_decoder_layers"] or c["num_layers"])):
        s.table(f"{stack}.embed_tokens.weight", words, d, "embedding", f"{TOKEN}, {stack}", tied_to="shared.weight")
        _t5_stack(s, c, stack, n_layers, d)
        s.norm(f"{stack}.final_layer_norm", d, f"final norm, {stack}", bias=False)
    if top:
        s.unembedding("lm_head", words, d, "shared.weight" if c["tie_word_embeddings"] else None)
    return s


def _t5_stack(s: TensorLayout, c: Config, stack: str, n_layers: int, d: Size) -> None:
    (width, _), place = widths(d.n, c["num_heads"], d_head=c["d_kv"]), f"{stack} blocks"
    buckets = size(buckets=c["relative_attention_num_buckets"]), size(heads=c["num_heads"])
    with s.blocks(f"{stack}.block.{{}}.layer.0.SelfAttention.", range(1), place):
        s.add("relative_attention_bias.weight", buckets, "position", "relative position bias of all blocks")
    subs = [("SelfAttention", "self-attention"), ("EncDecAttention", "cross-attention")]
    subs = subs if stack == "decoder" else subs[:1]
    with s.blocks(f"{stack}.block.{{}}.layer.", n_layers, place):
        for i, (module, sublayer) in enumerate(subs):
            names = {role: f"{i}.{module}.{name}" for role, name in _T5_ATTENTION.items()}
            s.attention(names, d, width, width, bias=False, sublayer=sublayer)
            s.norm(f"{i}.layer_norm", d, f"norm before {sublayer}", bias=False)
        ups = {"gate": "wi_0", "up": "wi_1"} if c["feed_forward_proj"].startswith("gated-") else {"up": "wi"}
        names = {role: f"{len(subs)}.DenseReluDense.{name}" for role, name in {**ups, "down": "wo"}.items()}
        s.mlp(names, d, size(d_ff=c["d_ff"]), bias=False)
        s.norm(f"{len(subs)}.layer_norm", d, "norm before the MLP", bias=False)


def bart(c: Config, top: str) -> TensorLayout:
    """BART (Lewis et al. 2019), mBART (Liu et al. 2020) and Marian (Junczys-Dowmunt et al. 2018).

    BART keeps two spare rows of positions; Marian's positions are sinusoids that are stored and never learnt.
    """
    s = TensorLayout("model." if top else "")
    d, words, style = size(d_model=c["d_model"]), size(vocabulary=c["vocab_size"]), c["model_type"]
    shared = f"{s.prefix}shared.weight"
    s.table("shared.weight", words, d, "embedding", TOKEN)
    for stack in ("encoder", "decoder"):
        s.table(f"{stack}.embed_tokens.weight", words, d, "embedding", f"{TOKEN}, {stack}", tied_to=shared)
        _bart_positions(s, c, stack, d)
        if style != "marian":
            s.norm(f"{stack}.layernorm_embedding", d, f"norm of the embedding, {stack}")
        _bart_stack(s, c, stack, d)
        if style == "mbart":
            s.norm(f"{stack}.layer_norm", d, f"final norm, {stack}")
    if top:
        s.unembedding("lm_head", words, d, "model.shared.weight" if c["tie_word_embeddings"] else None)
    return s


def _bart_positions(s: TensorLayout, c: Config, stack: str, d: Size) -> None:
    context, fixed = c["max_position_embeddings"], c["model_type"] == "marian"
    rows = size(context=context) if fixed else size(**{"(context + 2)": context + 2})
    kind, what = ("fixed", "sinusoids, never learnt") if fixed else ("matrix", POSITION)
    s.add(f"{stack}.embed_positions.weight", (rows, d), "position", f"{what}, {stack}", kind=kind)


def _bart_stack(s: TensorLayout, c: Config, stack: str, d: Size) -> None:
    heads = c[f"{stack}_attention_heads"]
    (width, _), d_ff = widths(d.n, heads), size(d_ff=c[f"{stack}_ffn_dim"])
    subs = [("self_attn", "self-attention"), ("encoder_attn", "cross-attention")]
    with s.blocks(f"{stack}.layers.{{}}.", c[f"{stack}_layers"], f"{stack} blocks"):
        for module, sublayer in subs if stack == "decoder" else subs[:1]:
            names = {role: f"{module}.{name}" for role, name in _BART_ATTENTION.items()}
            s.attention(names, d, width, width, sublayer=sublayer)
            s.norm(f"{module}_layer_norm", d, f"norm of {sublayer}")
        s.mlp({"up": "fc1", "down": "fc2"}, d, d_ff)
        s.norm("final_layer_norm", d, "norm of the MLP")


def transformer(c: Config, top: str) -> TensorLayout:
    """The first Transformer (Vaswani et al. 2017): sinusoids computed, not stored; one matrix for all three tables.

    Section 3.2.2 projects without biases, section 3.3 gives the MLP's two, section 3.4 shares the embedding.
    """
    s = TensorLayout()
    d, words = size(d_model=c["d_model"]), size(vocabulary=c["vocabulary"])
    width, _ = widths(c["d_model"], c["n_heads"], d_head=c["d_head"])
    s.table("embedding.weight", words, d, "embedding", TOKEN)
    for stack, n_layers in (("encoder", c["n_layers"]), ("decoder", c["n_decoder_layers"])):
        with s.blocks(f"{stack}.{{}}.", n_layers, f"{stack} blocks"):
            for sublayer in ("self-attention", "cross-attention") if stack == "decoder" else ("self-attention",):
                names = {role: f"{sublayer}.{role}" for role in ("query", "key", "value", "output")}
                s.attention(names, d, width, width, bias=False, sublayer=sublayer)
                s.norm(f"{sublayer}.norm", d, f"norm after {sublayer}")
            s.mlp({"up": "mlp.up", "down": "mlp.down"}, d, size(d_ff=c["d_ff"]))
            s.norm("mlp.norm", d, "norm after the MLP")
    s.unembedding("unembedding", words, d, "embedding.weight" if c["tied"] else None)
    return s
