"""Who may compute next: addresses take turns, so that whoever asks in fifty windows does not stand before all others.

    line = Line(at_once=1, per_address=32)
    with line.place("192.0.2.7", 20.0):      # waits at most so many seconds; Busy where it does not come to that
        …

Of each address the first who asked is the first; a class behind one address shares its turns.
"""

from __future__ import annotations

import ipaddress
import threading
from collections import OrderedDict, deque
from collections.abc import Iterator
from contextlib import contextmanager

from ui.server.cache import CROWDED, Busy


class Line:
    """Places for a few at once, and a line for each address."""

    def __init__(self, at_once: int, per_address: int) -> None:
        self._free, self._per_address = at_once, per_address
        self._waiting: OrderedDict[str, deque[threading.Event]] = OrderedDict()  # by address, the next one first
        self._lock = threading.Lock()

    @contextmanager
    def place(self, address: str, longest_wait: float) -> Iterator[None]:
        """Hold one of the places."""
        called = self._stand_in_line(address)
        if called is not None and not called.wait(longest_wait):
            self._step_out(address, called)
        try:
            yield
        finally:
            self._call_next()

    def _stand_in_line(self, address: str) -> threading.Event | None:
        """None where a place is free, else what is set when it is our turn."""
        with self._lock:
            if self._free and not self._waiting:
                self._free -= 1
                return None
            own = self._waiting.setdefault(address, deque())
            if len(own) >= self._per_address:
                raise Busy(CROWDED)
            called = threading.Event()
            own.append(called)
            return called

    def _step_out(self, address: str, called: threading.Event) -> None:
        """Leave the line and raise Busy, unless we are called at this very moment."""
        with self._lock:
            if called.is_set():
                return
            self._waiting[address].remove(called)
            if not self._waiting[address]:
                del self._waiting[address]
        raise Busy(CROWDED)

    def _call_next(self) -> None:
        with self._lock:
            if not self._waiting:
                self._free += 1
                return
            address, own = next(iter(self._waiting.items()))
            own.popleft().set()
            del self._waiting[address]
            if own:
                self._waiting[address] = own  # behind all others


def network_of(said: str) -> str:
    """An address that counts as one visitor: of IPv6 the network; "" for what is none.

    >>> network_of("192.0.2.7"), network_of("2001:db8::7:1"), network_of("")
    ('192.0.2.7', '2001:db8::/64', '')
    """
    try:
        address = ipaddress.ip_address(said.partition("%")[0])
    except ValueError:
        return ""
    return str(ipaddress.ip_network((address, 64), strict=False)) if address.version == 6 else str(address)
