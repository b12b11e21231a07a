"""A day of arXiv that fails in one way, from the feed to the mail and the pages.

Five categories: 86 papers of four good ones, of which 9 are cross-listed to cs.CL, and 16 of cs.CL
alone. The Friday before and the Tuesday after have one paper in each category, and no faults.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from html import unescape

import httpx2
from sqlalchemy import Engine, text

from service.deliveries.domain.recipients import Cadence, Timing
from service.editions.store.editions import find_edition
from service.papers.store.batches import find_batch
from service.papers.store.models import Batch
from service.platform.settings.settings import Settings
from service.web.app import create_app
from support.newsletter.installation import Installation
from support.newsletter.press import make_press, plain_text
from support.servers.loopback_http import LoopbackHttp, Response
from support.sources.upstream import Ask, Event, Upstream
from support.web.server import serve

LOST = "cs.CL"
GOOD = ("cs.LG", "cs.CV", "cs.AI", "stat.ML")
CATEGORIES = (LOST, *GOOD)
MONDAY = date(2026, 9, 21)
GOOD_COUNT, LOST_COUNT, SHARED_COUNT = 86, 25, 9
ALL, ONLY_LOST = "all@example.org", "only@example.org"
NOTHING_NEW = "Nothing new matches your topics today"


def invent_days(monday: date, shared: int) -> list[Event]:
    """Return the papers of the three days; `shared` of the good categories are cross-listed."""
    friday, tuesday = monday - timedelta(days=3), monday + timedelta(days=1)
    events = [_event(friday, 10_000 + n, (name,)) for n, name in enumerate(CATEGORIES)]
    for number in range(GOOD_COUNT):
        names = (GOOD[number % 4], *((LOST,) if number < shared else ()))
        events.append(_event(monday, 20_000 + number, names))
    events += [_event(monday, 21_000 + n, (LOST,)) for n in range(LOST_COUNT - shared)]
    return events + [_event(tuesday, 30_000 + n, (name,)) for n, name in enumerate(CATEGORIES)]


def _event(on: date, number: int, categories: tuple[str, ...]) -> Event:
    return Event(on, number, categories, on - timedelta(days=4 if on.weekday() == 0 else 2))


@dataclass
class SourceDays:
    """The upstream, the installation, and two subscribers who want empty mails, too."""

    upstream: Upstream
    here: Installation
    engine: Engine
    monday: date

    @property
    def tuesday(self) -> date:
        return self.monday + timedelta(days=1)

    def live(self, on: date, *hours: int) -> None:
        """Live some hours (UTC) of a day."""
        self.here.live([on], hours)

    def live_before(self) -> None:
        self.live(self.monday - timedelta(days=3), 5, 15)

    def mail_of(self, on: date, recipient: str = ALL) -> str:
        """Return the text of the digest of a date on one line."""
        dated = f"{on:%A} {on.day} {on:%B %Y} ·"
        texts = [
            " ".join(plain_text(one.payload).split())
            for one in self.here.transport.sent
            if one.recipient == recipient
        ]
        (found,) = [text for text in texts if dated in text]
        return found

    def pages_of(self, on: date, *paths: str) -> dict[str, str]:
        """Return the text of the pages that speak of a date, by path."""
        app = create_app(
            self.here.settings,
            self.here.sessions,
            enqueue=lambda *_: None,
            clock=self.here.press.clock,
        )
        chosen = paths or (f"/daily/{on}", "/status")
        with serve(app) as address, httpx2.Client(base_url=address, timeout=20) as client:
            return {path: unescape(unescape(client.get(path).text)) for path in chosen}

    def batch(self, category: str = LOST) -> Batch:
        with self.here.sessions() as session:
            batch = find_batch(session, "arxiv", category, self.monday)
            assert batch is not None
            return batch

    def has_edition(self, on: date) -> bool:
        with self.here.sessions() as session:
            return find_edition(session, Cadence.DAILY, on) is not None

    def spoil(
        self,
        make: Callable[[Ask, Response], Response],
        *channels: str,
        categories: Iterable[str] = CATEGORIES,
        until: int = 22,
    ) -> None:
        """Apply a fault to Monday's answers of some channels until an hour in New York."""
        names = {*categories}

        def fault(ask: Ask, answer: Response) -> Response:
            is_hit = ask.channel in channels and names & _categories_of(ask)
            is_time = ask.local.date() == self.monday and ask.local.hour < until
            return make(ask, answer) if is_hit and is_time else answer

        self.upstream.faults.append(fault)

    def feed(self, category: str, of: date, dated: date) -> Response:
        return 200, {}, self.upstream.feed_of(category, of, dated)


def _categories_of(ask: Ask) -> set[str]:
    if ask.category:
        return {ask.category}
    query = ask.request.query.replace("%3A", ":")
    return {name for name in CATEGORIES if name.replace(".", ":") in query}


def make_source_days(
    http: LoopbackHttp,
    settings: Settings,
    engine: Engine,
    *,
    monday: date = MONDAY,
    shared: int = SHARED_COUNT,
    timeout: float = 5.0,
) -> SourceDays:
    start = datetime.combine(monday - timedelta(days=3), time(0), tzinfo=UTC)
    press = make_press(settings, engine, start)
    upstream = Upstream(http, invent_days(monday, shared), press.clock)
    upstream.open(CATEGORIES)
    press.settings = settings.model_copy(
        update={
            "sources": ("arxiv",),
            "arxiv_categories": CATEGORIES,
            "arxiv_feed_url": http.url,
            "arxiv_list_url": f"{http.url}/list",
            "arxiv_oai_url": f"{http.url}/oai",
            "arxiv_api_url": f"{http.url}/api",
            "http_timeout_seconds": timeout,
            "digest_max_papers": 1000,
            "digest_max_bytes": 10_000_000,
        }
    )
    at_once = Timing.WHEN_COMPLETE
    (whole,) = press.add_subscribers(ALL, topics=["cat:cs.*", "cat:stat.ML"], timing=at_once)
    (single,) = press.add_subscribers(ONLY_LOST, topics=[f"cat:{LOST}"], timing=at_once)
    for subscriber in (whole, single):
        press.change(subscriber, has_empty_digests=True)
    return SourceDays(upstream, Installation(press, press.settings), engine, monday)


def away(_ask: Ask, _answer: Response) -> Response:
    """Answer as a broken server does: unlike a refusal, it closes no gate to other requests."""
    return 500, {}, b"Internal Server Error"


def unavailable(_ask: Ask, _answer: Response) -> Response:
    return 503, {}, b"Service Unavailable"


def reset(_ask: Ask, _answer: Response) -> Response:
    return 0, {}, b""


def refused(_ask: Ask, _answer: Response) -> Response:
    return 403, {}, b"Forbidden"


def edit(change: Callable[[bytes], bytes]) -> Callable[[Ask, Response], Response]:
    """Return a fault that changes the body of an answer."""

    def make(_ask: Ask, answer: Response) -> Response:
        status, headers, body = answer
        return status, headers, change(body)

    return make


def check_words(days: SourceDays, *sentences: str, line: str = "") -> None:
    """Check the mail of Monday, the day's page and the status page, and that none says more."""
    texts = {"mail": days.mail_of(days.monday), **days.pages_of(days.monday)}
    for place, shown in texts.items():
        for sentence in (line, *sentences):
            assert sentence in shown, (place, sentence)
        for wrong in ("a holiday", "0 of 0", NOTHING_NEW):
            assert wrong not in shown, (place, wrong)


def check_late(days: SourceDays, count: int) -> None:
    """Live Tuesday: its edition has Monday's missing papers, marked, and each paper came once."""
    with days.engine.begin() as connection:
        # A day passes for the gates, too, whose clock is the database's.
        connection.execute(text("UPDATE gates SET next_at = now()"))
    days.live(days.tuesday, 3, 5, 6, 15)
    mail = days.mail_of(days.tuesday)
    assert f"{count} late from Monday" in mail if count else "late from" not in mail
    announced = {event.key for event in days.upstream.events}
    assert dict(days.here.placed()) == dict.fromkeys(announced, 1)
