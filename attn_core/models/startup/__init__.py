"""What the first model costs: what is not imported or computed on its way, because nothing here ever uses it.

Start with `lean_imports`, which programs of ours call before they load a model; `unwritten` serves every model that is
read. May import torch and, to bring it in, the transformers library.
"""
