"""Another sentence's tensors put in the place of a sentence's own, and how much of the answer moves over with them.

May import what `circuits` may. Start with `activation.patching`, which is `ac.patching`; `path` does the same from one
head to another alone. `pairing` says which position takes which, `answers` what is measured at the end of a pass.
"""
