"""Who wrote what into the residual stream that enters an attention call: a sum of vectors, one a writer.

May import residual, traces and errors. Start with `entering` in `blocks`, which walks from layer 0 upwards. `inputs`
are the writers before layer 0; `additions` is the sum itself, and what norms and patches later make of each writer.
"""
