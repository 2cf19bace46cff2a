"""A trace as a file: tensors in safetensors, and all the rest as JSON in its header; nothing in it is ever run.

Start in `file`: `to_bytes` writes, `from_bytes` reads and checks each value; `wiring_json` is the part about wiring.
May import what `traces` may, and its `stream`, `layer`, `changes` and `wiring`.
"""
