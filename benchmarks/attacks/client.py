"""What attacks share: messages of a browser, long sentences, and visitors who stay."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from benchmarks.load import Visitor

LETTERS = " ".join(chr(97 + i % 26) for i in range(509))
Stop = Callable[[], bool]


def backmsg(kind: str = "rerun_script", **fields: str) -> bytes:
    from streamlit.proto.BackMsg_pb2 import BackMsg

    message = BackMsg()
    if kind == "rerun_script":
        message.rerun_script.SetInParent()
    if kind == "clear_cache":
        message.clear_cache = True
    for name, value in fields.items():
        setattr(message.rerun_script, name, value)
    return bytes(message.SerializeToString())


@contextmanager
def staying() -> Iterator[list[Visitor]]:
    """Visitors who stay, and leave at the end of the attack: else the next one would find no place."""
    opened: list[Visitor] = []
    try:
        yield opened
    finally:
        for visitor in opened:
            visitor.socket.close()


def rotated(by: int) -> str:
    """509 words, another sentence for each turn."""
    words = LETTERS.split()
    return " ".join(words[by % 26 :] + words[: by % 26])


def stays_with(address: str, stop: Stop, does: Callable[[Visitor, int], object]) -> None:
    """As many sessions as one address has, each of which does something and stays."""
    with staying() as opened:
        while not stop():
            if len(opened) == 75:  # one address has 80 places
                time.sleep(0.1)
                continue
            opened.append(Visitor(address))
            does(opened[-1], len(opened))
