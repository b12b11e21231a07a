"""Requests at a fixed rate, sent whether or not the earlier ones are answered, for `web.py`."""

import asyncio
import re
from collections.abc import Callable, Mapping
from itertools import count
from random import Random

import httpx2

PER_SECOND, SECONDS = 100, 20
_PAGES_OF_PAPERS = 5
# What a request counts that is refused, as one is for which there is no time.
_REFUSED_MS = 60_000.0
_VISITORS = count()

Make = Callable[[], tuple[str, Mapping[str, str]]]


def find_papers(site: str) -> list[str]:
    """Return the paths of the first 200 papers of the front page."""
    with httpx2.Client(base_url=site, timeout=60) as client:
        pages = [client.get("/", params={"page": n + 1}).text for n in range(_PAGES_OF_PAPERS)]
    return sorted({path for page in pages for path in re.findall(r'href="(/papers/[^"]+)"', page)})


def send_steadily(site: str, kinds: Mapping[str, Make], seconds: int) -> dict[str, list[float]]:
    """Send requests of these kinds, drawn evenly; return the milliseconds of each from when it was due."""
    return asyncio.run(_send(site, kinds, seconds))


async def _send(site: str, kinds: Mapping[str, Make], seconds: int) -> dict[str, list[float]]:
    taken: dict[str, list[float]] = {kind: [] for kind in kinds}
    draw, loop = Random(9), asyncio.get_running_loop()  # noqa: S311  # a repeatable draw, no secret
    limits = httpx2.Limits(max_connections=200)
    async with httpx2.AsyncClient(base_url=site, timeout=60, limits=limits) as client:
        start = loop.time()

        async def ask(kind: str, due: float) -> None:
            path, query = kinds[kind]()
            number = next(_VISITORS)
            visitor = {"X-Forwarded-For": f"198.19.{number // 250 % 250}.{number % 250}"}
            try:
                answer = await client.get(path, params=dict(query), headers=visitor)
            except httpx2.TransportError:  # The site closes connections that it has no time for.
                is_answered = False
            else:
                # A drawn word may be a stop word; its error is a valid response.
                is_answered = answer.status_code in {200, 422}
            taken[kind].append((loop.time() - due) * 1000 if is_answered else _REFUSED_MS)

        async with asyncio.TaskGroup() as tasks:
            for number in range(PER_SECOND * seconds):
                due = start + number / PER_SECOND
                await asyncio.sleep(max(0.0, due - loop.time()))
                tasks.create_task(ask(draw.choice([*kinds]), due))
    return taken
