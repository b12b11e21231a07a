"""Makers of invented papers and digests, one renderer for the whole run, and relays to talk to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from support.scripted_smtp import ScriptedSmtp

from service.config import SmtpRelay
from service.domain.types import AnnounceType, Cadence, DeliveryKind, Paper, Reason
from service.mail.contexts import (
    AlreadySubscribedContext,
    ConfirmationContext,
    Coverage,
    DigestContext,
    DigestGroup,
    DigestPaper,
    FarewellContext,
    MailContext,
    PaperLinks,
    ReaderLinks,
    WelcomeContext,
)
from service.mail.render import Renderer
from service.mail.transport import SmtpTransport

BASE = "https://papers.example.org"
TOKEN = "eyJzIjoxMjM0fQ." + "Ab9_" * 20
ADDRESS = "Example Institute\n1 Sample Street, 12345 Sampletown"

A_PAPER = Paper(
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
    links=ReaderLinks(
        preferences=f"{BASE}/preferences/{TOKEN}",
        unsubscribe=f"{BASE}/unsubscribe/{TOKEN}",
        pause=f"{BASE}/preferences/{TOKEN}#pause",
        browser=f"{BASE}/editions/{TOKEN}",
        home=BASE,
    ),
    topics=('"prompt tuning"',),
    subscribed_on=date(2026, 3, 3),
    operator_address=ADDRESS,
)


@pytest.fixture(scope="session")
def renderer() -> Renderer:
    return Renderer()


@pytest.fixture(scope="session")
def make_entry() -> Callable[..., DigestPaper]:
    """A paper in a digest; keywords change the paper, `reasons` and `links` the entry."""

    def make(number: int = 1, **changes: Any) -> DigestPaper:
        identifier = f"2604.{90000 + number}"
        links = PaperLinks(
            abstract=f"https://arxiv.org/abs/{identifier}",
            pdf=f"https://arxiv.org/pdf/{identifier}",
            similar=f"{BASE}/papers/arxiv:{identifier}",
        )
        return DigestPaper(
            links=changes.pop("links", links),
            reasons=changes.pop("reasons", (A_REASON,)),
            maybe_seen=changes.pop("maybe_seen", False),
            paper=replace(A_PAPER, id=number, identifier=identifier, **changes),
        )

    return make


@pytest.fixture(scope="session")
def make_digest() -> Callable[..., DigestContext]:
    """A digest with one group of the given entries; keywords change the context."""

    def make(*entries: DigestPaper, **changes: Any) -> DigestContext:
        groups = (DigestGroup(title='"prompt tuning"', papers=entries),) if entries else ()
        return replace(A_DIGEST, **{"groups": groups, **changes})

    return make


@pytest.fixture(scope="session")
def every_mail(
    make_entry: Callable[..., DigestPaper], make_digest: Callable[..., DigestContext]
) -> dict[DeliveryKind, MailContext]:
    """One context of each kind."""
    return {
        DeliveryKind.DIGEST: make_digest(make_entry(1), make_entry(2)),
        DeliveryKind.CONFIRMATION: ConfirmationContext(
            confirm_url=f"{BASE}/confirm/{TOKEN}",
            never_url=f"{BASE}/never/{TOKEN}",
            home=BASE,
            operator_address=ADDRESS,
            expires_days=7,
        ),
        DeliveryKind.ALREADY_SUBSCRIBED: AlreadySubscribedContext(
            preferences_url=f"{BASE}/preferences/{TOKEN}",
            unsubscribe_url=f"{BASE}/unsubscribe/{TOKEN}",
            home=BASE,
            operator_address=ADDRESS,
        ),
        DeliveryKind.WELCOME: WelcomeContext(
            topics=('"prompt tuning" cat:cs.CL', 'au:"Ada Example"'),
            next_hour=7,
            timezone="Europe/Berlin",
            preferences=f"{BASE}/preferences/{TOKEN}",
            unsubscribe=f"{BASE}/unsubscribe/{TOKEN}",
            home=BASE,
            operator_address=ADDRESS,
        ),
        DeliveryKind.FAREWELL: FarewellContext(
            undo_url=f"{BASE}/undo/{TOKEN}", home=BASE, operator_address=ADDRESS
        ),
    }


@pytest.fixture
def relay() -> Iterator[ScriptedSmtp]:
    relay = ScriptedSmtp()
    yield relay
    relay.stop()


@pytest.fixture
def make_transport() -> Iterator[Callable[..., SmtpTransport]]:
    made: list[SmtpTransport] = []

    def make(*relays: SmtpRelay, connections: int = 1, rate: float | None = None) -> SmtpTransport:
        made.append(SmtpTransport(relays, connections=connections, rate=rate))
        return made[-1]

    yield make
    for transport in made:
        transport.close()
