"""What a fresh model is asked once, at load: which tensors to keep in every later pass, and which weights made them.

Start in `find.find_wiring`: one short run is recorded (`record`), each attention call in it becomes a site (`sites`, by
`projections` and `matching`), sites are chained (`blocks`), and `own_pass`, `logits`, `keeping` and `deriving` add
what a pass needs; `refusals` says why not. May import `capture.hooks`, `capture.running`, traces, adapters and the
mathematics.
"""
