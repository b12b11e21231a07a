"""The operator's operations, which the commands `status subscribers suppress release` have, too."""

from datetime import date, datetime
from typing import Annotated

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field

from service.deliveries.domain.recipients import Cadence, SubscriberState, Timing
from service.editions.balance import Balance, edition_balances
from service.operations.status import find_status, find_story
from service.operations.store.edition_reports import latest_editions
from service.papers.domain.announcement_days import announcement_date
from service.papers.domain.periods import PeriodKind
from service.papers.domain.types import BatchState, SourceAnswer
from service.platform.database.engine import transaction
from service.subscribers.lifecycle import release_address, suppress_address
from service.subscribers.store.directory import SubscriberFilter, list_page
from service.subscribers.store.models import Subscriber
from service.subscribers.store.subscribers import get_named_topics
from service.subscribers.validate import SignUpError, validate_address
from service.web.api.faults import explain_fields
from service.web.api.models import Address, Cleaned, Listed
from service.web.api.models_subscriber import TopicItem, show_topic
from service.web.core.context import Context
from service.web.core.problems import ApiProblem
from service.web.pages.home import find_period

# The maximum of Postgres' bigint; a larger parameter would be an error.
_LARGEST_ID = 2**63 - 1
_MOST_EDITIONS = 50

OnDate = Annotated[
    str | None,
    Query(
        alias="date",
        pattern="^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
        description="Batches and editions of this day; today where it is left out.",
    ),
]
EditionNumber = Annotated[
    int, Path(ge=1, le=_LARGEST_ID, description="The number of the edition, as in the list.")
]
Cursor = Annotated[
    int | None, Query(ge=1, le=_LARGEST_ID, description="Only those with a smaller id; see `next`.")
]
Limit = Annotated[int, Query(ge=1, le=200, description="How many make a page.")]
StateFilter = Annotated[SubscriberState | None, Query(description="Only those in this state.")]


class EditionBalance(BaseModel):
    """An edition's counts; `closes` says whether every candidate is accounted for."""

    model_config = ConfigDict(from_attributes=True)

    edition_id: int
    cadence: Cadence
    local_date: date
    state: str
    closed_at: datetime | None
    paper_count: int
    candidate_count: int | None
    states: dict[str, int]
    closes: bool


class ReplyItem(BaseModel):
    """Failed deliveries with one class of reply."""

    model_config = ConfigDict(from_attributes=True)

    code: str
    count: int
    example: str


class DoubtItem(BaseModel):
    """Deliveries in doubt with the same provider, relay and last reply."""

    model_config = ConfigDict(from_attributes=True)

    provider: str
    relay: str
    detail: str
    count: int
    since: datetime


class EditionDetail(EditionBalance):
    """An edition's balance with what is behind its numbers."""

    failures: list[ReplyItem]
    doubts: list[DoubtItem]
    rate_per_second: float
    ends_at: datetime | None


class Editions(BaseModel):
    """The latest editions, newest first."""

    editions: list[EditionBalance]


class BatchItem(BaseModel):
    """A day's announcements of one source and category."""

    model_config = ConfigDict(from_attributes=True)

    source: str
    category: str
    announced_on: date
    state: BatchState
    answer: SourceAnswer
    announced_count: int
    expected_count: int | None
    late_count: int
    bad_count: int
    note: str


class StatusAnswer(BaseModel):
    """Waiting mail and mail in doubt now, and the batches and editions of a day."""

    model_config = ConfigDict(from_attributes=True)

    on: date
    due_count: int
    oldest_due_at: datetime | None
    queued: dict[str, int]
    in_doubt_count: int
    restored: str | None
    batches: list[BatchItem]
    editions: list[EditionDetail]


class SubscriberItem(BaseModel):
    """A subscriber with settings and topics."""

    id: int
    email: str
    state: SubscriberState
    cadence: Cadence
    hour: int
    timezone: str
    timing: Timing
    created_at: datetime
    confirmed_at: datetime | None
    topics: list[TopicItem]


class SubscriberList(Listed):
    """A page of subscribers, newest first; `older` is the cursor of the next page."""

    items: list[SubscriberItem]
    older: int | None

    def neighbours(self) -> dict[str, dict[str, int]]:
        return {"next": {"before": self.older}} if self.older else {}


class Suppress(BaseModel):
    """An address that must never be mailed again, and why."""

    model_config = ConfigDict(extra="forbid")

    email: Address
    why: Annotated[str, Field(min_length=1, max_length=500), Cleaned]


class Release(BaseModel):
    """An address that may be mailed again, once its owner signs up again."""

    model_config = ConfigDict(extra="forbid")

    email: Address


class Suppressed(BaseModel):
    """An address that is suppressed now; `is_new` says whether it was not before."""

    email: str
    is_new: bool


class Released(BaseModel):
    """An address that is not suppressed any more."""

    email: str


def get_status(context: Context, on: OnDate = None) -> StatusAnswer:
    """Return what waits or is in doubt, and the batches and editions of a day."""
    now = context.clock()
    day = find_period(PeriodKind.DAILY, on).first if on else announcement_date(now)
    return StatusAnswer.model_validate(find_status(context.sessions, context.settings, day, now))


def list_editions(context: Context) -> Editions:
    """Return the balances of the latest editions."""
    with transaction(context.sessions) as session:
        balances = edition_balances(session, latest_editions(session, _MOST_EDITIONS))
    return Editions(editions=[_show_balance(balance) for balance in balances])


def _show_balance(balance: Balance) -> EditionBalance:
    return EditionBalance.model_validate(balance)


def get_edition(context: Context, number: EditionNumber) -> EditionDetail:
    """Return the balance of an edition, its failures and its doubts."""
    story = find_story(context.sessions, number, context.clock())
    if story is None:
        raise ApiProblem(404, "There is no such edition.")
    return EditionDetail.model_validate(story)


def list_subscribers(
    context: Context, state: StateFilter = None, before: Cursor = None, limit: Limit = 50
) -> SubscriberList:
    """Return subscribers, newest first."""
    chosen = SubscriberFilter("", state)
    with transaction(context.sessions) as session:
        page = list_page(session, chosen, before=before, limit=limit)
        topics = get_named_topics(session, [one.id for one in page.subscribers])
        items = [
            _show_subscriber(one, [show_topic(each) for each in topics.get(one.id, [])])
            for one in page.subscribers
        ]
    return SubscriberList(items=items, older=page.older)


def _show_subscriber(subscriber: Subscriber, topics: list[TopicItem]) -> SubscriberItem:
    names = set(SubscriberItem.model_fields) - {"topics"}
    return SubscriberItem(**{name: getattr(subscriber, name) for name in names}, topics=topics)


def suppress(context: Context, body: Suppress) -> Suppressed:
    """Never mail an address again, even if it signs up again."""
    keys = context.settings.secret_key
    try:
        address = validate_address(body.email, takes_utf8=True)
        with transaction(context.sessions) as session:
            is_new = suppress_address(session, address, keys, body.why, context.clock())
    except SignUpError as error:
        raise explain_fields(error) from error
    return Suppressed(email=address, is_new=is_new)


def release(context: Context, body: Release) -> Released:
    """Allow mail to a suppressed address again; its owner has to sign up again."""
    try:
        address = validate_address(body.email, takes_utf8=True)
        with transaction(context.sessions) as session:
            released = release_address(session, address, context.settings.secret_key)
    except SignUpError as error:
        raise explain_fields(error) from error
    if not released:
        raise ApiProblem(404, "This address is not suppressed.")
    return Released(email=address)
