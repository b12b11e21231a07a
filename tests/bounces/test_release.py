"""Undoing suppressions in bulk by the reply that caused them."""

from datetime import timedelta

import pytest
from sqlalchemy import select
from support.mail.bounce_mails import complaint, dsn, refused
from support.newsletter.bounce_press import path_of, reason_for, take
from support.newsletter.press import NOBODY, PlannedTransport, Press

from service.bounces.release import NoSuchReply, find_caused, release_caused
from service.deliveries.domain.recipients import SubscriberState, SuppressionReason
from service.deliveries.domain.states import Phase, SendOutcome
from service.deliveries.store.models import Delivery
from service.platform.database.engine import transaction
from service.sending.deliver import deliver
from service.subscribers.lifecycle import erase, pause, unsubscribe
from service.subscribers.store.models import Subscriber, Suppression
from service.subscribers.store.subscribers import get_subscriber

ANNE, BERT, CARL = "anne@example.org", "bert@example.org", "carl@example.org"
OURS = "550 5.1.1 no such mailbox on zone seven"


@pytest.fixture
def bounced(press: Press) -> Press:
    """Send to three readers, two of whom a reply of the same kind suppresses."""
    press.add_subscribers(ANNE, BERT, CARL)
    press.add_papers(1)
    press.publish()
    deliver(press.sender(PlannedTransport()))
    replies = {ANNE: f"smtp; {OURS} <{ANNE}>", BERT: f"smtp; {OURS}", CARL: "smtp; 550 5.1.1 gone"}
    for delivery, (email, reply) in zip(deliveries(press), replies.items(), strict=True):
        raw = dsn(refused(email, reply=reply), to=path_of(press, delivery), message_id=f"<{email}>")
        take(press, raw)
    assert states(press) == dict.fromkeys((ANNE, BERT, CARL), SubscriberState.SUPPRESSED)
    return press


def deliveries(press: Press) -> list[Delivery]:
    with press.sessions() as session:
        found = select(Delivery).where(Delivery.subscriber_id.is_not(None))
        return list(session.scalars(found.order_by(Delivery.subscriber_id)))


def states(press: Press) -> dict[str, SubscriberState]:
    with press.sessions() as session:
        return {one.email: one.state for one in session.scalars(select(Subscriber))}


def stored_replies(press: Press) -> set[str]:
    with press.sessions() as session:
        return set(session.scalars(select(Suppression.reply)))


def release(press: Press, text: str) -> int:
    return release_caused(press.sessions, press.settings, text, press.clock())


def count(press: Press, text: str) -> int:
    with transaction(press.sessions) as session:
        return len(find_caused(session, press.settings, text).subscriber_ids)


def test_a_suppression_keeps_its_reply_without_the_address(bounced: Press) -> None:
    assert stored_replies(bounced) == {OURS, f"{OURS} <a***@example.org>", "550 5.1.1 gone"}


def test_a_local_part_alone_is_not_kept_either(press: Press) -> None:
    press.add_subscribers(ANNE)
    press.add_papers(1)
    press.publish()
    nobody = SendOutcome(Phase.REPLIED, 550, "5.1.1 No user Anne here, says joanne")
    deliver(press.sender(PlannedTransport(lambda _: nobody)))
    assert stored_replies(press) == {"550 5.1.1 No user *** here, says jo***"}


def test_a_refusal_while_sending_keeps_its_reply_too(press: Press) -> None:
    press.add_subscribers(ANNE)
    press.add_papers(1)
    press.publish()
    deliver(press.sender(PlannedTransport(lambda _: NOBODY)))
    assert stored_replies(press) == {"550 5.1.1 no such mailbox"}
    assert release(press, "no such mailbox") == 1
    assert states(press) == {ANNE: SubscriberState.ACTIVE}


def test_readers_are_counted_first_and_then_get_their_subscriptions_back(bounced: Press) -> None:
    assert count(bounced, "ZONE  seven") == 2
    assert states(bounced)[ANNE] is SubscriberState.SUPPRESSED
    assert release(bounced, "ZONE  seven") == 2
    assert states(bounced) == {
        ANNE: SubscriberState.ACTIVE,
        BERT: SubscriberState.ACTIVE,
        CARL: SubscriberState.SUPPRESSED,
    }
    assert reason_for(bounced, ANNE) is None


def test_a_second_run_changes_nothing(bounced: Press) -> None:
    assert release(bounced, "zone seven") == 2
    assert release(bounced, "zone seven") == 0
    assert count(bounced, "zone seven") == 0


@pytest.mark.parametrize("text", ["", "   ", "550", "%%%%", "a b"])
def test_a_text_that_is_in_any_reply_is_refused(bounced: Press, text: str) -> None:
    with pytest.raises(NoSuchReply, match="at least 4 letters"):
        release(bounced, text)


@pytest.mark.parametrize("text", ["never said", "zone%seven", "there is no such address"])
def test_a_text_that_no_reply_has_is_refused(bounced: Press, text: str) -> None:
    with pytest.raises(NoSuchReply, match="no address was suppressed by"):
        release(bounced, text)
    assert set(states(bounced).values()) == {SubscriberState.SUPPRESSED}


def test_a_released_reader_starts_at_zero(bounced: Press) -> None:
    release(bounced, "zone seven")
    full = refused(ANNE, "5.2.2", "smtp; 552 5.2.2 full")
    take(bounced, dsn(full, to=path_of(bounced, deliveries(bounced)[0]), message_id="<2@mx>"))
    assert states(bounced)[ANNE] is SubscriberState.ACTIVE


def test_complaints_are_never_undone(press: Press) -> None:
    press.add_subscribers(ANNE)
    press.add_papers(1)
    press.publish()
    deliver(press.sender(PlannedTransport()))
    (delivery,) = deliveries(press)
    take(press, complaint(original_id=press.message_id(delivery)))
    assert reason_for(press, ANNE) is SuppressionReason.COMPLAINT
    with pytest.raises(NoSuchReply):
        release(press, "abuse")


def test_those_who_paused_left_or_were_erased_get_no_mail_by_it(press: Press) -> None:
    numbers = press.add_subscribers(ANNE, BERT, CARL)
    press.add_papers(1)
    press.publish()
    deliver(press.sender(PlannedTransport()))
    with transaction(press.sessions) as session:
        anne = get_subscriber(session, numbers[0], lock=True)
        assert anne is not None
        pause(anne, None, press.clock())
    for delivery, email in zip(deliveries(press), (ANNE, BERT, CARL), strict=True):
        raw = dsn(refused(email, reply=f"smtp; {OURS}"), to=path_of(press, delivery))
        take(press, raw.replace(b"dsn-1", email.encode()))
    with transaction(press.sessions) as session:
        assert not unsubscribe(session, numbers[1], "/unsubscribe", press.clock())
        carl = get_subscriber(session, numbers[2], lock=True)
        assert carl is not None
        erase(session, carl, press.settings.secret_key, press.clock() + timedelta(hours=1))
    assert release(press, "zone seven") == 2
    assert states(press) == {ANNE: SubscriberState.PAUSED, BERT: SubscriberState.UNSUBSCRIBED}
    assert reason_for(press, CARL) is SuppressionReason.HARD_BOUNCE
