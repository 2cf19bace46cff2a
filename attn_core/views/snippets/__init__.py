"""The few lines of Python that give in a notebook what a page shows; each is run in the tests.

May import traces. Every function gives source code. Start with `traced`, the lines that all of them begin with; the
other modules stand as the library's packages do, and `compare` as its page.
"""
