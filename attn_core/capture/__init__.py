"""From a model to a trace: the one place where a model is run.

`interface` sees every attention call, `hooks` the tensors between modules, `recorder` keeps what a trace needs. At load
`probing` finds a model's wiring once. It may import traces, text and the mathematics.
Start with `run.trace`, then `wrapping.wrap`.
"""
