"""Address changes: the new one confirms, the old one gets a notice, subscriptions stay private."""

import re
from threading import Thread

import pytest
from sqlalchemy import select
from support.newsletter.press import (
    ACCEPTED,
    NOBODY,
    PlannedTransport,
    Press,
    plain_text,
    read_mail,
)

from service.deliveries.domain.recipients import SubscriberState
from service.deliveries.domain.states import DeliveryKind
from service.deliveries.store.models import Delivery
from service.messages.transactional import address_change_detail
from service.platform.signing.tokens import (
    Purpose,
    Token,
    TokenEnded,
    TokenExpired,
    TokenInvalid,
    make_token,
    verify_token,
)
from service.sending.deliver import deliver
from service.subscribers.address_change import confirm_address, request_address
from service.subscribers.domain.sign_up import SignUpForm
from service.subscribers.lifecycle import (
    erase,
    pause,
    suppress_address,
    suppress_for_good,
    unsubscribe,
)
from service.subscribers.sign_up import confirm, request_subscription
from service.subscribers.store.models import Consent, Subscriber
from service.subscribers.store.subscribers import find_by_email
from service.subscribers.store.suppressions import is_suppressed
from service.subscribers.validate import SignUpError, validate_sign_up

OLD, NEW, THIRD = "old@example.org", "new@example.org", "third@example.org"
_LINK = re.compile(r"http://127\.0\.0\.1:8000/(\w+)/(\S+)")


def sent(press: Press) -> dict[str, str]:
    """Send all due mails and return them: kind and address -> text."""
    transport = PlannedTransport()
    deliver(press.sender(transport))
    mails = {}
    for one in transport.sent:
        kind = str(read_mail(one.payload)["Message-ID"])[1:].partition(".")[0]
        mails[f"{kind} {one.recipient}"] = plain_text(one.payload)
    assert len(mails) == len(transport.sent)
    return mails


def link_of(press: Press, text: str, path: str = "address") -> Token:
    """Return the token behind a mail's link, as the site parses it."""
    (token,) = {found for name, found in _LINK.findall(text) if name == path}
    return verify_token(token, Purpose(path), press.settings.secret_key, press.clock())


def ask(press: Press, subscriber: int, address: str) -> None:
    with press.sessions.begin() as session:
        here = session.get_one(Subscriber, subscriber)
        request_address(session, here, address, press.settings.secret_key, press.clock())


def say_yes(press: Press, token: Token) -> int:
    with press.sessions.begin() as session:
        return confirm_address(session, token, press.clock()).id


def address_of(press: Press, subscriber: int) -> str:
    with press.sessions() as session:
        return session.get_one(Subscriber, subscriber).email


def move(press: Press, subscriber: int, address: str = NEW) -> Token:
    """Request and confirm at once; return the token of the confirmation."""
    ask(press, subscriber, address)
    token = link_of(press, sent(press)[f"address_change {address}"])
    say_yes(press, token)
    return token


def test_the_new_address_confirms_and_the_old_one_gets_a_notice(press: Press) -> None:
    (subscriber,) = press.add_subscribers(OLD, topics=["parsing"])
    ask(press, subscriber, NEW)
    mails = sent(press)
    assert list(mails) == [f"address_change {NEW}"]
    assert OLD not in mails[f"address_change {NEW}"]
    assert address_of(press, subscriber) == OLD
    press.clock.forward(hours=1)
    assert say_yes(press, link_of(press, mails[f"address_change {NEW}"])) == subscriber
    assert address_of(press, subscriber) == NEW
    notice = sent(press)
    assert list(notice) == [f"address_notice {OLD}"]
    assert NEW not in notice[f"address_notice {OLD}"]
    press.add_papers(1)
    press.publish()
    assert list(sent(press)) == [f"digest {NEW}"]
    with press.sessions() as session:
        actions = session.execute(select(Consent.action).where(Consent.subscriber_id == subscriber))
        assert list(actions.scalars()) == ["confirmed", "address changed"]


def test_confirming_again_changes_nothing(press: Press) -> None:
    (subscriber,) = press.add_subscribers(OLD)
    token = move(press, subscriber)
    assert say_yes(press, token) == subscriber
    assert list(sent(press)) == [f"address_notice {OLD}"]
    assert address_of(press, subscriber) == NEW


def test_two_concurrent_clicks_change_the_address_once(press: Press) -> None:
    (subscriber,) = press.add_subscribers(OLD)
    ask(press, subscriber, NEW)
    token = link_of(press, sent(press)[f"address_change {NEW}"])
    clicks = [Thread(target=say_yes, args=(press, token)) for _ in range(4)]
    for click in clicks:
        click.start()
    for click in clicks:
        click.join()
    assert address_of(press, subscriber) == NEW
    assert list(sent(press)) == [f"address_notice {OLD}"]


def test_the_old_address_undoes_the_change_with_one_click(press: Press) -> None:
    (subscriber,) = press.add_subscribers(OLD)
    first = move(press, subscriber)
    undo = link_of(press, sent(press)[f"address_notice {OLD}"])
    press.clock.forward(minutes=5)
    assert say_yes(press, undo) == subscriber
    assert address_of(press, subscriber) == OLD
    assert list(sent(press)) == [f"address_notice {NEW}"]
    # The new address cannot use its first link any more, only that in its notice.
    with pytest.raises(TokenEnded):
        say_yes(press, first)
    assert address_of(press, subscriber) == OLD


def test_queued_mail_goes_to_the_new_address_and_no_mail_to_both(press: Press) -> None:
    (subscriber,) = press.add_subscribers(OLD, topics=["parsing"])
    press.add_papers(1)
    edition = press.publish()
    move_token = ask_only(press, subscriber)
    say_yes(press, move_token)
    assert set(sent(press)) == {f"digest {NEW}", f"address_notice {OLD}"}
    assert press.states(edition) == {"sent": 1}


def ask_only(press: Press, subscriber: int) -> Token:
    """Request a change and return the link that its mail, still unsent, will contain."""
    ask(press, subscriber, NEW)
    with press.sessions() as session:
        other = find_by_email(session, NEW)
        assert other is not None
        return make_token(Purpose.ADDRESS, other, press.clock(), address_change_detail(other))


@pytest.mark.parametrize("known", ["active", "paused", "oneself"])
def test_only_a_subscribed_address_itself_learns_that_it_is_subscribed(
    press: Press, known: str
) -> None:
    (subscriber,) = press.add_subscribers(OLD)
    other = press.add_subscribers(NEW)[0] if known != "oneself" else subscriber
    if known == "paused":
        press.change(other, state=SubscriberState.PAUSED)
    address = OLD if known == "oneself" else NEW
    for _ in range(3):
        ask(press, subscriber, address.upper())
        press.clock.forward(hours=2)
    mails = sent(press)
    assert set(mails) == {f"personal_link {address}"}
    with press.sessions() as session:
        assert session.query(Delivery).count() == 1
    assert address_of(press, subscriber) == OLD
    with press.sessions() as session:
        assert session.query(Subscriber).count() == (1 if known == "oneself" else 2)


def test_a_suppressed_address_is_never_asked(press: Press) -> None:
    (subscriber,) = press.add_subscribers(OLD)
    with press.sessions.begin() as session:
        suppress_address(session, NEW, press.settings.secret_key, "asked", press.clock())
    ask(press, subscriber, NEW)
    assert sent(press) == {}


def test_no_address_is_flooded_by_requests(press: Press) -> None:
    subscribers = press.add_subscribers(OLD, THIRD)
    for subscriber in (*subscribers, *subscribers):
        ask(press, subscriber, NEW)
    with press.sessions.begin() as session:
        form = validate_sign_up(session, SignUpForm(NEW))
        request_subscription(session, form, press.settings.secret_key, press.clock())
    assert list(sent(press)) == [f"address_change {NEW}"]
    for _ in range(5):
        press.clock.forward(hours=25)
        ask(press, subscribers[0], NEW)
    with press.sessions() as session:
        count = session.query(Delivery).filter_by(kind=DeliveryKind.ADDRESS_CHANGE).count()
    assert count == 3


def test_only_the_last_requested_address_can_confirm(press: Press) -> None:
    (subscriber,) = press.add_subscribers(OLD)
    ask(press, subscriber, NEW)
    first = link_of(press, sent(press)[f"address_change {NEW}"])
    ask(press, subscriber, THIRD)
    with pytest.raises(TokenExpired):
        say_yes(press, first)
    assert say_yes(press, link_of(press, sent(press)[f"address_change {THIRD}"])) == subscriber
    assert address_of(press, subscriber) == THIRD


def test_the_link_ends_after_a_week_and_opens_nothing_else(press: Press) -> None:
    (subscriber,) = press.add_subscribers(OLD)
    ask(press, subscriber, NEW)
    text = sent(press)[f"address_change {NEW}"]
    (token,) = {found for name, found in _LINK.findall(text) if name == "address"}
    for purpose in set(Purpose) - {Purpose.ADDRESS}:
        with pytest.raises(TokenInvalid):
            verify_token(token, purpose, press.settings.secret_key, press.clock())
    press.clock.forward(days=7, seconds=1)
    with pytest.raises(TokenExpired):
        link_of(press, text)


def test_a_subscriber_who_left_meanwhile_is_not_brought_back(press: Press) -> None:
    (subscriber,) = press.add_subscribers(OLD)
    ask(press, subscriber, NEW)
    token = link_of(press, sent(press)[f"address_change {NEW}"])
    with press.sessions.begin() as session:
        unsubscribe(session, subscriber, "/unsubscribe", press.clock())
    with pytest.raises(TokenExpired):
        say_yes(press, token)
    with pytest.raises(SignUpError) as refused:
        ask(press, subscriber, THIRD)
    assert [fault.field for fault in refused.value.faults] == ["address"]


def test_a_pause_stays_a_pause(press: Press) -> None:
    (subscriber,) = press.add_subscribers(OLD)
    with press.sessions.begin() as session:
        pause(session.get_one(Subscriber, subscriber), None, press.clock())
    move(press, subscriber)
    with press.sessions() as session:
        assert session.get_one(Subscriber, subscriber).state is SubscriberState.PAUSED
    assert list(sent(press)) == [f"address_notice {OLD}"]


def test_an_address_that_subscribed_meanwhile_is_left_alone(press: Press) -> None:
    (subscriber,) = press.add_subscribers(OLD)
    ask(press, subscriber, NEW)
    token = link_of(press, sent(press)[f"address_change {NEW}"])
    with press.sessions.begin() as session:
        form = validate_sign_up(session, SignUpForm(NEW))
        request_subscription(session, form, press.settings.secret_key, press.clock())
        waiting = session.get_one(Subscriber, token.subject)
        confirming = make_token(Purpose.CONFIRM, waiting, press.clock())
        confirm(session, press.settings, confirming, press.clock())
    with pytest.raises(TokenExpired):
        say_yes(press, token)
    assert address_of(press, subscriber) == OLD


@pytest.mark.parametrize("is_moved", [False, True])
def test_never_mail_me_suppresses_the_address_that_got_the_link(
    press: Press, *, is_moved: bool
) -> None:
    (subscriber,) = press.add_subscribers(OLD)
    ask(press, subscriber, NEW)
    text = sent(press)[f"address_change {NEW}"]
    if is_moved:
        say_yes(press, link_of(press, text))
    keys = press.settings.secret_key
    with press.sessions.begin() as session:
        suppress_for_good(session, link_of(press, text, "never"), keys, press.clock())
        assert is_suppressed(session, NEW, keys)
        assert not is_suppressed(session, OLD, keys)
        assert find_by_email(session, NEW) is None
        assert (session.get(Subscriber, subscriber) is None) is is_moved


def test_an_old_mail_that_bounces_late_says_nothing_about_the_new_address(press: Press) -> None:
    """The relay refuses the old address during the commit: the bounce is the old one's, not the new's."""
    (subscriber,) = press.add_subscribers(OLD, topics=["parsing"])
    press.add_papers(1)
    press.publish()
    token = ask_only(press, subscriber)
    # Only the digest is due: the confirmation to the new address is not part of this test.
    with press.sessions.begin() as session:
        session.query(Delivery).filter_by(kind=DeliveryKind.ADDRESS_CHANGE).delete()
    press.clock.forward(seconds=1)
    moves = [token]
    transport = PlannedTransport(
        plan=lambda one: NOBODY if one.recipient == OLD else ACCEPTED,
        meanwhile=lambda: [say_yes(press, moves.pop()) for _ in moves[:]],
    )
    deliver(press.sender(transport))
    assert transport.recipients[0] == OLD
    with press.sessions() as session:
        assert session.get_one(Subscriber, subscriber).state is SubscriberState.ACTIVE
        assert not is_suppressed(session, NEW, press.settings.secret_key)


def test_erasing_deletes_the_previous_addresses_too(press: Press) -> None:
    (subscriber,) = press.add_subscribers(OLD)
    move(press, subscriber)
    sent(press)
    with press.sessions.begin() as session:
        erase(
            session,
            session.get_one(Subscriber, subscriber),
            press.settings.secret_key,
            press.clock(),
        )
    with press.sessions() as session:
        assert session.query(Subscriber).count() == 0


def test_an_invalid_address_is_one_clear_line(press: Press) -> None:
    (subscriber,) = press.add_subscribers(OLD)
    for text in ("", "nobody", "a@b@c.org", "x" * 400 + "@example.org"):
        with pytest.raises(SignUpError, match="not an email address") as refused:
            ask(press, subscriber, text)
        assert [fault.field for fault in refused.value.faults] == ["address"]
