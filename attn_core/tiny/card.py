"""What a small model's card.json says: how it was trained, how well, and what the pages may offer with it.

The reader of cards is `attn_core.models.cards`; this module is the writer. `renew` writes the card of weights that are
already trained, so that a new example needs no training.
"""

from __future__ import annotations

# Beside the weights, these files decide what is read.
HASHED = ("config.json", "tokenizer.json", "tokenizer_config.json")
