"""arXiv on loopback: feed, listing and OAI-PMH, all from one set of invented papers, with faults.

The channels have arXiv's own times (its pages on availability, RSS and OAI-PMH), all New York: the
listing changes at 20:00 of the previous day, OAI-PMH at 22:30, the feed at midnight. A fault is a
function from the correct response to another one, so that each test defines its fault and its time.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from email.utils import format_datetime
from html import escape
from urllib.parse import parse_qs

from service.papers.domain.announcement_days import ARXIV_ZONE
from service.papers.sources.arxiv_oai import set_of
from support.servers.loopback_http import LoopbackHttp, Request, Response
from support.sources.feeds import Told, render_feed

LISTING_LEADS = timedelta(hours=4)
OAI_LEADS = timedelta(hours=1, minutes=30)
# arXiv's limit, which its query applies to the oldest kinds first: new papers are what is lost.
FEED_LIMIT = 2000
_QUERY_ORDER = ("replace-cross", "replace", "cross", "new")
_XML = {"Content-Type": "text/xml"}


@dataclass(frozen=True, slots=True)
class Event:
    """One paper announced on one day: its first version, or a later one. `categories`: primary first."""

    on: date
    number: int
    categories: tuple[str, ...]
    submitted_on: date
    version: int = 1
    title: str = ""
    abstract: str = "An abstract about words."
    comment: str = ""
    doi: str = ""
    source_type: str = ""
    # A paper that only OAI-PMH ever tells of: neither the feed nor the listing counts it.
    is_moderated: bool = False

    @property
    def key(self) -> str:
        return f"arxiv:2609.{self.number:05d}"

    def kind_in(self, category: str) -> str:
        kind = "new" if self.version == 1 else "replace"
        if category == self.categories[0]:
            return kind
        return "cross" if kind == "new" else "replace-cross"

    def as_announced(self, category: str) -> Told:
        return Told(
            self.number,
            self.kind_in(category),
            self.version,
            self.title,
            self.abstract,
            self.categories,
        )


@dataclass(frozen=True, slots=True)
class Ask:
    """A request as a fault sees it; `now` is the time of the upstream's clock."""

    channel: str
    category: str
    now: datetime
    request: Request

    @property
    def local(self) -> datetime:
        return self.now.astimezone(ARXIV_ZONE)


Fault = Callable[[Ask, Response], Response]


def invent(
    days: Sequence[date],
    categories: Sequence[str],
    *,
    each: int = 4,
    kept: Callable[[date], bool] = lambda _: True,
) -> list[Event]:
    """Return new papers of every category on every announcement day, every third cross-listed.

    From the second day on a paper of the previous day is replaced. Numbers grow by announcement.
    """
    events: list[Event] = []
    number = 10_000
    for on in days:
        if on.weekday() > 4 or not kept(on):
            continue
        before = [event for event in events if event.version == 1][-each:]
        for place, category in enumerate(categories):
            for one in range(each):
                number += 1
                others = (categories[(place + 1) % len(categories)],) if one % 3 == 0 else ()
                submitted = on - timedelta(days=4 if on.weekday() == 0 else 2)
                events.append(Event(on, number, (category, *others), submitted))
        events += [
            Event(on, old.number, old.categories, old.submitted_on, version=2) for old in before[:1]
        ]
    return events


@dataclass
class Upstream:
    """The three channels over one set of papers. `faults` are applied in their order."""

    http: LoopbackHttp
    events: list[Event]
    clock: Callable[[], datetime]
    faults: list[Fault] = field(default_factory=list)
    page_size: int = 100
    requests: list[Ask] = field(default_factory=list)

    def open(self, categories: Iterable[str]) -> None:
        """Serve these categories from now on."""
        for category in categories:
            self.http.routes[f"/rss/{category}"] = self._route("feed", category)
            self.http.routes[f"/list/{category}/new"] = self._route("listing", category)
        self.http.routes["/oai"] = self._route("oai", "")

    def _route(self, channel: str, category: str) -> Callable[[Request], Response]:
        def respond(request: Request) -> Response:
            ask = Ask(channel, category, self.clock(), request)
            self.requests.append(ask)
            answer: Response = getattr(self, channel)(ask)
            for fault in self.faults:
                answer = fault(ask, answer)
            return answer

        return respond

    def announced_on(self, category: str, on: date) -> list[Event]:
        """Return arXiv's announcements in a category on a date, without moderated papers."""
        return [
            event
            for event in self.events
            if event.on == on and category in event.categories and not event.is_moderated
        ]

    def first_keys(self, category: str, on: date) -> set[str]:
        """Return papers that are new or cross-listed in a category on a date."""
        return {event.key for event in self.announced_on(category, on) if event.version == 1}

    def feed(self, ask: Ask) -> Response:
        return 200, {}, self.feed_of(ask.category, ask.local.date(), ask.local.date())

    def feed_of(self, category: str, on: date, rendered_on: date) -> bytes:
        """Return the feed that is rendered on a day with the papers of a day."""
        announced = [event.as_announced(category) for event in self.announced_on(category, on)]
        # The order of the query, then the limit; the feed shows the reverse.
        announced.sort(key=lambda one: _QUERY_ORDER.index(one.announce_type))
        return render_feed(rendered_on, *announced[:FEED_LIMIT][::-1])

    def listing(self, ask: Ask) -> Response:
        latest = (ask.local + LISTING_LEADS).date()
        days = [event.on for event in self.events if event.on <= latest]
        on = max(days, default=latest)
        return 200, {}, render_listing(on, self.announced_on(ask.category, on), ask.category)

    def oai(self, ask: Ask) -> Response:
        """Return ListRecords in arXivRaw, in pages; a token holds its list and the UTC day of its validity."""
        requests = {name: values[0] for name, values in parse_qs(ask.request.query).items()}
        today = ask.now.astimezone(UTC).date()
        if token := requests.get("resumptionToken"):
            since, chosen, start, good_on = token.split("|")
            if good_on != str(today):
                return render_oai_error("badResumptionToken", ask.now)
        else:
            since, chosen, start = requests["from"], requests["set"], "0"
        records = self._records(date.fromisoformat(since), chosen, ask)
        first, last = int(start), int(start) + self.page_size
        rest = f"{since}|{chosen}|{last}|{today}" if last < len(records) else ""
        return render_oai(records[first:last], rest, ask.now)

    def _records(self, since: date, chosen: str, ask: Ask) -> list[list[Event]]:
        """Return each paper with its versions so far."""
        latest = (ask.local + OAI_LEADS).date()
        papers: dict[str, list[Event]] = {}
        for event in sorted(self.events, key=lambda one: (one.on, one.version)):
            if event.on <= latest and any(set_of(c) == chosen for c in event.categories):
                papers.setdefault(event.key, []).append(event)
        return [some for some in papers.values() if some[-1].on >= since]


def render_listing(on: date, announced: Sequence[Event], category: str) -> bytes:
    """The page `/list/<category>/new`: three counted sections, or the word that there are none."""
    day = f"{on:%A}, {on.day} {on:%B %Y}"
    sections = "".join(
        _section(f"{heading} for {day}", [e for e in announced if e.kind_in(category) in kinds])
        for heading, kinds in (
            ("New submissions", {"new"}),
            ("Cross submissions", {"cross"}),
            ("Replacement submissions", {"replace", "replace-cross"}),
        )
    )
    total = f"<div class='paging'>Total of {len(announced)} entries </div>" if announced else ""
    return f"""<!DOCTYPE html><html lang="en"><head><title>{category}</title></head>
<body><div id='dlpage'><h1>{category}</h1><h3>Showing new listings for {day}</h3>
{total}{sections or "<p>No updates today.</p>"}{total}</div></body></html>""".encode()


def _section(heading: str, events: Sequence[Event]) -> str:
    if not events:
        return ""
    entries = "".join(
        f"<dt><a href='/abs/{event.key[6:]}' title='Abstract'>{event.key}</a></dt><dd>A paper</dd>"
        for event in events
    )
    count = f"(showing {len(events)} of {len(events)} entries )"
    return f"<dl id='articles'><h3>{heading} {count}</h3>{entries}</dl>"


def render_oai(records: Sequence[list[Event]], token: str, now: datetime) -> Response:
    if not records:
        return render_oai_error("noRecordsMatch", now)
    listed = "".join(_record(versions) for versions in records)
    end = f"<resumptionToken>{token}</resumptionToken>"
    return _oai(f"<ListRecords>{listed}{end}</ListRecords>", now)


def render_oai_error(code: str, now: datetime) -> Response:
    return _oai(f"<error code='{code}'>as it is</error>", now)


def _oai(inside: str, now: datetime) -> Response:
    page = f"""<?xml version="1.0" encoding="UTF-8"?>
<OAI-PMH xmlns="http://www.openarchives.org/OAI/2.0/">
<responseDate>{now:%Y-%m-%dT%H:%M:%SZ}</responseDate><request verb="ListRecords">x</request>
{inside}</OAI-PMH>"""
    return 200, _XML, page.encode()


def _record(versions: Sequence[Event]) -> str:
    last = versions[-1]
    return f"""<record><header><identifier>oai:arXiv.org:{last.key[6:]}</identifier>
<datestamp>{last.on}</datestamp><setSpec>cs</setSpec></header><metadata>
<arXivRaw xmlns="http://arxiv.org/OAI/arXivRaw/"><id>{last.key[6:]}</id>
{_versions(versions)}<title>{escape(last.title or f"Paper number {last.number}")}</title>
<authors>Ada Lovelace, Grace Hopper</authors><categories>{" ".join(last.categories)}</categories>
<comments>{escape(last.comment)}</comments><doi>{escape(last.doi)}</doi>
<license>http://arxiv.org/licenses/nonexclusive-distrib/1.0/</license>
<abstract>{escape(last.abstract)}</abstract></arXivRaw></metadata></record>"""


def _versions(versions: Sequence[Event]) -> str:
    """All versions from the first on, also those told before this truth begins."""
    shown_text = ""
    for number in range(1, versions[-1].version + 1):
        event = next((e for e in versions if e.version == number), versions[0])
        on = event.submitted_on if number == 1 else event.on - timedelta(days=1)
        when = format_datetime(datetime.combine(on, time(15), tzinfo=UTC))
        kind = f"<source_type>{event.source_type}</source_type>" if event.source_type else ""
        shown_text += f"<version version='v{number}'><date>{when}</date>{kind}</version>"
    return shown_text
