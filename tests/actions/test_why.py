"""Why a reader got what they got: papers, reasons, cuts, and every word of the relay."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine
from support.press import ACCEPTED, LATER, PlannedTransport, Press, make_press
from support.web_papers import FRIDAY, make_announcement

from service.actions.deliver import deliver
from service.actions.why import EventStory, Story, tell_why
from service.config import Settings
from service.domain.delivery import RETRY_MINUTES
from service.domain.types import DeliveryKind
from service.store.deliveries import insert_mail
from service.store.models import Subscriber

ANNE = "anne@example.org"


@pytest.fixture
def press(settings: Settings, engine: Engine, now: datetime) -> Press:
    return make_press(settings, engine, now)


def tell(press: Press, reader_id: int) -> Story:
    with press.sessions() as session:
        return tell_why(session, session.get_one(Subscriber, reader_id), FRIDAY)


def test_the_story_has_every_paper_reason_cut_and_reply(press: Press) -> None:
    press.settings = press.settings.model_copy(update={"digest_max_papers": 2})
    (anne,) = press.add_readers(ANNE, topics=["parsing", 'au:"Lovelace, A"'])
    press.add_papers(1, 2, told=[make_announcement(3, "Something else")])
    edition_id = press.publish()
    transport = PlannedTransport(lambda _: LATER)
    deliver(press.sender(transport))
    started = press.clock()
    transport.plan = lambda _: ACCEPTED
    press.clock.forward(minutes=RETRY_MINUTES[0])
    deliver(press.sender(transport))
    story = tell(press, anne)
    assert (story.email, story.state) == (ANNE, "active")
    assert story.topics == ("parsing", 'au:"Lovelace, A"')
    (told,) = story.deliveries
    assert (told.kind, told.edition_id, told.cadence) == ("digest", edition_id, "daily")
    assert (told.state, told.attempt, told.reason) == ("sent", 2, "")
    assert [paper.topic for paper in told.papers] == ["parsing", "parsing"]
    assert told.papers[0].reasons[0] == "parsing in the title"
    assert told.cut == ("arxiv:2609.00003",)
    assert told.message_id.startswith("<digest.")
    assert told.events == (
        EventStory(started, 1, "queued", "451 4.7.1 greylisted"),
        EventStory(press.clock(), 2, "sent", "250 2.0.0 taken"),
    )


def test_a_guess_is_told_as_one(press: Press) -> None:
    (anne,) = press.add_readers(ANNE, topics=['au:"Lovelace, Augusta"'])
    press.add_papers(told=[make_announcement(1, "By initials", authors=("A. Lovelace",))])
    press.publish()
    (told,) = tell(press, anne).deliveries
    assert [reason.endswith("in the author (a guess)") for reason in told.papers[0].reasons] == [
        True
    ]


def test_a_skip_is_told_with_its_reason(press: Press) -> None:
    (anne,) = press.add_readers(ANNE, topics=["quasars"])
    press.publish()
    (told,) = tell(press, anne).deliveries
    assert (told.state, told.reason, told.papers) == ("skipped", "empty", ())


def test_other_mails_are_told_on_the_day_they_were_queued(press: Press) -> None:
    (anne,) = press.add_readers(ANNE)
    with press.sessions.begin() as session:
        for days, occasion in ((0, "today"), (1, "tomorrow")):
            at = press.clock() + timedelta(days=days)
            insert_mail(session, DeliveryKind.WELCOME, anne, occasion, at, at)
    (told,) = tell(press, anne).deliveries
    assert (told.kind, told.edition_id, told.cadence) == ("welcome", None, "")


def test_a_day_without_anything_is_told_as_such(press: Press) -> None:
    (anne,) = press.add_readers(ANNE)
    assert tell(press, anne).deliveries == ()
