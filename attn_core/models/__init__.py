"""From a name to a model in memory: the catalogue, where a model's folder is, whether it is whole, and reading it.

Start in `loading.load`: locate (`sources`; `hub` downloads, `packages` and `other_formats` say how to convert) → verify
(`verification`) → read (`checkpoint`), each entered once. `catalogue` and `cards` tell what is on offer.
May import `attn_core.capture`, `text`, `traces`, `settings` and `errors`; `tiny` is seen from here alone.
"""
