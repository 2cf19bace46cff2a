"""Whose page is drawn next: few at the same time, and addresses take turns.

Pages that are drawn at once share the interpreter's lock: none is ready sooner, each holds its sentence's trace
meanwhile, and whoever asks in fifty windows would have fifty times the time of all others.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Hashable
from contextlib import suppress


class Turns:
    """So many at once in all, so many of one address, and for each address a line of its own.

        turns = Turns(in_all=8, per_address=1, lent=3.0, late=8, undisturbed=0.5)
        await turns.take(socket, "192.0.2.7")   # returns when it is this socket's turn
        turns.give_back(socket)

    A turn is lent for so many seconds: who takes longer (a model is loaded, a long work shows its progress) keeps
    nobody waiting from then on, as long as at most `late` of its address do so. Who asks again while its own turn is
    `undisturbed`, for so many seconds, waits for its end: what is interrupted there has cost a pass, and shown nothing.
    """

    def __init__(self, in_all: int, per_address: int, lent: float, late: int, undisturbed: float) -> None:
        self.in_all, self.per_address, self.lent, self.late = in_all, per_address, lent, late
        self.undisturbed = undisturbed
        self._ended: dict[Hashable, asyncio.Event] = {}  # by who is having a turn
        self._in_time: dict[Hashable, str] = {}  # who is having a turn → its address
        self._late: dict[Hashable, str] = {}
        self._timers: dict[Hashable, asyncio.TimerHandle] = {}
        self._waiting: OrderedDict[str, deque[tuple[Hashable, asyncio.Event]]] = OrderedDict()

    def __len__(self) -> int:
        """How many are having a turn, those included who take longer."""
        return len(self._ended)

    async def take(self, holder: Hashable, address: str) -> None:
        """Wait for a turn; who still has one when it was undisturbed for long enough keeps it."""
        if holder in self._ended:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ended[holder].wait(), self.undisturbed)
        if holder in self._ended:
            return
        if address not in self._waiting and self._has_room_for(address):
            self._lend(holder, address)
            return
        called = asyncio.Event()
        self._waiting.setdefault(address, deque()).append((holder, called))
        try:
            await called.wait()
        except asyncio.CancelledError:
            self._step_out(holder, address, called)
            raise

    def give_back(self, holder: Hashable) -> None:
        """The turn of a holder is over, if it has one."""
        if holder in self._ended:
            self._in_time.pop(holder, None)
            self._late.pop(holder, None)
            self._timers.pop(holder).cancel()
            self._ended.pop(holder).set()
            self._call_next()

    def _has_room_for(self, address: str) -> bool:
        return len(self._in_time) < self.in_all and _count(self._in_time, address) < self.per_address

    def _lend(self, holder: Hashable, address: str) -> None:
        self._in_time[holder] = address
        self._ended[holder] = asyncio.Event()
        self._timers[holder] = asyncio.get_running_loop().call_later(self.lent, self._is_late, holder)

    def _is_late(self, holder: Hashable) -> None:
        if _count(self._late, self._in_time[holder]) < self.late:
            self._late[holder] = self._in_time.pop(holder)
            self._call_next()

    def _call_next(self) -> None:
        """Give what is free to those who wait: an address that has had its turn stands behind all others."""
        for address in list(self._waiting):
            if self._has_room_for(address):
                own = self._waiting.pop(address)
                holder, called = own.popleft()
                if own:
                    self._waiting[address] = own
                self._lend(holder, address)
                called.set()

    def _step_out(self, holder: Hashable, address: str, called: asyncio.Event) -> None:
        """Leave the line; who was called at this very moment gives the turn back."""
        if called.is_set():
            self.give_back(holder)
            return
        own = self._waiting[address]
        own.remove((holder, called))
        if not own:
            del self._waiting[address]


def _count(holders: dict[Hashable, str], address: str) -> int:
    return sum(each == address for each in holders.values())
