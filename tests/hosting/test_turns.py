"""Whose page is drawn next."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from hosting.turns import Turns


async def until(served: list[str], n: int) -> None:
    async with asyncio.timeout(30):
        while len(served) < n:
            await asyncio.sleep(0.01)


async def asking(turns: Turns, holder: str, served: list[str]) -> None:
    await turns.take(holder, holder[0])
    served.append(holder)


def test_addresses_take_turns_and_each_has_so_many() -> None:
    async def crowd() -> list[str]:
        turns, served = Turns(in_all=2, per_address=1, lent=30, late=0), []
        tasks = []
        for holder in ("a0", "a1", "a2", "b0", "c0", "b1"):
            tasks.append(asyncio.create_task(asking(turns, holder, served)))
            await asyncio.sleep(0)
        assert served == ["a0", "b0"]
        for holder in ("a0", "a1", "c0", "b0", "a2", "b1"):
            turns.give_back(holder)
            turns.give_back("nobody")
            await asyncio.sleep(0)
        await asyncio.gather(*tasks)
        assert len(turns) == 0
        return served

    assert asyncio.run(crowd()) == ["a0", "b0", "a1", "c0", "a2", "b1"]


def test_who_has_a_turn_keeps_it_and_asks_in_vain_for_a_second() -> None:
    async def one() -> int:
        turns = Turns(in_all=1, per_address=1, lent=30, late=0)
        await turns.take("a", "1")
        await asyncio.wait_for(turns.take("a", "1"), 1)
        return len(turns)

    assert asyncio.run(one()) == 1


def test_who_takes_long_keeps_nobody_waiting_but_only_so_many_may() -> None:
    async def crowd() -> tuple[list[str], list[str]]:
        turns, served = Turns(in_all=1, per_address=1, lent=0.02, late=2), []
        tasks = [asyncio.create_task(asking(turns, holder, served)) for holder in ("a0", "a1", "a2", "a3", "a4")]
        await until(served, 3)
        await asyncio.sleep(0.1)
        before = list(served)  # two are late, and a third one is having its turn
        turns.give_back("a1")
        turns.give_back("a2")
        await until(served, 5)
        for holder in ("a0", "a3", "a4"):
            turns.give_back(holder)
        await asyncio.gather(*tasks)
        assert len(turns) == 0
        return before, served

    before, after = asyncio.run(crowd())
    assert before == ["a0", "a1", "a2"] and after == ["a0", "a1", "a2", "a3", "a4"]


def test_who_leaves_the_line_is_not_called() -> None:
    async def crowd() -> int:
        turns = Turns(in_all=1, per_address=1, lent=30, late=0)
        await turns.take("a", "1")
        waits, called = (asyncio.create_task(turns.take(holder, "1")) for holder in ("b", "c"))
        await asyncio.sleep(0)
        waits.cancel()
        await asyncio.sleep(0)
        turns.give_back("a")
        called.cancel()  # at the very moment at which it is called
        for task in (waits, called):
            with suppress(asyncio.CancelledError):
                await task
        await asyncio.wait_for(turns.take("d", "1"), 1)
        return len(turns)

    assert asyncio.run(crowd()) == 1
