"""Two transformers small enough to train here: a story teller (decoder) and an English–French translator.

Both are built on `attn_core.attention`, learn from sentences that their grammar makes up, and are saved as checkpoints
that the transformers library reads, so that everything else in Headlight reads them as it reads any other model.
Start in `train`. May import `attention`, `masks` and `settings`; nobody else imports this package: what a model knows
of itself is in its card.json, written by `card` and read by `attn_core.models.cards`.
"""
