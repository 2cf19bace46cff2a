"""A trace as a file: tensors in safetensors, and all the rest as JSON in its header; nothing in it is ever run.

Start in `writing.write` and `reading.from_file`, which checks each value; `contents` is what a file holds,
`tensors` names each storage once, `layers` reads a layer; `wiring_json` and `changes_json` are parts of the header.
May import what `traces` may, and its `stream`, `layer`, `changes` and `wiring`.
"""
