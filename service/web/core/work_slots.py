"""Slots for costly work, awaited in the event loop.

A request that waits there holds no thread and no connection to the database: pages without a query
find both free, however many queries there are.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

# Requests at costly work in one process: while one waits for the database, the other computes. With four
# the slowest twentieth took twice as long under load.
SLOTS: Final = 2
# So many requests of one visitor, who may be an office, hold or await a slot; so many of everybody.
MOST_OF_ONE: Final = 12
MOST_OF_ALL: Final = 96
WAIT_SECONDS: Final = 5.0
RETRY_SECONDS: Final = 5

TOO_BUSY: Final = "Many people are searching right now; please try again in a few seconds."


class Busy(Exception):
    """A request that may come again in `wait` seconds; `status` is 429 or 503."""

    def __init__(self, status: int, text: str, wait: int) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.wait = wait


class WorkSlots:
    """The slots of one process: first come, first served, with a limit for each visitor."""

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(SLOTS)
        self._present: Counter[str] = Counter()

    @asynccontextmanager
    async def hold(self, visitor: str) -> AsyncIterator[None]:
        """Hold a slot. Raises `Busy` at once where too many wait, else after some seconds."""
        if self._present[visitor] >= MOST_OF_ONE or self._present.total() >= MOST_OF_ALL:
            raise Busy(503, TOO_BUSY, RETRY_SECONDS)
        self._present[visitor] += 1
        try:
            await self._acquire()
            try:
                yield
            finally:
                self._free.release()
        finally:
            self._present[visitor] -= 1
            self._present += Counter()  # drops visitors who are gone

    async def _acquire(self) -> None:
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await self._free.acquire()
        except TimeoutError as error:
            raise Busy(503, TOO_BUSY, RETRY_SECONDS) from error
