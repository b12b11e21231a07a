"""The preferences page: settings, pause, unsubscribe, export and erasure."""

import json
from collections.abc import Iterator
from datetime import date

import httpx2
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session
from support.newsletter.press import Turnable
from support.newsletter.stored import list_uncompiled
from support.web.papers import FRIDAY, make_announcement, store_papers
from support.web.site import Subscribers, count_rows

from service.deliveries.domain.recipients import Cadence, SubscriberState, Timing
from service.editions.publish import publish_now
from service.platform.database.engine import make_sessions
from service.platform.signing.tokens import Purpose
from service.similarity.availability import NOT_HERE
from service.subscribers.store.models import Subscriber
from service.subscribers.store.subscribers import get_named_topics, get_topics
from service.subscribers.store.suppressions import find_reason
from service.topics.domain.measure import write_measure


@pytest.fixture(autouse=True)
def _every_topic_is_compiled(engine: Engine) -> Iterator[None]:
    yield
    assert list_uncompiled(engine) == []


@pytest.fixture
def subscriber(subscribers: Subscribers) -> Subscriber:
    return subscribers.add("reader@example.org", "cats", '"prompt tuning"')


@pytest.fixture
def link(subscribers: Subscribers, subscriber: Subscriber) -> str:
    return f"/preferences/{subscribers.token(Purpose.PREFERENCES, subscriber.id)}"


def topics_of(session: Session, subscriber: Subscriber) -> list[str]:
    session.rollback()
    return [text for text, _ in get_topics(session, [subscriber.id]).get(subscriber.id, [])]


def test_the_page_shows_the_settings_and_masks_the_address(
    web: httpx2.Client, session: Session, link: str
) -> None:
    before = count_rows(session)
    page = web.get(link).text
    assert 'value="cats"' in page
    assert 'value="&#34;prompt tuning&#34;"' in page
    assert "r***@example.org" in page
    assert "reader@example.org" not in page
    assert count_rows(session) == before


def test_a_saved_topic_that_cannot_be_compared_any_more_stops_no_other_change(
    web: httpx2.Client, session: Session, subscribers: Subscribers
) -> None:
    liked = 'like:"robots that learn"'
    subscriber = subscribers.add("like@example.org", liked, "cats")
    link = f"/preferences/{subscribers.token(Purpose.PREFERENCES, subscriber.id)}"
    session.execute(text("DROP TABLE paper_meanings"))
    session.commit()

    def hour() -> int:
        fresh = subscribers.reread(subscriber)
        assert fresh
        return fresh.hour

    assert web.post(link, data={"topic": [liked, "dogs"], "hour": "9"}).status_code == 200
    assert hour() == 9
    assert topics_of(session, subscriber) == [liked, "dogs"]
    refused = web.post(link, data={"topic": ['like:"other words"'], "hour": "10"})
    assert refused.status_code == 422
    assert NOT_HERE in refused.text
    assert hour() == 9


def test_saving_sets_topics_and_schedule(
    web: httpx2.Client,
    session: Session,
    subscribers: Subscribers,
    subscriber: Subscriber,
    link: str,
) -> None:
    fields = {
        "topic": ["dogs", " ", "cats"],
        "cadence": "weekly",
        "hour": "18",
        "timezone": "Asia/Tokyo",
        "timing": "when_complete",
        "action": "save",
    }
    answer = web.post(link, data=fields)
    assert answer.status_code == 200
    assert "Saved." in answer.text
    fresh = subscribers.reread(subscriber)
    assert fresh
    assert (fresh.cadence, fresh.hour, fresh.timezone) == (Cadence.WEEKLY, 18, "Asia/Tokyo")
    assert fresh.timing is Timing.WHEN_COMPLETE
    assert topics_of(session, fresh) == ["dogs", "cats"]


def test_empty_digests_can_be_switched_on_and_off(
    web: httpx2.Client, subscribers: Subscribers, subscriber: Subscriber, link: str
) -> None:
    def wants() -> bool:
        fresh = subscribers.reread(subscriber)
        assert fresh
        return fresh.has_empty_digests

    box = 'id="empty_digests" name="empty_digests" value="yes"'
    assert f"{box}>" in web.get(link).text
    assert not wants()
    # The form sends a hidden "no" before the "yes" of a ticked box.
    page = web.post(link, data={"hour": "9", "empty_digests": ["no", "yes"]}).text
    assert f"{box} checked>" in page
    assert wants()
    web.post(link, data={"hour": "10"})
    assert wants()
    web.post(link, data={"empty_digests": "no"})
    assert not wants()


def test_the_number_of_papers_in_full_is_set_and_checked(
    web: httpx2.Client, subscribers: Subscribers, subscriber: Subscriber, link: str
) -> None:
    def chosen() -> int:
        fresh = subscribers.reread(subscriber)
        assert fresh
        return fresh.full_cards

    assert chosen() == 10
    assert 'maxlength="3" size="4" value="10"' in web.get(link).text
    web.post(link, data={"full_cards": " 0 "})
    assert chosen() == 0
    web.post(link, data={"hour": "9"})
    assert chosen() == 0
    for wrong in ("101", "-1", "ten", "1.5", "٣"):
        answer = web.post(link, data={"full_cards": wrong})
        assert answer.status_code == 422
        assert "Papers shown in full: a whole number from 0 to 100." in answer.text
        assert chosen() == 0
    web.post(link, data={"full_cards": "100"})
    assert chosen() == 100


def test_the_measure_of_mails_and_topics_is_set_and_checked(
    web: httpx2.Client,
    session: Session,
    subscribers: Subscribers,
    subscriber: Subscriber,
    link: str,
) -> None:
    def chosen() -> tuple[object, ...]:
        session.rollback()
        fresh = subscribers.reread(subscriber)
        assert fresh
        topics = get_named_topics(session, [subscriber.id])[subscriber.id]
        measures = [write_measure(topic.measure) for topic in topics]
        return fresh.cadence, fresh.max_papers, fresh.weekly_topics_on, measures

    assert chosen()[1:] == (None, 0, ["at once", "at once"])
    form = {
        "topic": ["cats", '"prompt tuning"', ""],
        "comes": ["weekly", "at least 3", "at once"],
        "cadence": "monthly",
        "max_papers": ["usual", "12"],
        "weekly_topics_on": "thursday",
    }
    page = web.post(link, data=form).text
    expected = (Cadence.MONTHLY, 12, 3, ["weekly", "at least 3"])
    assert chosen() == expected
    assert "Papers come on the first of every month at 07:00" in page
    assert '<option value="weekly" selected>once a week</option>' in page
    assert '<option value="at least 3" selected>when 3 are together</option>' in page
    assert '<option value="thursday" selected>Thursday</option>' in page
    assert "&amp;comes=at%20least%203" in page
    web.post(link, data={"hour": "9"})
    assert chosen() == expected
    for field, wrong, words in (
        ("max_papers", "0", "Papers in a mail: a whole number from 1 to 100."),
        ("weekly_topics_on", "someday", "Choose monday, tuesday"),
        ("cadence", "weekly-monday", "Choose daily, weekdays, weekly, weekly-tuesday"),
        ("comes", "never", "A topic comes “at once”"),
    ):
        answer = web.post(link, data=form | {field: wrong})
        assert (answer.status_code, words in answer.text) == (422, True)
    assert chosen() == expected
    web.post(link, data={"max_papers": ["usual", ""], "cadence": "weekly-thursday"})
    assert chosen() == (Cadence.WEEKLY_THURSDAY, None, *expected[2:])


def test_missing_fields_stay_and_blank_topics_are_removed(
    web: httpx2.Client, session: Session, subscriber: Subscriber, link: str
) -> None:
    assert web.post(link, data={"hour": "9"}).status_code == 200
    assert topics_of(session, subscriber) == ["cats", '"prompt tuning"']
    assert web.post(link, data={"topic": ""}).status_code == 200
    assert topics_of(session, subscriber) == []


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"topic": ["cats", "dogs )"], "hour": "9"}, "was never opened"),
        ({"timezone": "Mars/Olympus"}, "No time zone is called"),
        ({"hour": "24"}, "from 0 to 23"),
        ({"timing": "soon"}, "Choose at_hour or when_complete."),
        ({"action": "pause", "pause_days": "-1"}, "Pause for 1 to 366 days."),
        ({"action": "pause", "pause_days": "367"}, "Pause for 1 to 366 days."),
        ({"action": "dance"}, "Unknown action"),
    ],
)
def test_invalid_values_change_nothing(
    *,
    web: httpx2.Client,
    session: Session,
    subscribers: Subscribers,
    subscriber: Subscriber,
    link: str,
    fields: dict[str, object],
    text: str,
) -> None:
    answer = web.post(link, data=fields)
    assert answer.status_code == 422
    assert text in answer.text
    fresh = subscribers.reread(subscriber)
    assert fresh
    assert (fresh.hour, fresh.timezone, fresh.state) == (7, "Europe/Berlin", SubscriberState.ACTIVE)
    assert topics_of(session, fresh) == ["cats", '"prompt tuning"']


def test_an_invalid_topic_keeps_the_posted_values(web: httpx2.Client, link: str) -> None:
    page = web.post(link, data={"topic": ["dogs )", "birds"], "hour": "9"}).text
    assert "<code>dogs <mark>)</mark></code>" in page
    assert 'value="birds"' in page
    assert '<option value="9" selected>' in page


@pytest.mark.parametrize(("days", "until"), [("14", date(2026, 10, 2)), ("", None)])
def test_a_pause_ends_on_its_day_or_on_resume(
    web: httpx2.Client,
    subscribers: Subscribers,
    subscriber: Subscriber,
    link: str,
    days: str,
    until: date | None,
) -> None:
    page = web.post(link, data={"action": "pause", "pause_days": days}).text
    assert "Paused." in page
    fresh = subscribers.reread(subscriber)
    assert fresh
    assert (fresh.state, fresh.paused_until) == (SubscriberState.PAUSED, until)
    assert "Welcome back" in web.post(link, data={"action": "resume"}).text
    fresh = subscribers.reread(subscriber)
    assert fresh
    assert (fresh.state, fresh.paused_until) == (SubscriberState.ACTIVE, None)


def test_a_catch_up_can_be_chosen_before_or_after_a_pause(
    web: httpx2.Client, subscribers: Subscribers, subscriber: Subscriber, link: str
) -> None:
    box = 'id="catch_up" name="catch_up" value="yes"'
    pausing = {"action": "pause", "pause_days": "14", "catch_up": ["no", "yes"]}
    assert f"{box}>" in web.get(link).text
    assert f"{box} checked>" in web.post(link, data=pausing).text
    page = web.post(link, data={"action": "resume", "catch_up": "no"}).text
    assert "What you missed" not in page
    fresh = subscribers.reread(subscriber)
    assert fresh
    assert (fresh.catch_up_since, fresh.paused_at) == (None, None)
    web.post(link, data={"action": "pause", "pause_days": "14"})
    page = web.post(link, data={"action": "resume", "catch_up": ["no", "yes"]}).text
    assert "What you missed comes in a separate mail." in page
    fresh = subscribers.reread(subscriber)
    assert fresh
    assert fresh.catch_up_since == date(2026, 9, 18)


def test_unsubscribe_and_undo_work_from_the_page(
    web: httpx2.Client, subscribers: Subscribers, subscriber: Subscriber, link: str
) -> None:
    page = web.post(link, data={"action": "unsubscribe"}).text
    assert "You will get no more mail from us." in page
    assert 'value="undo"' in page
    fresh = subscribers.reread(subscriber)
    assert fresh
    assert fresh.state is SubscriberState.UNSUBSCRIBED
    assert "Welcome back" in web.post(link, data={"action": "undo"}).text
    fresh = subscribers.reread(subscriber)
    assert fresh
    assert fresh.state is SubscriberState.ACTIVE


def test_erasure_needs_confirmation_and_leaves_only_a_fingerprint(
    web: httpx2.Client,
    subscribers: Subscribers,
    subscriber: Subscriber,
    link: str,
    session: Session,
) -> None:
    question = web.post(link, data={"action": "erase"})
    assert "Erase everything about you?" in question.text
    assert 'name="sure" value="yes"' in question.text
    assert subscribers.reread(subscriber) is not None
    done = web.post(link, data={"action": "erase", "sure": "yes"})
    assert "We hold nothing about you any more" in done.text
    assert subscribers.reread(subscriber) is None
    counts = count_rows(session)
    assert (counts["topics"], counts["consents"], counts["suppressions"]) == (0, 0, 1)
    assert find_reason(session, "reader@example.org", subscribers.settings.secret_key) == "erased"
    for answer in (web.get(link), web.post(link), web.get(f"{link}/export")):
        assert answer.status_code == 404
        assert "We hold nothing about you" in answer.text


def test_the_export_has_every_row_of_this_subscriber_and_no_other(
    web: httpx2.Client,
    subscribers: Subscribers,
    subscriber: Subscriber,
    link: str,
    session: Session,
    engine: Engine,
) -> None:
    subscribers.add("somebody.else@example.org", "secrets")
    store_papers(session, [make_announcement(1, "All about Cats")])
    sessions = make_sessions(engine)
    publish_now(sessions, subscribers.settings, Cadence.DAILY, FRIDAY, subscribers.clock())
    answer = web.get(f"{link}/export")
    assert answer.headers["content-disposition"] == 'attachment; filename="paperboy.json"'
    held = json.loads(answer.content)
    assert held["subscriber"]["email"] == "reader@example.org"
    assert [topic["query"] for topic in held["topics"]] == ["cats", '"prompt tuning"']
    assert [consent["action"] for consent in held["consents"]] == ["requested", "confirmed"]
    kinds = {delivery["kind"] for delivery in held["deliveries"]}
    assert kinds == {"confirmation", "digest"}
    assert list(held["papers"].values()) == ["arxiv:2609.00001"]
    assert "somebody.else" not in answer.text
    assert "secrets" not in answer.text


def test_an_expired_link_says_how_to_get_a_new_one(
    web: httpx2.Client, link: str, clock: Turnable
) -> None:
    clock.forward(days=121)
    for answer in (web.get(link), web.post(link), web.get(f"{link}/export")):
        assert answer.status_code == 410
        assert "Send me a new link" in answer.text
