"""arXiv on loopback and an installation that reads it, with invariants that must always hold."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from sqlalchemy import Engine

from service.deliveries.domain.recipients import Cadence
from service.papers.domain.types import BatchState
from service.platform.settings.settings import Settings
from support.newsletter.installation import Installation, repeated, span
from support.newsletter.press import make_press
from support.servers.loopback_http import LoopbackHttp
from support.sources.upstream import Event, Upstream

CATEGORIES = ("cs.CL", "cs.LG", "cs.CV")
WEDNESDAY, THURSDAY, FRIDAY = (date(2026, 9, day) for day in (16, 17, 18))
SATURDAY, SUNDAY, MONDAY, TUESDAY = (date(2026, 9, day) for day in (19, 20, 21, 22))
WEEKEND_HOURS = (6, 15)


@dataclass
class World:
    """The upstream, the installation, and two subscribers to all papers, daily and on weekdays."""

    upstream: Upstream
    here: Installation
    daily_subscriber: int
    weekday_subscriber: int

    def live(self, first: date = THURSDAY, last: date = MONDAY) -> None:
        for day in span(first, last):
            if day.weekday() < 5:
                self.here.live([day])
            else:
                self.here.live([day], WEEKEND_HOURS)

    @property
    def announced(self) -> set[str]:
        return {event.key for event in self.upstream.events if event.version == 1}

    def check_that_nothing_is_lost_or_doubled(self) -> None:
        once = Counter(self.announced)
        for cadence in (Cadence.DAILY, Cadence.WEEKDAYS):
            assert self.here.placed(cadence) == once, cadence
        for subscriber in (self.daily_subscriber, self.weekday_subscriber):
            sent = self.here.sent(subscriber)
            assert repeated(sent) == []
            assert set(sent) == self.announced

    def check_that_complete_means_complete(self) -> None:
        """Never `complete` while the listing counts more, or arXiv announced other papers."""
        for note in self.here.notes:
            if note.state is BatchState.COMPLETE:
                missing = self.upstream.first_keys(note.category, note.on) - note.held
                assert not missing, note
                assert note.expected_count is None or len(note.held) >= note.expected_count, note

    def check_that_the_past_is_in(self, days: Sequence[date] = (THURSDAY, FRIDAY, MONDAY)) -> None:
        for on in days:
            for category in CATEGORIES:
                assert self.here.latest(category, on).state in {"complete", "closed"}


def make_world(
    http: LoopbackHttp, settings: Settings, engine: Engine, events: list[Event]
) -> World:
    press = make_press(settings, engine, datetime(2026, 9, 17, tzinfo=UTC))
    upstream = Upstream(http, events, press.clock)
    upstream.open(CATEGORIES)
    watching = settings.model_copy(
        update={
            "sources": ("arxiv",),
            "arxiv_categories": CATEGORIES,
            "arxiv_feed_url": http.url,
            "arxiv_list_url": f"{http.url}/list",
            "arxiv_oai_url": f"{http.url}/oai",
            "arxiv_api_url": f"{http.url}/api",
            "http_timeout_seconds": 5.0,
            # Nothing is to be cut here: a lost paper must not hide behind the size of a mail.
            "digest_max_papers": 1000,
        }
    )
    press.settings = watching
    topics = [*(f"cat:{category}" for category in CATEGORIES), "paper", "words"]
    (daily,) = press.add_subscribers("daily@example.org", topics=topics)
    (weekday,) = press.add_subscribers(
        "weekday@example.org", topics=topics, cadence=Cadence.WEEKDAYS, hour=15
    )
    return World(upstream, Installation(press, watching), daily, weekday)
