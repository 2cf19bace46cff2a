"""Attacks by messages and sockets: too large, too many, too slow, forged, or none at all."""

from __future__ import annotations

import itertools
import os
import socket
import time
from contextlib import suppress

from websockets.exceptions import WebSocketException

from benchmarks.attacks.client import Stop, backmsg
from benchmarks.load import Visitor


def clears_the_cache(address: str, stop: Stop) -> None:
    visitor = Visitor(address)
    while not stop():
        visitor.socket.send(backmsg("clear_cache"))
        time.sleep(0.05)


def sends_giant_texts(address: str, stop: Stop) -> None:
    while not stop():
        visitor = Visitor(address)
        for size in (950_000, 2_000_000, 20_000_000):
            visitor.socket.send(backmsg(query_string="text=" + "fox " * (size // 4)))
        time.sleep(0.5)
        visitor.socket.close()


def forges_what_widgets_hold(address: str, stop: Stop) -> None:
    from streamlit.proto.WidgetStates_pb2 import WidgetState

    visitor, deep = Visitor(address), "[" * 300_000
    for page in itertools.cycle(("", "compare_heads", "step_by_step", "find_heads", "delta_e")):
        if stop():
            return
        visitor.ask(page)
        wrong: dict[str, object] = {"json_value": "{", "json_trigger_value": '[{"event":"opened","value":{}}]'}
        wrong |= {"string_value": "x", "int_value": 10**9, "bool_value": True}
        for kind, value in wrong.items():
            visitor.ask(page, holds=[WidgetState(id=name, **{kind: value}) for name in visitor.widgets])
        visitor.ask(page, holds=[WidgetState(id=name, json_value=deep) for name in sorted(visitor.widgets)[:2]])


def storms_with_reruns(address: str, stop: Stop) -> None:
    visitor = Visitor(address)
    for _ in range(3000):
        if stop():
            return
        visitor.socket.send(backmsg(query_string="text=a+fox"))


def opens_sockets_and_says_nothing(address: str, stop: Stop) -> None:
    opened = []
    for _ in range(150):
        if stop():
            break
        with suppress(WebSocketException, OSError):
            opened.append(Visitor(address))
    while not stop():
        time.sleep(0.1)
    for visitor in opened:
        visitor.socket.close()


def sends_what_is_no_message(address: str, stop: Stop) -> None:
    while not stop():
        with suppress(WebSocketException, OSError):
            visitor = Visitor(address)
            visitor.socket.send(os.urandom(2000))
            visitor.socket.recv(timeout=2)


def opens_connections_slowly(address: str, stop: Stop) -> None:
    host, port = address.removeprefix("http://").split(":")
    slow = [socket.create_connection((host, int(port)), timeout=5) for _ in range(60)]
    while not stop():
        for connection in slow:
            with suppress(OSError):
                connection.send(b"G")
        time.sleep(0.5)
    for connection in slow:
        connection.close()
