"""Whose page is drawn next: few at the same time, and addresses take turns.

Pages that are drawn at once share the interpreter's lock: none is ready sooner, each holds its sentence's trace
meanwhile, and whoever asks in fifty windows would have fifty times the time of all others.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Hashable
from dataclasses import dataclass


@dataclass
class _Turn:
    """A turn that is being used."""

    address: str
    timer: asyncio.TimerHandle  # rings when it becomes late
    late: bool = False


class Turns:
    """So many at once in all, so many of one address, and for each address a line of its own.

        turns = Turns(in_all=8, per_address=1, lent=3.0, late=8)
        await turns.take(socket, "192.0.2.7")   # returns when it is this socket's turn
        turns.give_back(socket)

    A turn is lent for so many seconds: who takes longer (a model is loaded, a long work shows its progress) keeps
    nobody waiting from then on, as long as at most `late` of its address do so.
    """

    def __init__(self, in_all: int, per_address: int, lent: float, late: int) -> None:
        self.in_all, self.per_address, self.lent, self.late = in_all, per_address, lent, late
        self._having: dict[Hashable, _Turn] = {}  # by who is having it
        self._waiting: OrderedDict[str, deque[tuple[Hashable, asyncio.Event]]] = OrderedDict()

    def __len__(self) -> int:
        """How many are having a turn, those included who take longer."""
        return len(self._having)

    async def take(self, holder: Hashable, address: str) -> None:
        """Wait for a turn; who has one keeps it."""
        if holder in self._having:
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
        turn = self._having.pop(holder, None)
        if turn is not None:
            turn.timer.cancel()
            self._call_next()

    def _has_room_for(self, address: str) -> bool:
        in_time = [turn.address for turn in self._having.values() if not turn.late]
        return len(in_time) < self.in_all and in_time.count(address) < self.per_address

    def _lend(self, holder: Hashable, address: str) -> None:
        timer = asyncio.get_running_loop().call_later(self.lent, self._is_late, holder)
        self._having[holder] = _Turn(address, timer)

    def _is_late(self, holder: Hashable) -> None:
        turn = self._having[holder]
        others = [each for each in self._having.values() if each.late and each.address == turn.address]
        if len(others) < self.late:
            turn.late = True
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
