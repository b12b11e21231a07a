"""A subscriber's lifecycle: one answer for all addresses, few mails, final unsubscription."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import Engine, select, text
from sqlalchemy.orm import Session
from support.newsletter.stored import changed_tables, list_uncompiled, read_tables

from service.deliveries.domain.recipients import Cadence, SubscriberState
from service.deliveries.domain.states import DeliveryKind, DeliveryState
from service.deliveries.store.deliveries import count_mails
from service.deliveries.store.models import Delivery, DeliveryEvent
from service.platform.database.engine import make_sessions
from service.platform.settings.settings import Settings
from service.platform.signing.address_hash import email_key, fingerprint
from service.platform.signing.tokens import Purpose, Token, TokenExpired, TokenInvalid, make_token
from service.subscribers.domain.sign_up import SignUpForm
from service.subscribers.lifecycle import (
    erase,
    pause,
    release_address,
    resume,
    suppress_address,
    suppress_for_good,
    undo_unsubscribe,
    unsubscribe,
    update_preferences,
)
from service.subscribers.sign_up import confirm, list_choices, request_subscription
from service.subscribers.store.models import Consent, PendingSignUp, Subscriber
from service.subscribers.store.subscribers import activate, find_by_email, get_topics
from service.subscribers.store.suppressions import find_reason, is_suppressed
from service.subscribers.validate import SignUpError, validate_preferences, validate_sign_up

KEYS = ("a secret", "an older secret")
NOW = datetime(2026, 9, 18, 5, 0, tzinfo=UTC)
EMAIL = "reader@example.org"
FORM = SignUpForm(EMAIL, ("cat:cs.CL", '"prompt tuning"'), "weekdays", "6", "Europe/Berlin", "/")


@pytest.fixture(autouse=True)
def _every_topic_is_compiled(engine: Engine) -> Iterator[None]:
    yield
    assert list_uncompiled(engine) == []


def at(hours: float) -> datetime:
    return NOW + timedelta(hours=hours)


def never(subscriber_id: int, address: str = EMAIL) -> Token:
    return Token(Purpose.NEVER, subscriber_id, NOW, fingerprint(email_key(address)))


def sign_up(session: Session, hours: float = 0, form: SignUpForm = FORM) -> None:
    request_subscription(session, validate_sign_up(session, form), KEYS, at(hours))
    session.commit()


def subscriber_of(session: Session, email: str = EMAIL) -> Subscriber:
    session.expire_all()
    subscriber = find_by_email(session, email_key(email), lock=True)
    assert subscriber is not None
    return subscriber


def make_subscriber(session: Session, hours: float = 0) -> Subscriber:
    """Return a confirmed subscriber."""
    sign_up(session, hours)
    subscriber = subscriber_of(session)
    activate(session, subscriber, "test", at(hours))
    session.commit()
    return subscriber


def confirmations(session: Session) -> int:
    return count_mails(session, DeliveryKind.CONFIRMATION, subscriber_of(session).id)


def link(session: Session, hours: float) -> Token:
    return make_token(Purpose.CONFIRM, subscriber_of(session), at(hours))


def mailed_link(session: Session, hours: float) -> Token:
    """Return the link of the confirmation that was queued then."""
    mail = session.scalars(
        select(Delivery).filter_by(kind=DeliveryKind.CONFIRMATION, created_at=at(hours))
    ).one()
    assert mail.subscriber_id
    detail = str((mail.digest or {}).get("sign_up", ""))
    holder = session.get_one(Subscriber, mail.subscriber_id)
    return make_token(Purpose.CONFIRM, holder, mail.created_at, detail)


STRANGE = replace(
    FORM, topics=("spam",), cadence="weekly", hour="23", timezone="Asia/Tokyo", locale="ja"
)


def leave(session: Session, hours: float) -> None:
    unsubscribe(session, subscriber_of(session).id, "/unsubscribe", at(hours))
    session.commit()


@pytest.mark.parametrize("state", ["pending", "active", "paused", "unsubscribed", "withdrawn"])
def test_a_sign_up_by_a_stranger_changes_nothing_of_a_known_address(
    session: Session, engine: Engine, state: str
) -> None:
    if state in {"pending", "withdrawn"}:
        sign_up(session)
    else:
        subscriber = make_subscriber(session)
        if state == "paused":
            pause(subscriber, date(2026, 12, 1), NOW)
            session.commit()
    if state in {"unsubscribed", "withdrawn"}:
        leave(session, 1)
    before = read_tables(engine)
    for hours in (25, 26, 50):
        sign_up(session, hours, STRANGE)
    changed = changed_tables(before, read_tables(engine))
    assert changed <= {"deliveries", "pending_sign_ups"}
    assert "deliveries" in changed, "its owner gets a mail"


def test_the_undo_of_leaving_works_after_a_sign_up_by_a_stranger(session: Session) -> None:
    make_subscriber(session)
    leave(session, 1)
    sign_up(session, 2, STRANGE)
    assert undo_unsubscribe(session, subscriber_of(session).id, at(3))
    session.commit()
    subscriber = subscriber_of(session)
    topics = [query for query, _ in get_topics(session, [subscriber.id])[subscriber.id]]
    assert (topics, subscriber.hour, subscriber.cadence) == ([*FORM.topics], 6, Cadence.WEEKDAYS)


@pytest.mark.parametrize("has_left", [True, False])
def test_the_sign_up_whose_link_is_clicked_counts(
    session: Session, settings: Settings, has_left: bool
) -> None:
    sign_up(session)
    if has_left:
        confirm(session, settings, mailed_link(session, 0), at(0.1))
        leave(session, 1)
    sign_up(session, 25, replace(FORM, topics=("graphs",), hour="9", locale="de-AT"))
    sign_up(session, 50, STRANGE)
    subscriber = confirm(session, settings, mailed_link(session, 25), at(51))
    session.commit()
    topics = [query for query, _ in get_topics(session, [subscriber.id])[subscriber.id]]
    assert (topics, subscriber.hour, subscriber.locale) == (["graphs"], 9, "de-AT")
    assert subscriber.state is SubscriberState.ACTIVE
    consents = session.scalars(select(Consent).order_by(Consent.created_at.desc(), Consent.id))
    assert [(c.action, c.created_at) for c in [*consents][:2]] == [
        ("confirmed", at(51)), ("requested", at(25)),
    ]  # fmt: skip
    # The other's link finds an active subscriber, and changes nothing.
    confirm(session, settings, mailed_link(session, 50), at(52))
    session.commit()
    assert session.query(PendingSignUp).count() == 0
    assert subscriber_of(session).hour == 9


def test_the_first_link_still_means_the_first_sign_up(session: Session, settings: Settings) -> None:
    sign_up(session)
    sign_up(session, 1, STRANGE)
    subscriber = confirm(session, settings, mailed_link(session, 0), at(2))
    assert (subscriber.hour, subscriber.timezone) == (6, "Europe/Berlin")


def test_the_holder_of_a_link_may_choose_a_later_sign_up_of_which_no_mail_went_out(
    session: Session, settings: Settings
) -> None:
    sign_up(session)
    sign_up(session, 1, replace(FORM, hour="9"))
    sign_up(session, 1.5, replace(FORM, hour="9"))
    sign_up(session, 1.7, replace(FORM, hour="9", timing="when_complete"))
    token = mailed_link(session, 0)
    choices = list_choices(session, subscriber_of(session), token, at(2))
    assert [(choice.hour, choice.timing) for choice in choices] == [
        (6, "at_hour"), (9, "at_hour"), (9, "when_complete"),
    ], "equal ones once, the oldest first"  # fmt: skip
    assert confirm(session, settings, token, at(2), choices[1].name).hour == 9


def test_a_choice_that_is_not_there_is_the_link_s_own(session: Session, settings: Settings) -> None:
    sign_up(session)
    sign_up(session, 25, replace(FORM, hour="9"))
    token = mailed_link(session, 25)
    assert confirm(session, settings, token, at(26), "4711").hour == 9


def test_a_flood_of_sign_ups_keeps_the_one_that_a_mail_names(
    session: Session, settings: Settings
) -> None:
    make_subscriber(session)
    leave(session, 1)
    sign_up(session, 2, replace(FORM, hour="9"))
    for number in range(20):
        sign_up(session, 3 + number / 100, replace(STRANGE, hour=str(number)))
    assert session.query(PendingSignUp).count() == 6
    assert confirm(session, settings, mailed_link(session, 2), at(4)).hour == 9


def test_withdrawing_ends_the_mail_and_the_links_of_later_sign_ups(
    session: Session, settings: Settings
) -> None:
    sign_up(session)
    sign_up(session, 25, STRANGE)
    token = mailed_link(session, 25)
    leave(session, 26)
    assert {*session.scalars(select(Delivery.state))} == {DeliveryState.SKIPPED}
    with pytest.raises(TokenExpired):
        confirm(session, settings, token, at(27))


def test_a_sign_up_is_pending_with_one_mail_and_a_record_of_consent(session: Session) -> None:
    sign_up(session)
    subscriber = subscriber_of(session)
    assert (subscriber.state, subscriber.confirmed_at) == (SubscriberState.PENDING, None)
    assert (subscriber.cadence, subscriber.hour, subscriber.timezone) == (
        Cadence.WEEKDAYS,
        6,
        "Europe/Berlin",
    )
    assert [text for text, _ in get_topics(session, [subscriber.id])[subscriber.id]] == list(
        FORM.topics
    )
    (mail,) = session.execute(select(Delivery)).scalars()
    assert (mail.kind, mail.state) == (DeliveryKind.CONFIRMATION, DeliveryState.QUEUED)
    assert (mail.due_at, mail.send_not_after) == (NOW, at(24))
    (consent,) = session.scalars(select(Consent).filter_by(subscriber_id=subscriber.id))
    assert (consent.action, consent.page, consent.created_at) == ("requested", "/", NOW)


@pytest.mark.parametrize("spelling", ["READER@Example.ORG", " reader@example.org "])
def test_two_spellings_of_an_address_are_one_subscriber(session: Session, spelling: str) -> None:
    sign_up(session)
    sign_up(session, 1, replace(FORM, email=spelling))
    assert session.execute(select(Subscriber.email_key)).scalars().all() == [EMAIL]
    assert confirmations(session) == 1


def test_three_confirmations_in_thirty_days_and_one_a_day(session: Session) -> None:
    sent = []
    for hours in (0, 1, 23.9, 24, 25, 48, 72, 96, 24 * 29.9, 24 * 30.1, 24 * 365):
        sign_up(session, hours)
        sent.append(confirmations(session))
    assert sent == [1, 1, 1, 2, 2, 3, 3, 3, 3, 4, 5]


SPELLINGS = {
    "gmail.com": ["victim", "victim+1", "v.i.c.t.i.m", "VICTIM", "Vic.Tim+x.y"],
    "googlemail.com": ["victim", "vict.im+shop"],
    "uni.example": ["vic.tim", "vic.tim+1", "Vic.Tim+two+three"],
    "yahoo.co.uk": ["victim", "victim-news", "victim-shop"],
}


def test_all_spellings_of_a_mailbox_get_one_confirmation(session: Session) -> None:
    addresses = [f"{local}@{domain}" for domain, names in SPELLINGS.items() for local in names]
    for number, address in enumerate(addresses):
        sign_up(session, number / 1000, replace(FORM, email=address))
    sent_to = session.scalars(
        select(Subscriber.email).join(Delivery, Delivery.subscriber_id == Subscriber.id)
    )
    assert sorted(sent_to) == ["vic.tim@uni.example", "victim@gmail.com", "victim@yahoo.co.uk"]
    assert {*session.scalars(select(Subscriber.email))} <= {*addresses}, "kept as typed"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("vic.tim@uni.example", "victim@uni.example"),
        ("victim-1@gmail.com", "victim-2@gmail.com"),
        ("victim@gmail.com", "victim@gmail.example"),
        ("victim@yahoo.com", "victim@yahoo.fr"),
    ],
)
def test_different_mailboxes_are_counted_apart(session: Session, one: str, other: str) -> None:
    for address in (one, other):
        sign_up(session, 0, replace(FORM, email=address))
    assert session.query(Delivery).count() == 2


def test_a_mailbox_that_strangers_bombed_can_sign_up_again_a_day_later(session: Session) -> None:
    for number in range(40):
        sign_up(session, number / 100, replace(FORM, email=f"victim+{number}@example.org"))
    assert session.query(Delivery).count() == 1
    own = replace(FORM, email="victim@example.org")
    sign_up(session, 25, own)
    assert (
        count_mails(session, DeliveryKind.CONFIRMATION, subscriber_of(session, own.email).id) == 1
    )


def test_two_concurrent_sign_ups_are_one_subscriber_and_one_mail(
    session: Session, engine: Engine
) -> None:
    def sign_up_elsewhere() -> None:
        with make_sessions(engine).begin() as other:
            request_subscription(other, validate_sign_up(other, FORM), KEYS, at(0.001))

    request_subscription(session, validate_sign_up(session, FORM), KEYS, NOW)
    other = threading.Thread(target=sign_up_elsewhere)
    other.start()
    other.join(timeout=0.3)
    assert other.is_alive(), "the second must wait for the first"
    session.commit()
    other.join(timeout=10)
    assert confirmations(session) == 1


def test_a_subscriber_who_signs_up_again_gets_the_link_once_a_day_and_keeps_everything(
    session: Session, engine: Engine
) -> None:
    make_subscriber(session)
    before = read_tables(engine)
    changed = replace(FORM, topics=("something else",), cadence="daily", hour="9")
    for hours in (1, 2, 24.9, 25):
        sign_up(session, hours, changed)
    assert changed_tables(before, read_tables(engine)) == {"deliveries"}
    subscriber = subscriber_of(session)
    assert count_mails(session, DeliveryKind.PERSONAL_LINK, subscriber.id) == 2


def test_a_suppressed_address_gets_the_same_silence_and_no_mail(
    session: Session, engine: Engine
) -> None:
    suppress_address(session, EMAIL, KEYS, "asked by post", NOW)
    session.commit()
    before = read_tables(engine)
    sign_up(session)
    assert changed_tables(before, read_tables(engine)) == set()


def test_a_suppressed_subscriber_is_not_activated_by_a_form(
    session: Session, engine: Engine, settings: Settings
) -> None:
    subscriber = make_subscriber(session)
    assert suppress_address(session, EMAIL, KEYS, "complained", NOW)
    assert not suppress_address(session, EMAIL, KEYS, "complained", NOW)
    session.commit()
    assert subscriber_of(session).state is SubscriberState.SUPPRESSED
    before = read_tables(engine)
    sign_up(session, 1)
    with pytest.raises(TokenInvalid):
        confirm(session, settings, link(session, 1), at(2))
    assert not unsubscribe(session, subscriber.id, "/unsubscribe", at(2))
    assert not undo_unsubscribe(session, subscriber.id, at(2))
    session.commit()
    # Only that they want no mail, so that no release of the suppression restores them.
    assert changed_tables(before, read_tables(engine)) == {"consents"}
    before = read_tables(engine)
    assert not unsubscribe(session, subscriber.id, "/unsubscribe", at(3))
    session.commit()
    assert changed_tables(before, read_tables(engine)) == set()


def test_a_subscriber_marked_suppressed_without_a_hash_is_left_alone(
    session: Session, engine: Engine
) -> None:
    make_subscriber(session).state = SubscriberState.SUPPRESSED
    session.commit()
    before = read_tables(engine)
    sign_up(session, 1)
    assert changed_tables(before, read_tables(engine)) == set()


def test_a_released_address_is_unsubscribed_until_it_signs_up_again(session: Session) -> None:
    make_subscriber(session)
    suppress_address(session, EMAIL, KEYS, "", NOW)
    assert release_address(session, EMAIL.upper(), KEYS)
    assert not release_address(session, EMAIL, KEYS)
    assert subscriber_of(session).state is SubscriberState.UNSUBSCRIBED
    sign_up(session, 30)
    assert confirmations(session) == 2


@pytest.mark.parametrize("address", ["reader@bücher.example", "reader@xn--bcher-kva.example"])
def test_a_suppression_is_found_in_every_spelling_of_its_domain(
    session: Session, address: str
) -> None:
    suppress_address(session, "Reader@BÜCHER.example", KEYS, "", NOW)
    session.commit()
    sign_up(session, 1, replace(FORM, email=address))
    assert session.execute(select(Subscriber)).all() == []
    assert release_address(session, address, KEYS)


def test_confirming_twice_is_confirming_once(
    session: Session, engine: Engine, settings: Settings
) -> None:
    sign_up(session)
    assert confirm(session, settings, link(session, 0.1), at(1)).state is SubscriberState.ACTIVE
    session.commit()
    before = read_tables(engine)
    assert confirm(session, settings, link(session, 0.1), at(2)).confirmed_at == at(1)
    session.commit()
    assert changed_tables(before, read_tables(engine)) == set()
    consents = session.scalars(select(Consent).order_by(Consent.id))
    assert [c.action for c in consents] == ["requested", "confirmed"]


def test_an_old_link_does_not_subscribe_a_subscriber_who_left(
    session: Session, settings: Settings
) -> None:
    sign_up(session)
    old = link(session, 0.1)
    confirm(session, settings, old, at(1))
    assert unsubscribe(session, old.subject, "/unsubscribe", at(2))
    session.commit()
    with pytest.raises(TokenExpired):
        confirm(session, settings, old, at(3))
    session.rollback()
    sign_up(session, 30)
    with pytest.raises(TokenExpired):
        confirm(session, settings, old, at(31))
    session.rollback()
    new = mailed_link(session, 30)
    assert confirm(session, settings, new, at(31)).state is SubscriberState.ACTIVE


def test_a_new_link_of_a_subscriber_who_left_meanwhile_is_refused(
    session: Session, settings: Settings
) -> None:
    sign_up(session)
    fresh = link(session, 5)
    unsubscribe(session, fresh.subject, "/unsubscribe", at(2))
    with pytest.raises(TokenExpired):
        confirm(session, settings, fresh, at(6))


def test_a_link_of_an_erased_subscriber_is_refused(session: Session, settings: Settings) -> None:
    with pytest.raises(TokenInvalid):
        confirm(session, settings, Token(Purpose.CONFIRM, 4711, NOW), NOW)


def test_a_subscriber_who_left_and_comes_back_is_asked_to_confirm_at_once(session: Session) -> None:
    subscriber = make_subscriber(session)
    unsubscribe(session, subscriber.id, "/unsubscribe", at(1))
    session.commit()
    sign_up(session, 2)
    assert confirmations(session) == 2
    sign_up(session, 3)
    assert confirmations(session) == 2


@pytest.mark.parametrize("is_paused", [True, False])
def test_unsubscribing_is_immediate_and_idempotent(session: Session, is_paused: bool) -> None:
    subscriber = make_subscriber(session)
    if is_paused:
        assert pause(subscriber, date(2026, 12, 1), NOW)
    assert unsubscribe(session, subscriber.id, "/unsubscribe", at(1))
    assert not unsubscribe(session, subscriber.id, "/unsubscribe", at(2))
    assert not unsubscribe(session, 4711, "/unsubscribe", at(2))
    session.commit()
    subscriber = subscriber_of(session)
    assert (subscriber.state, subscriber.unsubscribed_at) == (SubscriberState.UNSUBSCRIBED, at(1))
    assert not pause(subscriber, None, NOW)
    assert not resume(subscriber)


def test_undoing_an_unsubscription_needs_an_earlier_confirmation(session: Session) -> None:
    sign_up(session)
    pending = subscriber_of(session)
    assert not undo_unsubscribe(session, pending.id, at(1))
    unsubscribe(session, pending.id, "/unsubscribe", at(1))
    assert not undo_unsubscribe(session, pending.id, at(2))
    activate(session, pending, "test", at(3))
    unsubscribe(session, pending.id, "/unsubscribe", at(4))
    assert undo_unsubscribe(session, pending.id, at(5))
    assert not undo_unsubscribe(session, pending.id, at(6))
    assert not undo_unsubscribe(session, 4711, at(6))
    assert (pending.state, pending.unsubscribed_at) == (SubscriberState.ACTIVE, None)


def test_erasing_leaves_no_trace_of_the_address_which_may_sign_up_again(
    session: Session, engine: Engine
) -> None:
    make_subscriber(session)
    reply = f"550 5.1.1 <{EMAIL}>: no such mailbox"
    session.execute(
        text("UPDATE deliveries SET state = 'failed', last_reply = :reply, reason = :reply"),
        {"reply": reply},
    )
    mail = session.execute(select(Delivery.id)).scalar_one()
    session.add(
        DeliveryEvent(
            delivery_id=mail, attempt=1, state=DeliveryState.FAILED, detail=reply, created_at=NOW
        )
    )
    session.commit()
    erase(session, subscriber_of(session), KEYS, NOW)
    session.commit()
    tables = read_tables(engine)
    assert not any("reader@" in row for rows in tables.values() for row in rows)
    assert tables["subscribers"] == tables["topics"] == tables["consents"] == ()
    assert len(tables["deliveries"]) == len(tables["delivery_events"]) == 1
    assert is_suppressed(session, EMAIL, KEYS)
    sign_up(session, 48)
    assert subscriber_of(session).state is SubscriberState.PENDING
    assert not is_suppressed(session, EMAIL, KEYS)


def test_an_address_suppressed_for_good_cannot_be_signed_up_again(
    session: Session, engine: Engine
) -> None:
    sign_up(session)
    suppress_for_good(session, never(subscriber_of(session).id), KEYS, at(1))
    suppress_for_good(session, never(4711), KEYS, at(1))
    session.commit()
    before = read_tables(engine)
    assert before["subscribers"] == ()
    for hours in (2, 48):
        sign_up(session, hours)
    assert changed_tables(before, read_tables(engine)) == set()
    assert find_reason(session, EMAIL, KEYS) == "unsubscribed_for_good"


def test_a_suppression_for_good_survives_rotating_the_secret(session: Session) -> None:
    sign_up(session)
    suppress_for_good(session, never(subscriber_of(session).id), KEYS[1:], at(1))
    session.commit()
    sign_up(session, 2)
    assert session.execute(select(Subscriber)).all() == []


def test_a_pause_ends_when_it_is_resumed(session: Session) -> None:
    subscriber = make_subscriber(session)
    assert not resume(subscriber)
    assert pause(subscriber, date(2026, 12, 1), NOW)
    assert pause(subscriber, None, NOW)
    assert (subscriber.state, subscriber.paused_until) == (SubscriberState.PAUSED, None)
    assert resume(subscriber)
    assert subscriber.state is SubscriberState.ACTIVE


def test_preferences_change_together_or_not_at_all(session: Session, engine: Engine) -> None:
    subscriber = make_subscriber(session)
    form = SignUpForm(EMAIL, ("graphs", "GRAPHS", "cat:cs.LG"), "weekly", "20", "Asia/Tokyo")
    before = read_tables(engine)
    with pytest.raises(SignUpError):
        validate_preferences(session, replace(form, topics=("good", '"open')))
    session.commit()
    assert changed_tables(before, read_tables(engine)) == set()
    update_preferences(session, subscriber, validate_preferences(session, form), at(1))
    session.commit()
    subscriber = subscriber_of(session)
    assert (subscriber.cadence, subscriber.hour, subscriber.timezone) == (
        Cadence.WEEKLY,
        20,
        "Asia/Tokyo",
    )
    assert [text for text, _ in get_topics(session, [subscriber.id])[subscriber.id]] == [
        "graphs",
        "cat:cs.LG",
    ]
