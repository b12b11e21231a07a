"""An installation with deliveries in every state, for operators' pages and their pictures."""

from datetime import date, timedelta

from service.bounces.record import Channel, record_bounce_mail
from service.deliveries.domain.recipients import Cadence
from service.deliveries.domain.return_path import make_return_path
from service.deliveries.domain.states import DeliveryKind, DeliveryState, Phase, SendOutcome
from service.deliveries.store.deliveries import insert_mail
from service.messages.mime.mime import Envelope
from service.sending.deliver import deliver
from service.sending.domain.provider_limits import BreakerState
from service.sending.store.models import ProviderLimit
from service.subscribers.lifecycle import suppress_address
from support.mail.bounce_mails import dsn, refused
from support.newsletter.press import ACCEPTED, LATER, NOBODY, SILENCE, PlannedTransport, Press
from support.web.papers import FRIDAY

TOO_BIG = SendOutcome(Phase.RCPT, 552, "5.3.4 Message too big for system")
NAMES = ("anne", "bert", "cleo", "dora", "emil", "fred", "gaby", "hugo", "iris", "jona")
HOSTS = ("uni.example", "gmail.com", "hotmail.co.uk", "lab.example")


def fill_accounts(press: Press) -> int:
    """Store five days of editions, the last with rows in every state; return its id."""
    subscribers = [f"{name}@{host}" for name in NAMES for host in HOSTS]
    press.add_subscribers(*subscribers)
    press.add_subscribers("kurt@example.org", topics=("nothing at all",))
    press.add_subscribers("lena@example.org", cadence=Cadence.WEEKLY)
    first = press.clock()
    for number in range(5):
        on = FRIDAY + timedelta(days=number)
        press.add_papers(*range(10 * number + 1, 10 * number + 4), on=on)
        edition_id = _publish(press, on, is_last=number == 4)
        if number == 2:
            press.publish(on, Cadence.WEEKLY)
        if number < 4:
            press.clock.forward(days=1)
    _pause_outlook(press)
    with press.sessions.begin() as session:
        keys = press.settings.secret_key
        suppress_address(session, "gone@example.org", keys, "asked", press.clock())
        now = press.clock()
        iris = press.rows(edition_id)[0].subscriber_id
        assert iris is not None
        insert_mail(session, DeliveryKind.WELCOME, iris, "first", now, now + timedelta(hours=5))
    deliver(press.sender(PlannedTransport(lambda _: SILENCE)))
    assert press.clock() > first
    return edition_id


def _publish(press: Press, on: date, *, is_last: bool) -> int:
    edition_id = press.publish(on)
    deliver(press.sender(PlannedTransport(_answer if is_last else _kind_answer)), edition_id)
    sent = [row for row in press.rows(edition_id) if row.state is DeliveryState.SENT]
    for row, status in zip(sent, ("5.2.2", "4.7.1", "5.7.1", "5.1.1"), strict=False):
        reply = f"550 {status} returned by the receiver"
        raw = dsn(
            refused(status=status, reply=reply),
            to=make_return_path(row.id, press.settings.bounce_domain, press.settings.secret_key[0]),
            message_id=f"<{row.id}@receiver.example>",
        )
        channel = Channel(press.settings, "mailbox")
        record_bounce_mail(press.sessions, channel, raw, press.clock())
    return edition_id


def _kind_answer(envelope: Envelope) -> SendOutcome:
    return NOBODY if envelope.recipient.startswith("emil") else ACCEPTED


def _answer(envelope: Envelope) -> SendOutcome:
    if envelope.recipient.endswith("hotmail.co.uk"):
        return TOO_BIG if envelope.recipient.startswith(("anne", "bert")) else LATER
    if envelope.recipient.startswith("cleo"):
        return SILENCE
    return ACCEPTED


def _pause_outlook(press: Press) -> None:
    now = press.clock()
    with press.sessions.begin() as session:
        outlook = session.get(ProviderLimit, "outlook")
        if outlook is not None:
            session.delete(outlook)
            session.flush()
        session.add(
            ProviderLimit(
                provider="outlook",
                changed_at=now,
                breaker=BreakerState.OPEN,
                opened_at=now,
                probe_at=now + timedelta(minutes=30),
                last_reply="550 5.7.1 Service unavailable; client host blocked",
            )
        )
        session.add(
            ProviderLimit(provider="yahoo", changed_at=now, rate=2.5, last_reply="421 4.7.0 slow")
        )
