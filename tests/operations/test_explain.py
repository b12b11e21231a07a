"""Explanation of a subscriber's mails: papers, reasons, cuts, and every reply of the relay."""

from datetime import timedelta

from sqlalchemy import update
from support.mail.bounce_mails import dsn, refused
from support.newsletter.bounce_press import path_of, take
from support.newsletter.press import ACCEPTED, LATER, SILENCE, PlannedTransport, Press
from support.web.papers import FRIDAY, make_announcement

from service.cli.report_lines import story_lines
from service.deliveries.domain.digest import Digest, DigestEntry, DigestGroup, PaperUpdate
from service.deliveries.domain.digest_json import digest_to_json
from service.deliveries.domain.states import DeliveryKind
from service.deliveries.store.deliveries import insert_mail
from service.deliveries.store.models import Delivery
from service.operations.explain import EditionName, EventStory, Story, explain_date
from service.papers.domain.types import PaperEventKind
from service.sending.deliver import deliver
from service.sending.domain.provider_limits import BreakerState
from service.sending.domain.retries import RETRY_MINUTES
from service.sending.domain.smtp_replies import ReplyKind
from service.sending.store.models import ProviderLimit
from service.subscribers.lifecycle import suppress_address
from service.subscribers.store.models import Subscriber

ANNE = "anne@example.org"
SATURDAY = FRIDAY + timedelta(days=1)


def tell(press: Press, subscriber_id: int) -> Story:
    with press.sessions() as session:
        return explain_date(session, session.get_one(Subscriber, subscriber_id), FRIDAY)


def test_the_story_has_every_paper_reason_cut_and_reply(press: Press) -> None:
    press.settings = press.settings.model_copy(update={"digest_max_papers": 2})
    (anne,) = press.add_subscribers(ANNE, topics=["parsing", 'au:"Lovelace, A"'])
    press.add_papers(1, 2, announcements=[make_announcement(3, "Something else")])
    edition_id = press.publish()
    transport = PlannedTransport(lambda _: LATER)
    deliver(press.sender(transport))
    started = press.clock()
    transport.plan = lambda _: ACCEPTED
    press.clock.forward(minutes=RETRY_MINUTES[ReplyKind.GREYLISTED][0] * 1.2)
    deliver(press.sender(transport))
    story = tell(press, anne)
    assert (story.email, story.state) == (ANNE, "active")
    assert story.topics == ("parsing", 'au:"Lovelace, A"')
    (delivery,) = story.deliveries
    assert (delivery.kind, delivery.edition_id, delivery.cadence) == ("digest", edition_id, "daily")
    assert (delivery.state, delivery.attempt, delivery.reason) == ("sent", 2, "")
    assert [paper.topic for paper in delivery.papers] == ["Parsing", "Parsing"]
    assert delivery.papers[0].reasons[0] == "parsing in the title"
    assert delivery.cut == ("arxiv:2609.00003",)
    assert delivery.message_id.startswith("<digest.")
    assert delivery.events == (
        EventStory(started, 1, "queued", "451 4.7.1 greylisted", "rcpt"),
        EventStory(press.clock(), 2, "sent", "250 2.0.0 taken", "replied"),
    )


def test_the_story_lists_suggestions_and_updates_after_the_topics(press: Press) -> None:
    (anne,) = press.add_subscribers(ANNE, topics=["parsing"])
    press.add_papers(1, 2, 3)
    press.publish()
    row = press.row()
    first, second, third = row.paper_ids
    digest = Digest(
        (DigestGroup("parsing", (DigestEntry(second),)),),
        updates=(PaperUpdate(first, PaperEventKind.REVISED, "v3"),),
        also=(DigestEntry(third),),
    )
    with press.sessions.begin() as session:
        session.execute(
            update(Delivery)
            .where(Delivery.id == row.id)
            .values(digest=digest_to_json(digest), paper_ids=[*digest.paper_ids])
        )
    (delivery,) = tell(press, anne).deliveries
    assert [(paper.topic, paper.reasons) for paper in delivery.papers] == [
        ("parsing", ()),
        ("You may also like", ()),
        ("Updates to papers you were sent", ("revised v3",)),
    ]


def test_a_guess_is_marked_as_one(press: Press) -> None:
    (anne,) = press.add_subscribers(ANNE, topics=['au:"Lovelace, Augusta"'])
    press.add_papers(announcements=[make_announcement(1, "By initials", authors=("A. Lovelace",))])
    press.publish()
    (delivery,) = tell(press, anne).deliveries
    assert [
        reason.endswith("in the author (a guess)") for reason in delivery.papers[0].reasons
    ] == [True]


def test_a_skip_has_its_reason(press: Press) -> None:
    (anne,) = press.add_subscribers(ANNE, topics=["quasars"])
    press.publish()
    (delivery,) = tell(press, anne).deliveries
    assert (delivery.state, delivery.reason, delivery.papers) == ("skipped", "empty", ())


def test_other_mails_are_listed_on_the_day_they_were_queued(press: Press) -> None:
    (anne,) = press.add_subscribers(ANNE)
    with press.sessions.begin() as session:
        for days, occasion in ((0, "today"), (1, "tomorrow")):
            at = press.clock() + timedelta(days=days)
            insert_mail(session, DeliveryKind.WELCOME, anne, occasion, at, at)
    (delivery,) = tell(press, anne).deliveries
    assert (delivery.kind, delivery.edition_id, delivery.cadence) == ("welcome", None, "")


def test_a_day_without_mails_is_empty(press: Press) -> None:
    (anne,) = press.add_subscribers(ANNE)
    assert tell(press, anne).deliveries == ()


def test_a_later_bounce_is_listed_with_its_delivery(press: Press) -> None:
    (anne,) = press.add_subscribers(ANNE)
    press.add_papers(1)
    press.publish()
    deliver(press.sender(PlannedTransport()))
    press.clock.forward(hours=1)
    row = press.row()
    full = dsn(refused(status="5.2.2", reply="550 5.2.2 mailbox full"), to=path_of(press, row))
    take(press, full)
    story = tell(press, anne)
    (delivery,) = story.deliveries
    (bounce,) = delivery.bounces
    assert (bounce.source, bounce.verdict, bounce.code) == ("file", "full", "5.2.2")
    assert (delivery.state, delivery.events[-1].state, story.bounces) == ("bounced", "bounced", ())


def test_the_story_follows_papers_that_were_carried_into_the_next_edition(press: Press) -> None:
    (anne,) = press.add_subscribers(ANNE)
    press.add_papers(1)
    first = press.publish()
    deliver(press.sender(PlannedTransport(lambda _: SILENCE)))
    press.clock.forward(days=1)
    second = press.publish(SATURDAY)
    (delivery,) = tell(press, anne).deliveries
    assert (delivery.state, delivery.carried_into) == (
        "carried",
        EditionName(second, "daily", SATURDAY),
    )
    with press.sessions() as session:
        after = explain_date(session, session.get_one(Subscriber, anne), SATURDAY)
    (again,) = after.deliveries
    assert again.carried_from == (EditionName(first, "daily", FRIDAY),)
    assert [paper.is_maybe_seen for paper in again.papers] == [True]


def test_a_suppressed_address_and_a_paused_provider_are_shown(press: Press) -> None:
    (anne,) = press.add_subscribers(ANNE)
    now, keys = press.clock(), press.settings.secret_key
    with press.sessions.begin() as session:
        suppress_address(session, ANNE, keys, "asked by telephone", now)
        session.add(
            ProviderLimit(
                provider="example.org", changed_at=now, opened_at=now, breaker=BreakerState.OPEN
            )
        )
    with press.sessions() as session:
        story = explain_date(session, session.get_one(Subscriber, anne), FRIDAY, keys)
    assert (story.state, story.suppressed) == ("suppressed", "operator")
    assert story.limit_state is not None
    assert (story.provider, story.limit_state.breaker) == ("example.org", "open")
    assert any("suppressed" in line for line in story_lines(story))
    assert any(line.startswith("example.org is paused since") for line in story_lines(story))
