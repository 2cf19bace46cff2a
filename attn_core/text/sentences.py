"""A sentence with named slots, filled so that some of its words carry a role: pages colour those, in HTML or not.

What a visitor typed is a text or a (text, role) pair here and never glued into markup.
"""

from __future__ import annotations

from collections.abc import Sequence
from string import Formatter

Words = tuple[str, str]  # (text, role), role being "", "query", "key" or "delta"
Sentence = list[Words]
Slot = str | Words | Sentence  # what may fill a slot


def filled(template: str, **slots: Slot) -> Sentence:
    """The sentence with its slots filled: by plain text, by words with a role, or by several of both.

    >>> filled("To update {query}, {who} looks at {key}.", query=("fox", "query"), who="head 0.3", key=("old", "key"))
    [('To update ', ''), ('fox', 'query'), (', head 0.3 looks at ', ''), ('old', 'key'), ('.', '')]
    """
    said: Sentence = []
    for text, name, _, _ in Formatter().parse(template):
        value = slots[name] if name is not None else ""
        parts = [(value, "")] if isinstance(value, str) else [value] if isinstance(value, tuple) else value
        for part in [(text, ""), *parts]:
            if said and not said[-1][1] and not part[1]:
                said[-1] = (said[-1][0] + part[0], "")  # plain text that follows plain text is one part
            elif part[0]:
                said.append(part)
    return said


def listed(items: Sequence[Sentence], between: str) -> Sentence:
    """Several parts of a sentence with a text between them.

    >>> listed([[("a", "key")], [("b", "key")]], " and ")
    [('a', 'key'), (' and ', ''), ('b', 'key')]
    """
    return [part for n, item in enumerate(items) for part in ([(between, "")] * (n > 0) + item)]
