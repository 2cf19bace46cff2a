"""From what was typed to tokens, and from numbers to words.

`tokens` reads a sentence as its model does, `decoding` undoes how tokenizers write, `unknown_words` gives new words a
name, `numbers` writes numbers as people read them. It may import `errors` and `settings` alone.
Start with `tokens.encode` and `Tokens`.
"""
