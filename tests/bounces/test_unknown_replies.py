"""Words that nobody understands count against no reader, and the operator is told once."""

from sqlalchemy import select
from support.mail.bounce_mails import SUBSCRIBER, dsn, refused
from support.newsletter.bounce_press import path_of, send_digest, subscriber_of, take
from support.newsletter.press import PlannedTransport, Press

from service.deliveries.alerts import MOST_UNKNOWN
from service.deliveries.domain.recipients import SubscriberState
from service.deliveries.domain.states import DeliveryKind, DeliveryState, Phase, SendOutcome
from service.deliveries.store.models import Delivery
from service.sending.deliver import deliver


def alerts(press: Press) -> list[str]:
    with press.sessions() as session:
        found = select(Delivery).where(Delivery.kind == DeliveryKind.OPERATOR_ALERT)
        rows = session.scalars(found.order_by(Delivery.id)).all()
        return [str((row.alert or {})["detail"]) for row in rows]


def bounce(press: Press, delivery: Delivery, reply: str, number: int) -> None:
    block = refused(SUBSCRIBER, "5.0.0", f"smtp; {reply}")
    take(press, dsn(block, to=path_of(press, delivery), message_id=f"<{number}@mx.example>"))


def test_a_bounce_in_unknown_words_is_told_once_and_counts_nothing(press: Press) -> None:
    sent = send_digest(press)
    for number in range(8):
        bounce(press, sent, f"550 quux {number} for <{SUBSCRIBER}>", number)
    assert alerts(press) == ["550 quux 0 for <r***@example.org>"]
    assert subscriber_of(press).state is SubscriberState.ACTIVE
    assert {row.state for row in press.rows() if row.edition_id} == {DeliveryState.BOUNCED}


def test_strangers_cannot_fill_the_operators_mailbox(press: Press) -> None:
    sent = send_digest(press)
    for number, word in enumerate("abcdefgh"):
        bounce(press, sent, f"550 {word * 5}", number)
    assert len(alerts(press)) == MOST_UNKNOWN


def test_a_refusal_in_unknown_words_while_sending_is_told_as_well(press: Press) -> None:
    press.add_subscribers("anne@example.org", "bert@example.org")
    press.add_papers(1)
    press.publish()
    refusal = SendOutcome(Phase.REPLIED, 550, "quux, said the frog")
    deliver(press.sender(PlannedTransport(lambda _: refusal)))
    assert alerts(press) == ["550 quux, said the frog"]


def test_our_own_missing_name_in_a_bounce_suppresses_nobody(press: Press) -> None:
    sent = send_digest(press)
    bounce(press, sent, "550 5.1.2 Domain bounces.paperboy.example does not exist", 1)
    assert subscriber_of(press).state is SubscriberState.ACTIVE
    bounce(press, sent, "550 5.1.2 Domain example.org does not exist", 2)
    assert subscriber_of(press).state is SubscriberState.SUPPRESSED


def test_our_own_missing_name_suppresses_nobody_while_sending(press: Press) -> None:
    press.add_subscribers("anne@example.org")
    press.add_papers(1)
    press.publish()
    text = "5.1.2 <bounce@bounces.paperboy.example>: domain not found"
    deliver(press.sender(PlannedTransport(lambda _: SendOutcome(Phase.RCPT, 550, text))))
    assert subscriber_of(press).state is SubscriberState.ACTIVE
