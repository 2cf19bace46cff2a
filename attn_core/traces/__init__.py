"""What one forward pass left behind, as values that nobody changes.

A `Trace` holds streams, a `StreamTrace` layers, a `Layer` its attention call and wiring; `parity` says how far all this
is from the model's own tensors; `saved` is a trace as a file. It may import text and the mathematics, and never runs
a model.
Start with `stream`; `reader.TraceReader` is what a page may read.
"""
