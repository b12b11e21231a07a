"""Load the papers of a day, week or month: one page of a list, its order, and why it is empty."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from sqlalchemy.orm import Session

from service.deliveries.domain.recipients import Cadence
from service.deliveries.store.demo_mark import has_sample_papers
from service.editions.coverage import day_coverage
from service.editions.domain.coverage import Coverage
from service.editions.notes import find_opened_note
from service.papers.domain.announcement_days import is_announcement_day, is_listed_holiday
from service.papers.domain.categories import UnknownCategory, expand
from service.papers.domain.periods import Period, PeriodKind, period_of
from service.papers.domain.types import PaperView
from service.papers.store import periods as store
from service.papers.store.read import get_papers, latest_day
from service.platform.settings.settings import Settings
from service.presentation.dates import long_date
from service.presentation.sanitize import clean
from service.topics.domain.language import Query, leaf_texts
from service.topics.like_clauses import topic_condition
from service.topics.store.recent import plan_for_topics
from service.topics.topics import TopicError, validate_topic
from service.web.core.errors import PageNotFound
from service.web.views.pagination import Slice, parse_page_number
from service.web.views.paper_orders import NEWEST, RELEVANCE, TREND, PaperOrder, list_orders
from service.web.views.periods import Archive, PeriodCell, parts_of
from service.web.views.sign_up_form import Pointer, point_at

PAGE_SIZE: Final = 40
# A month of all of arXiv has 25,000 papers.
MOST_PAGES: Final = 999
_THEN: Final = {
    PeriodKind.DAILY: "on this day",
    PeriodKind.WEEKLY: "in this week",
    PeriodKind.MONTHLY: "in this month",
}
_WEEKEND: Final = "arXiv announces nothing on Saturdays and Sundays. Have a good weekend."
_AWAITED: Final = (
    "Today’s papers are not announced yet. They usually come shortly after midnight in New York."
)


@dataclass(frozen=True, slots=True)
class ListRequest:
    """What the query of a list's address asks for; as text, since anybody may have written it."""

    field: str = ""
    sort: str = ""
    q: str = ""
    page: str = "1"


@dataclass(frozen=True, slots=True)
class ListWords:
    """The words that a list is filtered by, and their topic; or what is wrong with them."""

    text: str = ""
    topic: Query | None = None
    fault: str = ""
    pointer: Pointer | None = None

    @property
    def highlighted(self) -> tuple[str, ...]:
        """The words to highlight."""
        return tuple(sorted(leaf_texts(self.topic))) if self.topic else ()


@dataclass(frozen=True, slots=True)
class PeriodPage:
    """The data of the page of a period. `field` is the requested category, empty for all.

    `note` is that of the day's daily edition, in Markdown. `scores` has what is said of each paper's place. `count` is the number of papers of the whole
    period, `total` of the list. `outage` says that today's papers could not be read, on a page that
    shows an earlier day. `begins` is the first day with papers at all. `has_upvotes` is of a list by
    trend alone.
    """

    period: Period
    field: str
    order: PaperOrder
    words: ListWords
    listed: Slice[PaperView]
    scores: dict[int, str]
    total: int
    count: int
    parts: tuple[PeriodCell, ...]
    has_upvotes: bool
    coverage: Coverage | None
    earlier: Period | None
    later: Period | None
    begins: date | None
    silence: str
    outage: str
    is_sample: bool
    note: str


def load_period(
    session: Session, settings: Settings, period: Period, today: date, request: ListRequest
) -> PeriodPage:
    """Return a period's page. Raises `PageNotFound` for an unknown field or order."""
    codes = _codes(request.field) if request.field else frozenset()
    words = _read_words(session, request.q)
    # Where no paper of a month has any, that is 25,000 look-ups: only a list by trend asks.
    asks = request.sort == TREND.name or not (request.sort or words.topic)
    has_upvotes = asks and store.has_upvotes(session, period.span)
    order = _choose_order(settings, request.sort, words, has_upvotes=has_upvotes)
    condition = None
    if words.topic:
        condition = topic_condition(session, settings, words.topic)
        plan_for_topics(session)
    choice = store.PaperChoice(period.span, codes, condition)
    number = parse_page_number(request.page, MOST_PAGES)
    ranked = _turn_to(session, choice, order, words, number)
    papers = get_papers(session, [each.id for each in ranked.listed.items])
    archive = load_archive(session, period.span, today)
    count = sum(archive.counts.values())
    coverage = _find_coverage(session, settings, period, today)
    return PeriodPage(
        period=period,
        field=request.field,
        order=order,
        words=words,
        listed=Slice(
            tuple(papers[each.id] for each in ranked.listed.items),
            ranked.listed.number,
            ranked.listed.pages,
            ranked.listed.first,
        ),
        scores={
            each.id: order.describe_score(papers[each.id], each.score)
            for each in ranked.listed.items
        },
        total=ranked.total,
        count=count,
        parts=parts_of(period, archive),
        has_upvotes=has_upvotes,
        coverage=coverage if coverage and (coverage.announced or coverage.gaps) else None,
        earlier=_find_earlier(session, period, archive.first),
        later=_find_later(period, archive.first, today),
        begins=archive.first,
        silence="" if ranked.total else _explain_silence(period, archive, coverage, request, words),
        outage=_explain_outage(session, settings, today) if period.last < today else "",
        is_sample=has_sample_papers(session),
        note=_find_note(session, settings, period),
    )


def _find_note(session: Session, settings: Settings, period: Period) -> str:
    if period.kind is not PeriodKind.DAILY or not settings.edition_notes:
        return ""
    return find_opened_note(session, Cadence.DAILY, period.first)


def load_archive(session: Session, span: tuple[date, date], today: date) -> Archive:
    """Return what is known of the days of a span."""
    return Archive(
        store.count_by_day(session, span),
        store.list_read_days(session, span),
        store.first_day(session),
        today,
    )


def _read_words(session: Session, text: str) -> ListWords:
    text = clean(text).strip()
    if not text:
        return ListWords()
    try:
        return ListWords(text, validate_topic(session, text))
    except TopicError as error:
        return ListWords(text, fault=str(error), pointer=point_at(error))


def _choose_order(
    settings: Settings, name: str, words: ListWords, *, has_upvotes: bool
) -> PaperOrder:
    if not name:
        return RELEVANCE if words.topic else TREND if has_upvotes else NEWEST
    orders = {each.name: each for each in list_orders(settings)}
    if name not in orders:
        raise PageNotFound("There is no such order", f"Orders are {', '.join(orders)}.")
    return orders[name]


@dataclass(frozen=True, slots=True)
class _RankedPage:
    listed: Slice[store.RankedPaper]
    total: int


def _turn_to(
    session: Session, choice: store.PaperChoice, order: PaperOrder, words: ListWords, number: int
) -> _RankedPage:
    """Return one page of the list, or the last one where the list is shorter."""
    if words.fault:
        return _RankedPage(Slice((), 1, 1, 1), 0)
    score = order.score(words.topic)

    def read(number: int) -> tuple[Sequence[store.RankedPaper], int]:
        window = ((number - 1) * PAGE_SIZE, PAGE_SIZE)
        return store.list_ranked(session, choice, score, order.keys, window)

    found, total = read(number)
    if not found and number > 1:
        number = max(1, -(-store.count_chosen(session, choice) // PAGE_SIZE))
        found, total = read(number)
    pages = max(1, -(-total // PAGE_SIZE))
    return _RankedPage(Slice(tuple(found), number, pages, (number - 1) * PAGE_SIZE + 1), total)


def _codes(field: str) -> frozenset[str]:
    try:
        return expand(field)
    except UnknownCategory as error:
        raise PageNotFound("There is no such field", str(error)) from error


def _find_coverage(
    session: Session, settings: Settings, period: Period, today: date
) -> Coverage | None:
    """Return the coverage of a day; that of a week or month is on the pages of its days."""
    is_day = period.kind is PeriodKind.DAILY
    return day_coverage(session, period.first, settings, today) if is_day else None


def _find_earlier(session: Session, period: Period, begins: date | None) -> Period | None:
    """Return the period before, if it is not before the first paper: of days, one with papers."""
    if begins is None or period.first <= begins:
        return None
    if period.kind is not PeriodKind.DAILY:
        return period.previous()
    on = latest_day(session, period.first - timedelta(days=1))
    return period_of(period.kind, on) if on else None


def _find_later(period: Period, begins: date | None, today: date) -> Period | None:
    if begins and period.last < begins:
        return period_of(period.kind, begins)
    later = period.next()
    while later.kind is PeriodKind.DAILY and not is_announcement_day(later.first):
        later = later.next()
    return later if later.first <= today else None


def _explain_outage(session: Session, settings: Settings, today: date) -> str:
    coverage = day_coverage(session, today, settings)
    return coverage.note if coverage and coverage.has_outage else ""


def _explain_silence(
    period: Period,
    archive: Archive,
    coverage: Coverage | None,
    request: ListRequest,
    words: ListWords,
) -> str:
    """Return why there is nothing to show."""
    lost = {gap.category for gap in coverage.gaps if gap.kind.is_lost} if coverage else set()
    is_in_field = bool(request.field and archive.counts)
    then, noun = _THEN[period.kind], period.kind.noun
    if words.fault:
        text = "No papers are shown, since these words cannot be searched for."
    elif words.topic and archive.counts:
        text = f"No papers of this {noun} match. Fewer words, or some joined with OR, find more."
    elif coverage and (lost & _codes(request.field) if is_in_field else coverage.has_outage):
        text = coverage.note
    elif is_in_field:
        text = f"Nothing was announced in this field {then}."
    elif archive.first and period.last < archive.first:
        text = f"The first papers here are from {long_date(archive.first)}."
    elif period.kind is PeriodKind.DAILY:
        text = _explain_empty_day(period.first, archive, coverage)
    else:
        end = "yet" if period.last >= archive.today else then
        text = f"No papers were announced or read {end}."
    return text


def _explain_empty_day(on: date, archive: Archive, coverage: Coverage | None) -> str:
    is_awaited = on == archive.today and not (coverage and coverage.is_empty)
    rules = (
        (not is_announcement_day(on), _WEEKEND),
        (is_awaited, _AWAITED),
        (bool(coverage and coverage.note), coverage.note if coverage else ""),
        (
            is_listed_holiday(on),
            # The calendar alone proves nothing (docs/completeness.md), so no more is said.
            "No papers were read on this day, a holiday in arXiv’s calendar.",
        ),
        (
            on not in archive.requested,
            "Nothing was read on this day: no source was asked for papers.",
        ),
        (True, "No papers were announced on this day."),
    )
    return next(text for holds, text in rules if holds)
