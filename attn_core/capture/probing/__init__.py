"""What a fresh model is asked once, at load: which tensors to keep in every later pass, and which weights made them.

One short run is recorded (`record`), and its tensors are matched to what they must be: `projections` finds linear maps
and heads' slices, `matching` the residual stream around them, `logits` how words are read off the last states.
May import `capture.hooks`, `capture.interface`, `capture.recorder`, traces and the mathematics. Start in `probe.probe`.
"""
