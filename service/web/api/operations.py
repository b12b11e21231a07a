"""The table of all operations: from it come the routes of the API and the tools of assistants (MCP)."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from limits import RateLimitItem
from pydantic import BaseModel

from service.web.api import models, operator, public, subscriber
from service.web.api import models_subscriber as own
from service.web.core.rate_limits import FEED_WORK, PAPER_WORK, PREVIEW_WORK, SEARCH_WORK

ROOT: Final = "/api/v1"


class Part(StrEnum):
    """Whom a part of the API is for: everybody, one reader, or the operator."""

    PUBLIC = "public"
    SUBSCRIBER = "subscriber"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation: its function, its address below `/api/v1`, and what it answers.

    A call takes tokens of `cost` from its visitor and holds a work slot, as pages do. `problems` are
    the statuses of its own, beside those that every operation has. `tool` is its name for assistants,
    empty where they do not have it.
    """

    run: Callable[..., BaseModel | None]
    method: str
    path: str
    answer: type[BaseModel] | None
    part: Part
    cost: RateLimitItem | None = None
    status: int = 200
    problems: tuple[int, ...] = ()
    tool: str = ""

    @property
    def summary(self) -> str:
        """The first line of its description, without the full stop."""
        return (self.run.__doc__ or "").partition("\n")[0].rstrip(".")


def _public(
    run: Callable[..., BaseModel],
    path: str,
    answer: type[BaseModel],
    cost: RateLimitItem | None,
    tool: str = "",
) -> Operation:
    return Operation(
        run=run, method="GET", path=path, answer=answer, part=Part.PUBLIC, cost=cost,
        problems=(404,), tool=tool,
    )  # fmt: skip


def _own(
    run: Callable[..., BaseModel | None],
    method: str,
    path: str,
    answer: type[BaseModel] | None,
    *problems: int,
    status: int = 200,
    tool: str = "",
) -> Operation:
    return Operation(
        run=run, method=method, path=path, answer=answer, part=Part.SUBSCRIBER, cost=PAPER_WORK,
        status=status, problems=(401, 404, *problems), tool=tool,
    )  # fmt: skip


def _operator(
    run: Callable[..., BaseModel], method: str, path: str, answer: type[BaseModel]
) -> Operation:
    return Operation(
        run=run, method=method, path=path, answer=answer, part=Part.OPERATOR, problems=(401, 404)
    )


OPERATIONS: Final = (
    _public(public.get_day, "/days/{date}", models.Day, FEED_WORK, "day"),
    _public(public.get_paper, "/papers/{key}", models.PaperDetail, PAPER_WORK, "paper"),
    _public(public.search_papers, "/search", models.SearchResults, SEARCH_WORK, "search"),
    _public(public.preview_topic, "/preview", models.PreviewAnswer, PREVIEW_WORK),
    _public(public.list_ready_topics, "/topics", models.ReadyTopics, None),
    Operation(
        run=public.sign_up, method="POST", path="/subscriptions", answer=models.Accepted,
        part=Part.PUBLIC, cost=PAPER_WORK, status=202,
    ),
    _own(subscriber.get_profile, "GET", "/me", own.Profile),
    _own(subscriber.change_profile, "PATCH", "/me", own.Profile),
    _own(subscriber.get_topics, "GET", "/me/topics", own.OwnTopics),
    _own(subscriber.replace_topics, "PUT", "/me/topics", own.OwnTopics),
    _own(subscriber.list_digests, "GET", "/me/digests", own.Digests, tool="my_digest"),
    _own(subscriber.list_saved, "GET", "/me/papers", own.SavedList),
    _own(subscriber.save_paper, "POST", "/me/papers", own.SavedItem, 409),
    _own(subscriber.remove_saved, "DELETE", "/me/papers/{key}", None, status=204),
    _operator(operator.get_status, "GET", "/operator/status", operator.StatusAnswer),
    _operator(operator.list_editions, "GET", "/operator/editions", operator.Editions),
    _operator(operator.get_edition, "GET", "/operator/editions/{number}", operator.EditionDetail),
    _operator(operator.list_subscribers, "GET", "/operator/subscribers", operator.SubscriberList),
    _operator(operator.suppress, "POST", "/operator/suppress", operator.Suppressed),
    _operator(operator.release, "POST", "/operator/release", operator.Released),
)  # fmt: skip
