"""The tensors of models that write one word after another: GPT-2, GPT-3, GPT-NeoX, OPT, Phi, Llama and its relatives.

Each function takes a complete configuration (the library's words for hyper-parameters, defaults filled in by
`families`) and the head on top ("" or "words"), and gives the layout, in the library's own names of tensors.
"""

from __future__ import annotations

from attn_core.parameters.architectures.layout import POSITION, TOKEN, Config, TensorLayout, widths
from attn_core.parameters.tensors import Size, size

SELF = {"query": "q_proj", "key": "k_proj", "value": "v_proj", "output": "o_proj"}


def gpt2(c: Config, top: str) -> TensorLayout:
    """GPT-2 (Radford et al. 2019): query, key and value fused, matrices stored [inputs, outputs]."""
    s = TensorLayout("transformer." if top else "")
    d, words = size(d_model=c["n_embd"]), size(vocabulary=c["vocab_size"])
    width, _ = widths(c["n_embd"], c["n_head"])
    d_ff = size(d_ff=c["n_inner"] or 4 * c["n_embd"])
    s.table("wte.weight", words, d, "embedding", TOKEN)
    s.table("wpe.weight", size(context=c["n_positions"]), d, "position", POSITION)
    with s.blocks("h.{}.", c["n_layer"]):
        s.norm("ln_1", d, "norm before attention")
        s.fused_attention("attn.c_attn", d, width, width, inputs_first=True)
        s.attention_output("attn.c_proj", d, width, inputs_first=True)
        s.norm("ln_2", d, "norm before the MLP")
        s.mlp({"up": "mlp.c_fc", "down": "mlp.c_proj"}, d, d_ff, inputs_first=True)
    s.after_blocks()
    s.norm("ln_f", d, "final norm")
    if top:
        s.unembedding("lm_head", words, d, "transformer.wte.weight" if c["tie_word_embeddings"] else None)
    return s


def gpt3(c: Config, top: str) -> TensorLayout:
    """GPT-3 (Brown et al. 2020): GPT-2's tensors, with a d_head of its own and one matrix for each role."""
    s = TensorLayout()
    d, words = size(d_model=c["d_model"]), size(vocabulary=c["vocabulary"])
    width, groups = widths(c["d_model"], c["n_heads"], c["n_groups"], c["d_head"])
    s.table("embedding.weight", words, d, "embedding", TOKEN)
    s.table("position.weight", size(context=c["context"]), d, "position", POSITION)
    names = {role: f"attention.{role}" for role in ("query", "key", "value", "output")}
    with s.blocks("blocks.{}.", c["n_layers"]):
        s.norm("norm_1", d, "norm before attention")
        s.attention(names, d, width, groups)
        s.norm("norm_2", d, "norm before the MLP")
        s.mlp({"up": "mlp.up", "down": "mlp.down"}, d, size(d_ff=c["d_ff"] or 4 * c["d_model"]))
    s.after_blocks()
    s.norm("norm", d, "final norm")
    s.unembedding("unembedding", words, d, "embedding.weight" if c["tied"] else None)
    return s


def gpt_neox(c: Config, top: str) -> TensorLayout:
    """GPT-NeoX and Pythia (Black et al. 2022): fused, rotary, attention and MLP side by side."""
    s = TensorLayout("gpt_neox." if top else "")
    d, words = size(d_model=c["hidden_size"]), size(vocabulary=c["vocab_size"])
    width, _ = _widths(c)
    s.table("embed_in.weight", words, d, "embedding", TOKEN)
    with s.blocks("layers.{}.", c["num_hidden_layers"]):
        s.norm("input_layernorm", d, "norm before attention")
        s.norm("post_attention_layernorm", d, "norm before the MLP")
        s.fused_attention("attention.query_key_value", d, width, width, bias=c["attention_bias"])
        s.attention_output("attention.dense", d, width, bias=c["attention_bias"])
        s.mlp({"up": "mlp.dense_h_to_4h", "down": "mlp.dense_4h_to_h"}, d, size(d_ff=c["intermediate_size"]))
    s.after_blocks()
    s.norm("final_layer_norm", d, "final norm")
    if top:
        s.unembedding("lm_head", words, d, "gpt_neox.embed_in.weight" if c["tie_word_embeddings"] else None)
    return s


def opt(c: Config, top: str) -> TensorLayout:
    """OPT (Zhang et al. 2022): two spare rows of positions; small embeddings are projected in and out."""
    s = TensorLayout("model.decoder." if top else "decoder.")
    d, words = size(d_model=c["hidden_size"]), size(vocabulary=c["vocab_size"])
    narrow = _narrow(c, d)
    width, _ = _widths(c)
    s.table("embed_tokens.weight", words, narrow, "embedding", TOKEN)
    s.table(
        "embed_positions.weight", size(**{"(context + 2)": c["max_position_embeddings"] + 2}), d, "position", POSITION
    )
    if narrow is not d:
        s.linear("project_in", narrow, d, "embedding", "from the embedding to d_model", bias=False)
    names = {role: f"self_attn.{name}" for role, name in {**SELF, "output": "out_proj"}.items()}
    with s.blocks("layers.{}.", c["num_hidden_layers"]):
        s.attention(names, d, width, width)
        s.norm("self_attn_layer_norm", d, "norm before attention")
        s.mlp({"up": "fc1", "down": "fc2"}, d, size(d_ff=c["ffn_dim"]))
        s.norm("final_layer_norm", d, "norm before the MLP")
    s.after_blocks()
    s.norm("final_layer_norm", d, "final norm")
    if narrow is not d:
        s.linear("project_out", d, narrow, "unembedding", "from d_model to the embedding", bias=False)
    tied = "model.decoder.embed_tokens.weight" if c["tie_word_embeddings"] else None
    if top:
        s.unembedding("lm_head", words, narrow, tied)
    return s


def _narrow(c: Config, d: Size) -> Size:
    width = c["word_embed_proj_dim"] or d.n
    return d if width == d.n else size(d_embedding=width)


def phi(c: Config, top: str) -> TensorLayout:
    """Phi-1 to Phi-2: one norm for attention and MLP, which run side by side; an unembedding with a bias."""
    s = TensorLayout("model." if top else "")
    d, words = size(d_model=c["hidden_size"]), size(vocabulary=c["vocab_size"])
    width, groups = _widths(c)
    s.table("embed_tokens.weight", words, d, "embedding", TOKEN)
    names = {role: f"self_attn.{name}" for role, name in {**SELF, "output": "dense"}.items()}
    with s.blocks("layers.{}.", c["num_hidden_layers"]):
        s.attention(names, d, width, groups)
        s.mlp({"up": "mlp.fc1", "down": "mlp.fc2"}, d, size(d_ff=c["intermediate_size"]))
        s.norm("input_layernorm", d, "norm before attention and MLP")
    s.after_blocks()
    s.norm("final_layernorm", d, "final norm")
    tied = "model.embed_tokens.weight" if c["tie_word_embeddings"] else None
    if top:
        s.unembedding("lm_head", words, d, tied, bias=True)
    return s


def llama(c: Config, top: str) -> TensorLayout:
    """Llama (Touvron et al. 2023) and its relatives: rotary, RMSNorm, gated MLP, queries perhaps in groups.

    The relatives differ in biases, in norms of queries and keys, and in where the block's norms stand.
    """
    s = TensorLayout("model." if top else "")
    d, words, style = size(d_model=c["hidden_size"]), size(vocabulary=c["vocab_size"]), c["model_type"]
    s.table("embed_tokens.weight", words, d, "embedding", TOKEN)
    with s.blocks("layers.{}.", c["num_hidden_layers"]):
        _llama_attention(s, c, d, style)
        _llama_mlp(s, c, d, style)
        for name in BLOCK_NORMS.get(style, ("input_layernorm", "post_attention_layernorm")):
            s.norm(name, d, f"block norm {name}", bias=False)
    s.after_blocks()
    s.norm("norm", d, "final norm", bias=False)
    if top:
        s.unembedding("lm_head", words, d, "model.embed_tokens.weight" if c["tie_word_embeddings"] else None)
    return s


_FOUR_NORMS = ("input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm")
BLOCK_NORMS = {
    "gemma2": _FOUR_NORMS,
    "gemma3_text": _FOUR_NORMS,
    "olmo2": ("post_attention_layernorm", "post_feedforward_layernorm"),
}


def _llama_attention(s: TensorLayout, c: Config, d: Size, style: str) -> None:
    width, groups = _widths(c)
    bias = bool(c.get("attention_bias")) or style == "qwen2"
    if style == "phi3":
        s.fused_attention("self_attn.qkv_proj", d, width, groups, bias=False)
        s.attention_output("self_attn.o_proj", d, width, bias=False)
        return
    names = {role: f"self_attn.{name}" for role, name in SELF.items()}
    s.attention(names, d, width, groups, bias=bias, output_bias=False if style == "qwen2" else bias)
    if style in ("qwen3", "gemma3_text", "olmo2"):
        each = size(d_head=width.factors[-1][1])
        s.norm("self_attn.q_norm", width if style == "olmo2" else each, "norm of the queries", bias=False)
        s.norm("self_attn.k_norm", groups if style == "olmo2" else each, "norm of the keys", bias=False)


def _llama_mlp(s: TensorLayout, c: Config, d: Size, style: str) -> None:
    d_ff = size(d_ff=c["intermediate_size"])
    if style == "phi3":
        s.gate_and_up("mlp.gate_up_proj", d, d_ff)
        s.mlp({"down": "mlp.down_proj"}, d, d_ff, bias=False)
        return
    names = {role: f"mlp.{role}_proj" for role in ("gate", "up", "down")}
    s.mlp(names, d, d_ff, bias=bool(c.get("mlp_bias")))


def _widths(c: Config) -> tuple[Size, Size]:
    return widths(c["hidden_size"], c["num_attention_heads"], c.get("num_key_value_heads"), c.get("head_dim"))
