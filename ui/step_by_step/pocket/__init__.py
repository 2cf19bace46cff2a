"""The pocket-size head (a toy) that comes before the real one at each step of Step by step.

`tables` writes out every number of a step, `editors` lets a visitor change them; the sentences are in `words.toml`.
May import what `ui.step_by_step` may, and of it `subject`, `layout`, `numbers` and the sentences. Start with `tables`.
"""
