"""A model's own head: what it says of a text, its words or a span, read off the last states without a second pass.

`find` tells at load what the head says, and whether it can be read at all; `run` runs it alone over the last states of
a trace; `frozen` holds what is not linear in it, so that a label's logit is a sum over the stream. May import traces
and the mathematics.
"""
