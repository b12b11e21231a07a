"""Which requests with a query may begin: tokens for each visitor, then a slot for costly work.

A route names the tokens that it takes: `@router.get("/search", dependencies=SEARCH)`.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.params import Depends as Dependency
from limits import RateLimitItem

from service.topics.domain.query_limits import MOST_COST, estimate_cost
from service.web.core.context import AppContext, Context
from service.web.core.rate_limits import (
    FEED_WORK,
    PAPER_WORK,
    PREVIEW_WORK,
    SEARCH_WORK,
    name_visitor,
)
from service.web.core.work_slots import Busy

# Tokens of a file of references, with the previews of what is proposed: a few seconds at most.
FILE_COST: Final = 200
_TOO_MANY: Final = "That was a lot of work for your network; please try again in a minute."


def visitor_of(request: Request) -> str:
    return name_visitor(request.client.host if request.client else "")


async def take_tokens(
    context: AppContext, request: Request, item: RateLimitItem, text: str
) -> None:
    """Take the estimated cost of a query from its visitor's tokens. Raises `Busy`."""
    cost = estimate_cost(text)
    # A larger topic is refused before any work is done for it.
    await _take(context, request, item, cost if cost <= MOST_COST else 1)


async def _take(context: AppContext, request: Request, item: RateLimitItem, cost: int) -> None:
    visitor = visitor_of(request)
    due = context.first_tokens.spend(item, visitor, cost)
    if due:
        wait = await run_in_threadpool(context.limits.seconds_until_work, item, visitor, due)
        if wait:
            raise Busy(429, _TOO_MANY, wait)


def _takes(item: RateLimitItem) -> Callable[[Context, Request], Awaitable[None]]:
    async def take(context: Context, request: Request) -> None:
        await take_tokens(context, request, item, request.query_params.get("q", ""))

    return take


async def _takes_file(context: Context, request: Request) -> None:
    await _take(context, request, PREVIEW_WORK, FILE_COST)


async def _hold_slot(context: Context, request: Request) -> AsyncIterator[None]:
    async with context.slots.hold(visitor_of(request)):
        yield


async def _admit_words(context: Context, request: Request) -> AsyncIterator[None]:
    """Admit a list of papers as a search where it has words, and at once where it has none."""
    text = request.query_params.get("q", "")
    if not text:
        yield
        return
    await take_tokens(context, request, SEARCH_WORK, text)
    async with context.slots.hold(visitor_of(request)):
        yield


def costly(item: RateLimitItem) -> list[Dependency]:
    """Return the dependencies of a route whose requests take tokens of `item` and a slot."""
    # The slot is free again before the answer is sent, which a slow client may draw out.
    return [Depends(_takes(item)), Depends(_hold_slot, scope="function")]


SEARCH: Final = costly(SEARCH_WORK)
SEARCH_IF_WORDS: Final[list[Dependency]] = [Depends(_admit_words, scope="function")]
PREVIEW: Final = costly(PREVIEW_WORK)
FEED: Final = costly(FEED_WORK)
PAPER: Final = costly(PAPER_WORK)
FILE: Final = [Depends(_takes_file), Depends(_hold_slot, scope="function")]
