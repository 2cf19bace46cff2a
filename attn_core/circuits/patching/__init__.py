"""Another sentence's tensors put in the place of a sentence's own, and how much of the answer moves over with them.

May import what `circuits` may. Start with `activation.patching`, which is `ac.patching`; `path` does the same from one
head to another alone. `contrast` is two sentences and what is measured of them, `answers` what that can be, `pairing`
which position takes which, and `table` what comes back.
"""
