"""Weights in another file format, rewritten as a folder with safetensors: one module a format.

A format is read as data; nothing that lies in a file is ever run. Start in `gguf.convert`.
May import `attn_core.errors`, `models.verification`, `models.conversion`, `text.smiles` and, in `gguf` alone, the
transformers library, which knows the names of weights.
"""
