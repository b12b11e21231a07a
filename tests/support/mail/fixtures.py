"""Factories of invented papers and digests, one renderer for the whole run, and test relays."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from service.deliveries.alerts import Alert
from service.deliveries.domain.recipients import Cadence
from service.deliveries.domain.states import DeliveryKind
from service.editions.domain.arrivals import Arrival
from service.editions.domain.coverage import Coverage
from service.messages.contexts.digest import (
    DigestContext,
    DigestPaper,
    DigestSection,
    PaperLinks,
    ShownPaper,
    SubscriberLinks,
)
from service.messages.contexts.transactional import (
    AddressChangeContext,
    AddressNoticeContext,
    ConfirmationContext,
    DailyReportContext,
    FarewellContext,
    MailContext,
    OperatorAlertContext,
    PausedContext,
    PersonalLinkContext,
    ResumedContext,
    TestContext,
    TopicsChangedContext,
    WelcomeContext,
)
from service.messages.rendering.renderer import Renderer
from service.papers.domain.types import AnnounceType, PaperView
from service.platform.settings.relays import SmtpRelay
from service.sending.smtp.limits import SMTP_LIMITS, SmtpLimits
from service.sending.smtp.rate_limit import SendRate
from service.sending.smtp.transport import SmtpTransport
from service.topics.domain.names import derive_name
from service.topics.domain.types import NamedTopic, Reason
from support.smtp.scripted_smtp import ScriptedSmtp

TUESDAY = date(2026, 4, 21)
BASE = "https://papers.example.org"
TOKEN = "eyJzIjoxMjM0fQ." + "Ab9_" * 20
ADDRESS = "Example Institute\n1 Sample Street, 12345 Sampletown"

A_PAPER = PaperView(
    id=1,
    key="arxiv:2604.90001",
    source="arxiv",
    identifier="2604.90001",
    title="Efficient Prompt Tuning by Invented Means",
    abstract="Prompt tuning is a promising method. It attaches a soft prompt to the input.",
    authors=("Ada Example", "Bo Sample"),
    categories=("cs.CL", "cs.LG"),
    primary_category="cs.CL",
    announced_as=AnnounceType.NEW,
    announced_on=date(2026, 4, 21),
    url="https://arxiv.org/abs/2604.90001",
)

A_REASON = Reason('"prompt tuning"', "title", ("prompt tuning",))

A_DIGEST = DigestContext(
    cadence=Cadence.WEEKDAYS,
    local_date=date(2026, 4, 21),
    coverage=Coverage(announced=412, checked=412),
    groups=(),
    links=SubscriberLinks(
        preferences=f"{BASE}/preferences/{TOKEN}",
        unsubscribe=f"{BASE}/unsubscribe/{TOKEN}",
        pause=f"{BASE}/preferences/{TOKEN}#pause",
        browser=f"{BASE}/editions/{TOKEN}",
        home=BASE,
    ),
    topics=("Prompt tuning",),
    subscribed_on=date(2026, 3, 3),
    operator_address=ADDRESS,
)


def name_queries(*queries: str) -> tuple[NamedTopic, ...]:
    """Return saved topics with derived names."""
    return tuple(NamedTopic(n, derive_name(query), query) for n, query in enumerate(queries, 1))


@pytest.fixture(scope="session")
def renderer() -> Renderer:
    return Renderer()


@pytest.fixture(scope="session")
def make_entry() -> Callable[..., DigestPaper]:
    """Return a paper in a digest; keywords change the paper, `reasons` and `links` the entry."""

    def make(number: int = 1, **changes: Any) -> DigestPaper:
        identifier = f"2604.{90000 + number}"
        links = PaperLinks(
            abstract=f"https://arxiv.org/abs/{identifier}",
            pdf=f"https://arxiv.org/pdf/{identifier}",
        )
        reasons = changes.pop("reasons", (A_REASON,))
        shown = ShownPaper(
            links=changes.pop("links", links),
            maybe_seen=changes.pop("maybe_seen", False),
            paper=replace(A_PAPER, id=number, identifier=identifier, **changes),
        )
        return DigestPaper(shown, reasons)

    return make


@pytest.fixture(scope="session")
def make_digest() -> Callable[..., DigestContext]:
    """Return a digest with one group of the given entries; keywords change the context."""

    def make(*entries: DigestPaper, **changes: Any) -> DigestContext:
        groups = (DigestSection(title="Prompt tuning", papers=entries),) if entries else ()
        return replace(A_DIGEST, **{"groups": groups, **changes})

    return make


@pytest.fixture(scope="session")
def every_mail(
    make_entry: Callable[..., DigestPaper], make_digest: Callable[..., DigestContext]
) -> dict[DeliveryKind, MailContext]:
    """Return one context of each kind."""
    own: dict[str, Any] = {"home": BASE, "operator_address": ADDRESS}
    ways: dict[str, Any] = {
        "preferences": f"{BASE}/preferences/{TOKEN}",
        "unsubscribe": f"{BASE}/unsubscribe/{TOKEN}",
        **own,
    }
    proof: dict[str, Any] = {
        "confirm_url": f"{BASE}/confirm/{TOKEN}",
        "never_url": f"{BASE}/never/{TOKEN}",
        "expires_days": 7,
        "on": TUESDAY,
        **own,
    }
    topics = name_queries('"prompt tuning" cat:cs.CL', 'au:"Ada Example"')
    hour: dict[str, Any] = {"next_hour": 7, "timezone": "Europe/Berlin"}
    first = Arrival(datetime(2026, 4, 22, 7, tzinfo=ZoneInfo("Europe/Berlin")), is_about=False)
    shown = DigestSection(title=topics[0].name, papers=(make_entry(3),))
    at = datetime(2026, 4, 21, 7, 5, tzinfo=UTC)
    alert = Alert(
        subject="arXiv has not answered for 6 hours",
        detail="The batches of cs.CL and cs.LG are not complete.",
        hint="See whether the source is reachable from this machine: paperboy doctor",
    )
    return {
        DeliveryKind.DIGEST: make_digest(make_entry(1), make_entry(2)),
        DeliveryKind.CONFIRMATION: ConfirmationContext(**proof),
        DeliveryKind.PERSONAL_LINK: PersonalLinkContext(on=TUESDAY, **hour, **ways),
        DeliveryKind.WELCOME: WelcomeContext(
            on=TUESDAY, topics=topics, preview=(shown,), first=first, **hour, **ways
        ),
        DeliveryKind.TOPICS_CHANGED: TopicsChangedContext(topics=topics, on=TUESDAY, **ways),
        DeliveryKind.PAUSED: PausedContext(until=date(2026, 5, 4), on=TUESDAY, **ways),
        DeliveryKind.RESUMED: ResumedContext(cadence=Cadence.WEEKDAYS, on=TUESDAY, **hour, **ways),
        DeliveryKind.FAREWELL: FarewellContext(
            undo_url=f"{BASE}/undo/{TOKEN}", preferences=ways["preferences"], on=TUESDAY, **own
        ),
        DeliveryKind.ADDRESS_CHANGE: AddressChangeContext(**proof),
        DeliveryKind.OPERATOR_ALERT: OperatorAlertContext(
            alerts=(alert,), status_url=f"{BASE}/status", at=at, **own
        ),
        DeliveryKind.DAILY_REPORT: DailyReportContext(
            figures=(("Sent", 12), ("Failed", 0)),
            pages=(("Status", f"{BASE}/status"),),
            at=at,
            **own,
        ),
        DeliveryKind.TEST: TestContext(at=at, **own),
        DeliveryKind.ADDRESS_NOTICE: AddressNoticeContext(
            undo_url=f"{BASE}/address/{TOKEN}", expires_days=7, on=TUESDAY, **own
        ),
        DeliveryKind.CATCH_UP: make_digest(make_entry(1), since=date(2026, 4, 3)),
    }


@pytest.fixture
def relay() -> Iterator[ScriptedSmtp]:
    relay = ScriptedSmtp()
    yield relay
    relay.stop()


@pytest.fixture
def make_transport() -> Iterator[Callable[..., SmtpTransport]]:
    made: list[SmtpTransport] = []

    def make(
        *relays: SmtpRelay,
        connections: int = 1,
        rate: SendRate | None = None,
        limits: SmtpLimits = SMTP_LIMITS,
    ) -> SmtpTransport:
        made.append(SmtpTransport(relays, connections=connections, rate=rate, limits=limits))
        return made[-1]

    yield make
    for transport in made:
        transport.close()
