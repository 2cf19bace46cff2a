"""A trace as a file: tensors in safetensors, and all the rest as JSON in its header; nothing in it is ever run.

Start in `writing.to_bytes` and `reading.from_bytes`, which checks each value; `contents` is what a file holds,
`tensors` keeps each storage once, `layers` reads a layer; `wiring_json` and `changes_json` are parts of the header.
May import what `traces` may, and its `stream`, `layer`, `changes` and `wiring`.
"""
