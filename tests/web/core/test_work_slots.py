"""Costly work has few slots: others wait for one, and a crowd of one visitor keeps nobody out."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from service.web.core.work_slots import MOST_OF_ALL, MOST_OF_ONE, SLOTS, Busy, WorkSlots


def test_past_the_slots_a_request_waits_until_one_is_free() -> None:
    async def scenario() -> None:
        slots = WorkSlots()
        entered = asyncio.Event()

        async def work() -> None:
            async with slots.hold("visitor"):
                entered.set()

        async with AsyncExitStack() as held:
            for n in range(SLOTS):
                await held.enter_async_context(slots.hold(f"visitor {n}"))
            waiting = asyncio.create_task(work())
            await asyncio.sleep(0)
            assert not entered.is_set()
        await waiting
        assert entered.is_set()

    asyncio.run(scenario())


def test_a_crowd_of_one_visitor_is_refused_and_another_visitor_waits() -> None:
    async def scenario() -> None:
        slots = WorkSlots()
        async with AsyncExitStack() as held:
            for _ in range(SLOTS):
                await held.enter_async_context(slots.hold("crowd"))
            crowd = [
                asyncio.create_task(slots.hold("crowd").__aenter__())
                for _ in range(MOST_OF_ONE - SLOTS)
            ]
            await asyncio.sleep(0)
            with pytest.raises(Busy) as refused:
                await slots.hold("crowd").__aenter__()
            assert (refused.value.status, refused.value.wait > 0) == (503, True)
            other = asyncio.create_task(slots.hold("other").__aenter__())
            await asyncio.sleep(0)
            assert not other.done()
            for task in (*crowd, other):
                task.cancel()
            await asyncio.gather(*crowd, other, return_exceptions=True)
        # What was given up is given back.
        async with AsyncExitStack() as held:
            for _ in range(SLOTS):
                await held.enter_async_context(slots.hold("crowd"))

    asyncio.run(scenario())


def test_so_many_visitors_wait_and_no_more() -> None:
    async def scenario() -> None:
        slots = WorkSlots()
        tasks = [
            asyncio.create_task(slots.hold(f"visitor {n}").__aenter__()) for n in range(MOST_OF_ALL)
        ]
        await asyncio.sleep(0)
        with pytest.raises(Busy):
            await slots.hold("late").__aenter__()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(scenario())
