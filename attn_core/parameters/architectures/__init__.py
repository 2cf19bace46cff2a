"""The tensors of each family, from its configuration alone: names, shapes and what each is for.

Start in `families.FAMILIES`, then read one layout, such as `decoders.gpt2`; they write on a `layout.TensorLayout`.
May import `parameters.tensors` alone; needs neither torch nor the library's models.
"""
