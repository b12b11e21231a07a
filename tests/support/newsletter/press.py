"""A whole newsletter in one test: subscribers, papers, editions and a sender, with a stopped clock.

Also `PlannedTransport`, the second implementation of the `Transport` protocol: it gives the planned
replies, and lets the test do something while messages are in flight.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from functools import cache
from typing import Any

from sqlalchemy import Engine, select, text, update
from sqlalchemy.orm import Session, sessionmaker

from service.deliveries.domain.message_ids import restore_message_id
from service.deliveries.domain.recipients import Cadence, Timing
from service.deliveries.domain.states import DeliveryState, Phase, SendOutcome
from service.deliveries.store.deliveries import list_events
from service.deliveries.store.models import Delivery
from service.editions.balance import Balance, edition_balance
from service.editions.publish import publish_now
from service.editions.store.models import Edition
from service.messages.contexts.digest import DigestContext
from service.messages.mime.mime import Envelope
from service.messages.rendering.renderer import DEFAULT_MAX_BYTES, RenderedMail, Renderer
from service.operations.store.tables import Base
from service.papers.domain.types import ParsedAnnouncement
from service.platform.database.engine import make_sessions
from service.platform.settings.settings import Settings
from service.sending.sender import Sender
from service.sending.smtp.relay_pool import RelayError
from service.sending.smtp.transport import SmtpTransport, Transport
from service.subscribers.domain.sign_up import Preferences, ValidSignUp
from service.subscribers.store.insert_subscribers import insert_subscribers
from service.subscribers.store.models import Subscriber
from service.topics.domain.language import canonical, parse_query
from support.smtp.smtp_sink import wait_until
from support.web.papers import FRIDAY, make_announcement, store_papers

ACCEPTED = SendOutcome(Phase.REPLIED, 250, "2.0.0 taken")
LATER = SendOutcome(Phase.RCPT, 451, "4.7.1 greylisted")
NOBODY = SendOutcome(Phase.RCPT, 550, "5.1.1 no such mailbox")
SILENCE = SendOutcome(Phase.DATA, 0, "SMTPReadTimeoutError: no reply after the final dot")

Plan = Callable[[Envelope], SendOutcome]

# The senders' locks in this test's database; other tests have theirs in the same server.
OUR_LOCKS = """
    FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
    WHERE locktype = 'advisory' AND datname = current_database()
"""


def await_end_of_senders(sessions: sessionmaker[Session]) -> None:
    """Wait until the server has noticed that senders are gone, a moment after they ended."""

    def are_gone() -> bool:
        with sessions() as session:
            count: int = session.execute(text("SELECT count(*)" + OUR_LOCKS)).scalar_one()
        return count == 0

    wait_until(are_gone)


@cache
def renderer() -> Renderer:
    """Return one renderer for the whole run: compiling templates takes longer than most tests."""
    return Renderer()


class InterruptedRenderer(Renderer):
    """A renderer that runs a function while a digest is built: after the claim, before the send."""

    def __init__(self, meanwhile: Callable[[], object]) -> None:
        super().__init__()
        self.meanwhile = meanwhile

    def fit(self, context: DigestContext, max_bytes: int = DEFAULT_MAX_BYTES) -> RenderedMail:
        self.meanwhile()
        return super().fit(context, max_bytes)


@dataclass
class Turnable:
    """A clock that stands still until the test moves it."""

    now: datetime

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **span: float) -> datetime:
        self.now += timedelta(**span)
        return self.now


@dataclass
class PlannedTransport:
    """A transport with replies from `plan` that stores envelopes; `meanwhile` runs before the replies."""

    plan: Plan = lambda _envelope: ACCEPTED
    meanwhile: Callable[[], object] = lambda: None
    sent: list[Envelope] = field(default_factory=list)
    landed: dict[int, SendOutcome] = field(default_factory=dict)
    troubles: list[RelayError] = field(default_factory=list)
    is_unavailable: bool = False
    hanging: frozenset[int] = frozenset()

    def begin(self, envelopes: Sequence[Envelope]) -> None:
        if envelopes:
            self.sent += envelopes
            self.meanwhile()
            self.landed |= {envelope.number: self.plan(envelope) for envelope in envelopes}

    def run_until(self, seconds: float, enough: int = 1) -> dict[int, SendOutcome]:  # noqa: ARG002
        landed, self.landed = self.landed, {}
        return landed

    def give_up(self, seconds: float, *, leaves_hanging: bool = False) -> dict[int, SendOutcome]:  # noqa: ARG002
        return self.run_until(seconds)

    def pop_relay_errors(self) -> list[RelayError]:
        troubles, self.troubles = self.troubles, []
        return troubles

    def close(self) -> None:
        """Do nothing, since there is no connection."""

    @property
    def recipients(self) -> list[str]:
        return [envelope.recipient for envelope in self.sent]


@dataclass
class Press:
    """The parts of one installation. Every method commits."""

    settings: Settings
    sessions: sessionmaker[Session]
    clock: Turnable

    def add_subscribers(
        self,
        *emails: str,
        topics: Sequence[str] = ("cat:cs.CL",),
        cadence: Cadence = Cadence.DAILY,
        hour: int = 7,
        zone: str = "UTC",
        timing: Timing = Timing.AT_HOUR,
    ) -> list[int]:
        """Add confirmed subscribers; return their ids in order."""
        written = tuple((text, canonical(parse_query(text))) for text in topics)
        chosen = Preferences(cadence, hour, zone, topics=written)
        new = [ValidSignUp(email, email, chosen) for email in emails]
        with self.sessions.begin() as session:
            ids = insert_subscribers(session, new, self.clock(), is_confirmed=True)
            chosen_ids = Subscriber.id.in_(ids)
            session.execute(update(Subscriber).where(chosen_ids).values(timing=timing))
            return ids

    def add_papers(
        self, *numbers: int, on: date = FRIDAY, announcements: Sequence[ParsedAnnouncement] = ()
    ) -> dict[str, int]:
        """Add papers of cs.CL (or `announcements`) announced on a date; return key -> id."""
        made = [make_announcement(number, f"Parsing number {number}") for number in numbers]
        with self.sessions() as session:
            return store_papers(session, [*made, *announcements], on)

    def publish(self, on: date = FRIDAY, cadence: Cadence = Cadence.DAILY) -> int:
        """Open, compose and freeze an edition whose digests are due at once; return its id."""
        return publish_now(self.sessions, self.settings, cadence, on, self.clock())

    def sender(self, transport: Transport | None = None, **settings: Any) -> Sender:
        """Return a sender over `transport`, or over SMTP to the settings' relay (close it yourself)."""
        here = self.settings.model_copy(update=settings)
        transport = transport or SmtpTransport(here.relays, connections=here.send_connections)
        return Sender(self.sessions, here, renderer(), transport, self.clock)

    def states(self, edition_id: int) -> Counter[str]:
        """Return the number of rows in each state; skipped ones as `skipped: reason`."""
        balance = self.balance(edition_id)
        return Counter(dict(balance.states))

    def balance(self, edition_id: int) -> Balance:
        with self.sessions() as session:
            return edition_balance(session, session.get_one(Edition, edition_id))

    def edition(self, edition_id: int) -> Edition:
        with self.sessions() as session:
            return session.get_one(Edition, edition_id)

    def rows(self, edition_id: int | None = None) -> list[Delivery]:
        """Return the deliveries (of an edition), by subscriber."""
        chosen = select(Delivery).order_by(Delivery.subscriber_id, Delivery.id)
        if edition_id is not None:
            chosen = chosen.where(Delivery.edition_id == edition_id)
        with self.sessions() as session:
            return list(session.execute(chosen).scalars())

    def row(self, edition_id: int | None = None) -> Delivery:
        """Return the only delivery."""
        (row,) = self.rows(edition_id)
        return row

    def message_id(self, row: Delivery) -> str:
        """Return the Message-ID with which a delivery went into flight."""
        domain = self.settings.envelope_domain
        return restore_message_id(row.kind, row.id, row.message_id, domain)

    def history(self, delivery_id: int) -> list[tuple[int, DeliveryState]]:
        """Return a row's events as (attempt, state)."""
        with self.sessions() as session:
            events = list_events(session, session.get_one(Delivery, delivery_id))
            return [(event.attempt, event.state) for event in events]

    def change(self, subscriber_id: int, **changes: Any) -> None:
        """Set columns of a subscriber, as their own actions would."""
        with self.sessions.begin() as session:
            subscriber = session.get_one(Subscriber, subscriber_id)
            for name, value in changes.items():
                setattr(subscriber, name, value)


def make_press(settings: Settings, engine: Engine, now: datetime) -> Press:
    return Press(settings, make_sessions(engine), Turnable(now))


def dump_tables(sessions: sessionmaker[Session]) -> dict[str, list[tuple[Any, ...]]]:
    """Return the content of every table, to compare before and after."""
    with sessions() as session:
        return {
            table.name: sorted(map(tuple, session.execute(select(table))), key=repr)
            for table in Base.metadata.sorted_tables
        }


def read_mail(payload: bytes) -> EmailMessage:
    message = message_from_bytes(payload, policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message


def plain_text(payload: bytes) -> str:
    """Return a mail's text part, decoded."""
    body = read_mail(payload).get_body(("plain",))
    assert body is not None
    return str(body.get_content())
