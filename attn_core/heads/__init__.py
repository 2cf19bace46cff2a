"""What an attention head does: measures, kinds, ablation, baselines, comparison, search.

May import traces, capture and models (to run a model again), text, residual and prediction; never figures or views.
Start with `measures` (one record a measure) and `rules` (one record a kind of head), then `kinds`, which counts both
over many sentences. `ablation` switches heads off; `summary` says in four numbers whether a head matters.
"""
