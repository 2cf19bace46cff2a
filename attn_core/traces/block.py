"""How a block adds attention and MLP to the residual stream: five laws, each with its formula and its sentences."""

from __future__ import annotations

from enum import StrEnum


class BlockKind(StrEnum):
    """The law of one block, equal to its name as text: `BlockKind.PRE_NORM == "pre-norm"`.

    `formula` writes the law with A, the output of attention (Σ ΔE + bias), and M, that of the MLP. `sentence` says it
    for the whole block, `attention_sentence` for what becomes of attention's output alone.

    Sources: Vaswani et al. 2017 (post-norm); Xiong et al. 2020 (pre-norm); Wang and Komatsuzaki 2021 (parallel);
    Gemma Team 2024 (a norm after attention); Granite Team 2024 (a share c of what is added).
    """

    formula: str
    sentence: str
    attention_sentence: str

    PRE_NORM = (
        "pre-norm",
        "E′ = E + A;  next E = E′ + M",
        "E + all heads + bias, then + MLP, is the next layer's E.",
        "The sum is added to E as it is; then the MLP has its turn.",
    )
    POST_NORM = (
        "post-norm",
        "E′ = LayerNorm(E + A);  next E = LayerNorm(E′ + M)",
        "E + all heads + bias goes through LayerNorm, + MLP through another, and is the next layer's E.",
        "The sum is added to E, and a LayerNorm brings the result to scale; then the MLP has its turn.",
    )
    PARALLEL = (
        "parallel",
        "next E = E + A + M",
        "Heads and MLP read the same E and add to it in one step.",
        "The sum is added to E together with the MLP’s part: in this model both read the same E.",
    )
    NORM_AFTER = (
        "norm-after",
        "E′ = E + norm(A);  next E = E′ + norm(M)",
        "The sum of all heads is normalised before it is added; so is the MLP's part.",
        "A norm brings the sum to scale before it is added to E; then the MLP has its turn.",
    )
    SCALED = (
        "scaled",
        "E′ = E + c·A;  next E = E′ + c·M",
        "All heads + bias, and then the MLP's part, are multiplied by one number before they are added to E.",
        "The sum is multiplied by one number before it is added to E; then the MLP has its turn.",
    )
    SEQUENTIAL = (  # E + A was found, what follows it was not; `StreamTrace.block` never gives it
        "sequential",
        "E′ = E + A;  next E = ?",
        "The sum of all heads is added to E; how the block goes on could not be found.",
        "The sum is added to E; how the block goes on could not be found.",
    )

    @property
    def changes_sum(self) -> bool:
        """Whether something becomes of attention's output before it is added to the stream: a norm, or a factor."""
        return self in (BlockKind.NORM_AFTER, BlockKind.SCALED)

    def __new__(cls, name: str, formula: str, sentence: str, attention_sentence: str) -> BlockKind:
        kind = str.__new__(cls, name)
        kind._value_ = name
        kind.formula, kind.sentence, kind.attention_sentence = formula, sentence, attention_sentence
        return kind
