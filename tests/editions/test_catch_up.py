"""Catch-ups: the papers missed during a pause in one mail, if wanted; complete, once, bounded."""

from datetime import date, timedelta
from threading import Thread

import pytest
from sqlalchemy import select
from support.newsletter.press import SILENCE, PlannedTransport, Press, plain_text, read_mail
from support.web.papers import FRIDAY, make_announcement

from service.deliveries.domain.recipients import Cadence, SubscriberState
from service.deliveries.domain.states import DeliveryKind, Phase, SendOutcome
from service.deliveries.store.models import Delivery
from service.editions.catch_up import MOST_MISSED, compose_catch_ups
from service.editions.store.editions import insert_edition
from service.papers.domain.types import AnnounceType, PaperEventKind
from service.papers.store.models import Paper
from service.papers.store.works import insert_events
from service.sending.deliver import deliver
from service.subscribers.export import export_subscriber
from service.subscribers.lifecycle import pause, resume, unsubscribe
from service.subscribers.store.candidates import resume_paused
from service.subscribers.store.models import Subscriber

# A permanent refusal of the mail, not of the address.
REFUSED = SendOutcome(Phase.REPLIED, 554, "5.6.0 not this one")
ANNE, BERT = "anne@example.org", "bert@example.org"
MONDAY = FRIDAY + timedelta(days=3)


@pytest.fixture(autouse=True)
def _morning(press: Press) -> None:
    """Move the clock past the subscribers' hour, so that queued mails are due at once."""
    press.clock.forward(hours=3)


def sent(press: Press) -> dict[str, tuple[str, str]]:
    """Send all due mails and return them: kind and address -> subject and text."""
    transport = PlannedTransport()
    deliver(press.sender(transport))
    mails = {}
    for one in transport.sent:
        message = read_mail(one.payload)
        kind = str(message["Message-ID"])[1:].partition(".")[0]
        mails[f"{kind} {one.recipient}"] = (
            str(message["Subject"]),
            " ".join(plain_text(one.payload).split()),
        )
    assert len(mails) == len(transport.sent)
    return mails


def make_pause(
    press: Press, subscriber: int, until: date | None = None, *, wants: bool = True
) -> None:
    with press.sessions.begin() as session:
        pause(session.get_one(Subscriber, subscriber), until, press.clock(), catches_up=wants)


def come_back(press: Press, subscriber: int, *, wants: bool | None = None) -> None:
    with press.sessions.begin() as session:
        assert resume(session.get_one(Subscriber, subscriber), catches_up=wants)


def gather(press: Press, most_missed: int = MOST_MISSED) -> int:
    return compose_catch_ups(press.sessions, press.settings, press.clock(), most_missed)


def days_go_by(press: Press, *numbers: int) -> None:
    """Publish and send an edition a day, each with the paper of one of these numbers."""
    for number in numbers:
        press.clock.forward(days=1)
        on = press.clock().date()
        press.add_papers(number, on=on)
        press.publish(on)


def test_all_missed_papers_come_in_one_mail_with_their_reasons(press: Press) -> None:
    (anne, bert) = press.add_subscribers(ANNE, BERT, topics=["parsing", "cat:cs.CL"])
    make_pause(press, anne)
    days_go_by(press, 1, 2, 3)
    come_back(press, anne)
    assert gather(press) == 1
    press.change(bert, state=SubscriberState.UNSUBSCRIBED)
    ((name, (subject, text)),) = sent(press).items()
    assert name == f"catch_up {ANNE}"
    assert subject == "3 papers from your pause · Fri 18 Sep to Mon 21 Sep"
    for number in (1, 2, 3):
        assert f"Parsing number {number}" in text
    assert "the title says “parsing”" in text
    assert "These papers came out while your digests were paused" in text
    assert "Unsubscribe: http" in text


def test_a_repeated_catch_up_sends_nothing(press: Press) -> None:
    (anne,) = press.add_subscribers(ANNE, topics=["parsing"])
    press.add_papers(1)
    press.publish()
    assert list(sent(press)) == [f"digest {ANNE}"]
    make_pause(press, anne)
    days_go_by(press, 2)
    come_back(press, anne)
    running = [Thread(target=gather, args=(press,)) for _ in range(3)]
    for one in running:
        one.start()
    for one in running:
        one.join()
    ((_, text),) = sent(press).values()
    assert "Parsing number 2" in text
    assert "Parsing number 1" not in text
    # Neither the next catch-up nor the next edition sends it again.
    assert gather(press) == 0
    make_pause(press, anne)
    come_back(press, anne)
    assert gather(press) == 0
    days_go_by(press, 3)
    ((_, text),) = sent(press).values()
    assert "Parsing number 3" in text
    assert "Parsing number 2" not in text


def test_papers_of_a_digest_skipped_by_the_pause_are_caught_up(press: Press) -> None:
    (anne,) = press.add_subscribers(ANNE, topics=["parsing"])
    press.add_papers(1)
    edition = press.publish()
    make_pause(press, anne)
    assert sent(press) == {}
    assert press.states(edition) == {"skipped: paused": 1}
    press.clock.forward(hours=2)
    come_back(press, anne)
    assert gather(press) == 1
    assert "Parsing number 1" in sent(press)[f"catch_up {ANNE}"][1]
    assert press.balance(edition).closes


@pytest.mark.parametrize(("chosen", "at_the_end"), [(False, None), (True, False), (False, False)])
def test_a_subscriber_without_catch_up_gets_none(
    press: Press, *, chosen: bool, at_the_end: bool | None
) -> None:
    (anne,) = press.add_subscribers(ANNE, topics=["parsing"])
    make_pause(press, anne, wants=chosen)
    days_go_by(press, 1)
    come_back(press, anne, wants=at_the_end)
    assert gather(press) == 0
    assert sent(press) == {}


def test_a_pause_that_ends_on_its_date_is_caught_up_too(press: Press) -> None:
    (anne, bert) = press.add_subscribers(ANNE, BERT, topics=["parsing"])
    for subscriber, wants in ((anne, True), (bert, False)):
        make_pause(press, subscriber, MONDAY, wants=wants)
    days_go_by(press, 1, 2)
    with press.sessions.begin() as session:
        assert resume_paused(session, MONDAY) == 2
    assert gather(press) == 1
    assert list(sent(press)) == [f"catch_up {ANNE}"]


def test_the_choice_at_resuming_overrides_the_one_at_pausing(press: Press) -> None:
    (anne,) = press.add_subscribers(ANNE, topics=["parsing"])
    make_pause(press, anne, wants=False)
    days_go_by(press, 1)
    come_back(press, anne, wants=True)
    assert gather(press) == 1


def test_a_long_pause_is_caught_up_for_its_last_month_and_the_mail_says_so(press: Press) -> None:
    (anne,) = press.add_subscribers(ANNE, topics=["parsing"])
    make_pause(press, anne)
    days_go_by(press, 1)
    press.clock.forward(days=40)
    days_go_by(press, 2)
    come_back(press, anne)
    assert gather(press) == 1
    _, text = sent(press)[f"catch_up {ANNE}"]
    assert "Your pause was longer than 31 days" in text
    assert "Parsing number 2" in text
    assert "Parsing number 1" not in text


def test_many_papers_are_cut_to_the_mails_size_and_stay_one_click_away(press: Press) -> None:
    (anne,) = press.add_subscribers(ANNE, topics=["parsing"])
    make_pause(press, anne)
    press.clock.forward(days=1)
    press.add_papers(*range(1, 46), on=press.clock().date())
    press.publish(press.clock().date())
    come_back(press, anne)
    assert gather(press, most_missed=40) == 1
    row = next(row for row in press.rows() if row.kind is DeliveryKind.CATCH_UP)
    assert len(row.paper_ids) == press.settings.digest_max_papers
    assert len((row.digest or {})["cut"]) == 40 - press.settings.digest_max_papers
    _, text = sent(press)[f"catch_up {ANNE}"]
    assert "And 15 more papers" in text
    assert "For each topic, only the newest 40 papers are shown." in text


def test_a_second_pause_before_the_mail_went_out_loses_nothing(press: Press) -> None:
    (anne,) = press.add_subscribers(ANNE, topics=["parsing"])
    make_pause(press, anne)
    days_go_by(press, 1)
    come_back(press, anne)
    assert gather(press) == 1
    press.clock.forward(minutes=1)
    make_pause(press, anne)
    assert sent(press) == {}
    days_go_by(press, 2)
    come_back(press, anne)
    assert gather(press) == 1
    ((_, text),) = sent(press).values()
    assert "Parsing number 1" in text
    assert "Parsing number 2" in text


def test_a_catch_up_waits_for_the_subscribers_hour(press: Press) -> None:
    (anne,) = press.add_subscribers(ANNE, topics=["parsing"])
    make_pause(press, anne)
    press.clock.forward(hours=-3)
    days_go_by(press, 1)
    come_back(press, anne)
    assert gather(press) == 1
    assert sent(press) == {}
    press.clock.forward(hours=2)
    assert list(sent(press)) == [f"catch_up {ANNE}"]


def test_a_catch_up_waits_for_an_edition_that_is_being_composed(press: Press) -> None:
    (anne,) = press.add_subscribers(ANNE, topics=["parsing"])
    make_pause(press, anne)
    days_go_by(press, 1)
    with press.sessions.begin() as session:
        insert_edition(session, Cadence.DAILY, MONDAY, press.clock(), sends_now=True)
    come_back(press, anne)
    assert gather(press) == 0
    press.publish(MONDAY)
    assert gather(press) == 1


def test_without_topics_it_has_the_papers_of_those_days(press: Press) -> None:
    (anne, bert) = press.add_subscribers(ANNE, BERT, topics=[])
    make_pause(press, anne)
    press.change(bert, cadence=Cadence.WEEKLY)
    days_go_by(press, 1, 2)
    come_back(press, anne)
    assert gather(press) == 1
    text = sent(press)[f"catch_up {ANNE}"][1]
    assert "Parsing number 1" in text
    assert "Parsing number 2" in text


def test_new_versions_come_for_topics_with_replacements(press: Press) -> None:
    (anne, bert) = press.add_subscribers(
        ANNE, topics=["parsing replaced:"]
    ) + press.add_subscribers(BERT, topics=["parsing"])
    press.add_papers(1)
    press.publish()
    assert len(sent(press)) == 2
    for subscriber in (anne, bert):
        make_pause(press, subscriber)
    press.clock.forward(days=3)
    newer = make_announcement(1, "Parsing number 1", version=2, announce_type=AnnounceType.REPLACE)
    press.add_papers(on=press.clock().date(), announcements=[newer])
    press.publish(press.clock().date())
    for subscriber in (anne, bert):
        come_back(press, subscriber)
    assert gather(press) == 1
    ((name, (_, text)),) = sent(press).items()
    assert name == f"catch_up {ANNE}"
    assert "revised: v2" in text


def test_a_subscriber_who_left_meanwhile_is_not_mailed(press: Press) -> None:
    (anne,) = press.add_subscribers(ANNE, topics=["parsing"])
    make_pause(press, anne)
    days_go_by(press, 1)
    come_back(press, anne)
    assert gather(press) == 1
    with press.sessions.begin() as session:
        unsubscribe(session, anne, "/unsubscribe", press.clock())
    assert sent(press) == {}
    with press.sessions() as session:
        row = session.query(Delivery).filter_by(kind=DeliveryKind.CATCH_UP).one()
        assert row.reason == "unsubscribed"
        held = export_subscriber(session, session.get_one(Subscriber, anne))
    assert [one["kind"] for one in held["deliveries"]] == ["catch_up"]


@pytest.mark.parametrize("answer", [SILENCE, REFUSED])
def test_papers_that_did_not_arrive_come_in_the_next_edition(
    press: Press, answer: SendOutcome
) -> None:
    (anne,) = press.add_subscribers(ANNE, topics=["parsing"])
    make_pause(press, anne)
    days_go_by(press, 1)
    come_back(press, anne)
    assert gather(press) == 1
    deliver(press.sender(PlannedTransport(plan=lambda _: answer)))
    days_go_by(press, 2)
    ((_, text),) = sent(press).values()
    assert "Parsing number 1" in text
    assert "Parsing number 2" in text
    assert ("you may have seen this" in text) is (answer is SILENCE)
    days_go_by(press, 3)
    ((_, text),) = sent(press).values()
    assert "Parsing number 1" not in text


def test_papers_of_other_kinds_are_not_missed(press: Press) -> None:
    (anne,) = press.add_subscribers(ANNE, topics=["parsing"])
    make_pause(press, anne)
    press.clock.forward(days=1)
    on = press.clock().date()
    press.add_papers(on=on, announcements=[make_announcement(9, "Of other things")])
    press.publish(on)
    come_back(press, anne)
    assert gather(press) == 0


def test_a_subscriber_with_only_a_catch_up_does_not_stop_the_next_edition(press: Press) -> None:
    """Such a subscriber has a ledger but no previous digest from which to count updates."""
    anne, bert = press.add_subscribers(ANNE, BERT)
    make_pause(press, anne)
    days_go_by(press, 1)
    sent(press)
    come_back(press, anne)
    assert gather(press) == 1
    assert {*sent(press)} == {f"catch_up {ANNE}"}
    with press.sessions.begin() as session:
        ids = session.scalars(select(Paper.id)).all()
        now = press.clock.forward(minutes=1)
        insert_events(session, [(i, PaperEventKind.CODE, "url") for i in ids], now)
    days_go_by(press, 2)
    digests = {row.subscriber_id: row.digest or {} for row in press.rows() if row.kind == "digest"}
    assert [len(digests[each]["updates"]) for each in (anne, bert)] == [0, 1]


def test_a_subscriber_whose_rows_are_broken_holds_up_no_other_catch_up(press: Press) -> None:
    (anne, bert) = press.add_subscribers(ANNE, BERT, topics=["parsing"])
    for subscriber in (anne, bert):
        make_pause(press, subscriber)
    days_go_by(press, 1, 2)
    for subscriber in (anne, bert):
        come_back(press, subscriber)
    press.change(anne, timezone="Mars/Olympus")
    assert gather(press) == 1
    # The broken one's request is cleared, so that it is not tried every minute.
    assert gather(press) == 0
    (mail,) = [row for row in press.rows() if row.kind is DeliveryKind.CATCH_UP]
    assert mail.subscriber_id == bert
