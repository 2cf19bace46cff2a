"""What is added to the residual stream: a block's parts, sources of ΔE, logits in parts, nearest tokens, senses.

May import traces, text and the mathematics; `geometry` imports nothing of ours, so that figures may use it.
Start with `decomposition`: E + heads + bias + MLP = the next layer's E, row by row. `logit_attribution` carries those
parts on to a word's logit, `label_attribution` to that of a fine-tuned model's label, `nearest_tokens` reads directions
as words, `senses` compares one word in several sentences.
"""
