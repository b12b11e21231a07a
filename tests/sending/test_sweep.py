"""Rows of dead senders: swept, distinguished from living ones, and resolved by the operator."""

import threading
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, event
from support.newsletter.press import (
    ACCEPTED,
    LATER,
    NOBODY,
    SILENCE,
    InterruptedRenderer,
    PlannedTransport,
    Press,
    await_end_of_senders,
    make_press,
    plain_text,
)
from support.servers.databases import is_waiting
from support.web.papers import FRIDAY

from service.deliveries.domain.digest_json import digest_from_json
from service.deliveries.domain.recipients import SuppressionReason
from service.deliveries.domain.states import DeliveryState, SendOutcome
from service.editions.domain.states import EditionState
from service.editions.store.editions import close_finished
from service.sending.deliver import RESOLUTIONS, deliver, resolve, sweep
from service.sending.report import DeliverReport
from service.sending.store.claim import resolve_in_doubt, sweep_abandoned
from service.subscribers.store.suppressions import find_reason

ANNE, BERT = "anne@example.org", "bert@example.org"
SATURDAY = FRIDAY + timedelta(days=1)
SUNDAY = FRIDAY + timedelta(days=2)
A_DAY = {"days": 1}


class Killed(BaseException):
    """Ends the sender as if its process had been killed."""


def die() -> None:
    raise Killed


@pytest.fixture
def edition_id(press: Press) -> int:
    press.add_subscribers(ANNE, BERT)
    press.add_papers(1, 2)
    return press.publish()


def die_with_claims(press: Press) -> None:
    sender = replace(press.sender(PlannedTransport()), renderer=InterruptedRenderer(die))
    with pytest.raises(Killed):
        deliver(sender)
    await_end_of_senders(press.sessions)


def die_in_flight(press: Press) -> None:
    with pytest.raises(Killed):
        deliver(press.sender(PlannedTransport(meanwhile=die)))
    await_end_of_senders(press.sessions)


def put_in_doubt(press: Press) -> None:
    """Leave two rows in doubt, in an edition that nobody has closed yet."""
    die_in_flight(press)
    with press.sessions.begin() as session:
        assert sweep_abandoned(session, press.clock()) == (0, 2)


def test_claims_of_a_dead_sender_go_back_at_once_and_are_sent_once(
    press: Press, edition_id: int
) -> None:
    die_with_claims(press)
    assert press.states(edition_id) == {"claimed": 2}
    # The lease has not expired.
    assert sweep(press.sessions, press.clock()) == (2, 0)
    transport = PlannedTransport()
    assert deliver(press.sender(transport)) == DeliverReport(sent=2)
    assert transport.recipients == [ANNE, BERT]
    row = press.rows()[0]
    assert press.history(row.id) == [(1, DeliveryState.QUEUED), (2, DeliveryState.SENT)]


def test_rows_on_the_wire_of_a_dead_sender_fall_in_doubt_at_once(
    press: Press, edition_id: int
) -> None:
    die_in_flight(press)
    assert press.states(edition_id) == {"in_flight": 2}
    assert press.balance(edition_id).closes
    assert sweep(press.sessions, press.clock()) == (0, 2)
    transport = PlannedTransport()
    assert deliver(press.sender(transport)).total == 0
    assert transport.sent == []
    assert press.states(edition_id) == {"in_doubt": 2}
    assert press.balance(edition_id).closes
    assert press.edition(edition_id).state is EditionState.CLOSED


def test_a_living_sender_is_not_swept_in_any_step(press: Press, edition_id: int) -> None:
    swept: list[tuple[int, int]] = []

    def look() -> None:
        swept.append(sweep(press.sessions, press.clock()))

    sender = replace(
        press.sender(PlannedTransport(meanwhile=look)), renderer=InterruptedRenderer(look)
    )
    assert deliver(sender) == DeliverReport(sent=2)
    assert swept == [(0, 0)] * 3
    assert press.states(edition_id) == {"sent": 2}


def test_an_expired_lease_counts_even_if_the_connection_lingers(
    press: Press, edition_id: int
) -> None:
    swept: list[tuple[int, int]] = []

    def vanish() -> None:
        press.clock.forward(seconds=press.settings.lease_seconds + 1)
        swept.append(sweep(press.sessions, press.clock()))

    deliver(press.sender(PlannedTransport(lambda _: SILENCE, meanwhile=vanish)))
    assert swept == [(0, 2)]
    assert press.states(edition_id) == {"in_doubt": 2}


def test_a_sender_that_starts_during_the_sweep_is_not_taken_for_dead(
    press: Press, edition_id: int
) -> None:
    transport = PlannedTransport()
    second = make_press(press.settings, press.sessions.kw["bind"], press.clock())
    is_waiting = [True]
    on_the_wire, may_end = threading.Event(), threading.Event()

    def wait_for_the_sweep() -> None:
        on_the_wire.set()
        may_end.wait(10)

    transport.meanwhile = wait_for_the_sweep
    sending = threading.Thread(target=lambda: deliver(second.sender(transport)))

    def start_in_between(*arguments: Any) -> None:
        # From here on the locks that the sweep has read are out of date.
        if "pg_locks" in arguments[2] and is_waiting.pop():
            sending.start()
            assert on_the_wire.wait(10)

    event.listen(press.sessions.kw["bind"], "after_cursor_execute", start_in_between)
    try:
        swept = sweep(press.sessions, press.clock())
    finally:
        may_end.set()
        sending.join(10)
    assert swept == (0, 0)
    assert press.states(edition_id) == {"sent": 2}


@pytest.mark.parametrize(
    ("outcome", "state"),
    [(ACCEPTED, "sent"), (LATER, "queued"), (NOBODY, "failed"), (SILENCE, "in_doubt")],
)
def test_a_reply_after_the_sweep_settles_the_row(
    press: Press, outcome: SendOutcome, state: str
) -> None:
    press.add_subscribers(ANNE)
    press.add_papers(1)
    edition_id = press.publish()

    def put_in_doubt() -> None:
        press.clock.forward(seconds=press.settings.lease_seconds + 1)
        assert sweep(press.sessions, press.clock()) == (0, 1)
        assert press.states(edition_id) == {"in_doubt": 1}

    transport = PlannedTransport(lambda _: outcome, put_in_doubt)
    deliver(press.sender(transport))
    assert press.states(edition_id) == {state: 1}
    assert press.balance(edition_id).closes
    with press.sessions() as session:
        blamed = find_reason(session, ANNE, press.settings.secret_key)
    assert blamed is (SuppressionReason.HARD_BOUNCE if outcome is NOBODY else None)


def test_a_reply_after_the_operators_answer_changes_nothing(press: Press, edition_id: int) -> None:
    def answer() -> None:
        press.clock.forward(seconds=press.settings.lease_seconds + 1)
        sweep(press.sessions, press.clock())
        assert resolve(press.sessions, edition_id, "carry", press.clock()) == 2

    assert deliver(press.sender(PlannedTransport(meanwhile=answer))).total == 0
    assert press.states(edition_id) == {"carried": 2}


@pytest.mark.parametrize("answer", sorted(RESOLUTIONS))
def test_the_operators_answer_is_recorded_and_the_balance_closes(
    press: Press, edition_id: int, answer: str
) -> None:
    die_in_flight(press)
    sweep(press.sessions, press.clock())
    assert resolve(press.sessions, edition_id, answer, press.clock()) == 2
    assert resolve(press.sessions, edition_id, answer, press.clock()) == 0
    expected = {"sent": "sent", "resend": "queued", "carry": "carried"}[answer]
    assert press.states(edition_id) == {expected: 2}
    assert press.balance(edition_id).closes
    transport = PlannedTransport()
    deliver(press.sender(transport))
    assert len(transport.sent) == (2 if answer == "resend" else 0)
    assert press.balance(edition_id).closes


def test_resent_mail_has_the_same_message_id(press: Press, edition_id: int) -> None:
    first = PlannedTransport(lambda _: SILENCE)
    deliver(press.sender(first))
    resolve(press.sessions, edition_id, "resend", press.clock())
    second = PlannedTransport()
    assert deliver(press.sender(second)) == DeliverReport(sent=2)
    # The same Message-ID lets a mail program show the two copies as one.
    assert {e.number: e.payload for e in first.sent} == {e.number: e.payload for e in second.sent}


def test_an_edition_is_reopened_while_a_row_is_sent_again(press: Press, edition_id: int) -> None:
    deliver(press.sender(PlannedTransport(lambda _: SILENCE)))
    assert press.edition(edition_id).state is EditionState.CLOSED
    resolve(press.sessions, edition_id, "resend", press.clock())
    assert press.edition(edition_id).state is EditionState.FROZEN
    deliver(press.sender(PlannedTransport()))
    assert press.edition(edition_id).state is EditionState.CLOSED


def test_an_edition_that_is_being_closed_is_reopened_for_a_row_to_send_again(
    press: Press, engine: Engine, edition_id: int
) -> None:
    put_in_doubt(press)
    answering = threading.Thread(
        target=resolve, args=(press.sessions, edition_id, "resend", press.clock())
    )
    with press.sessions.begin() as closing:
        assert close_finished(closing, press.clock()) == [edition_id]
        answering.start()
        while answering.is_alive() and not is_waiting(engine):
            answering.join(0.01)
    answering.join()
    assert press.states(edition_id) == {"queued": 2}
    assert press.edition(edition_id).state is EditionState.FROZEN


def test_an_edition_is_not_closed_while_a_row_of_it_returns_to_the_queue(
    press: Press, edition_id: int
) -> None:
    put_in_doubt(press)
    with press.sessions.begin() as answering:
        assert resolve_in_doubt(answering, edition_id, *RESOLUTIONS["resend"], press.clock()) == 2
        with press.sessions.begin() as closing:
            assert close_finished(closing, press.clock()) == []
    assert press.edition(edition_id).state is EditionState.FROZEN


def carry(press: Press, edition_id: int) -> None:
    sweep(press.sessions, press.clock())
    resolve(press.sessions, edition_id, "carry", press.clock())


def entries(press: Press, edition_id: int, subscriber: int = 0) -> list[tuple[int, bool]]:
    digest = digest_from_json(press.rows(edition_id)[subscriber].digest)
    return [(e.paper_id, e.is_maybe_seen) for group in digest.groups for e in group.entries]


def test_carried_papers_come_again_marked_in_the_next_edition_and_only_there(
    press: Press, edition_id: int
) -> None:
    old = [paper_id for paper_id, _ in entries(press, edition_id)]
    die_in_flight(press)
    carry(press, edition_id)
    press.clock.forward(**A_DAY)
    fresh = press.add_papers(3, on=SATURDAY)["arxiv:2609.00003"]
    second = press.publish(SATURDAY)
    assert sorted(entries(press, second)) == sorted([*((i, True) for i in old), (fresh, False)])
    assert [row.carried_into_id for row in press.rows(edition_id)] == [
        row.id for row in press.rows(second)
    ]
    transport = PlannedTransport()
    assert deliver(press.sender(transport)).sent == 2
    text = " ".join(plain_text(transport.sent[0].payload).split())
    assert text.count("you may have seen this") == 2
    press.clock.forward(**A_DAY)
    newest = press.add_papers(4, on=SUNDAY)["arxiv:2609.00004"]
    third = press.publish(SUNDAY)
    assert entries(press, third) == [(newest, False)]


def test_carried_papers_come_even_if_the_next_edition_has_no_others(
    press: Press, edition_id: int
) -> None:
    old = [paper_id for paper_id, _ in entries(press, edition_id)]
    die_in_flight(press)
    carry(press, edition_id)
    press.clock.forward(**A_DAY)
    second = press.publish(SATURDAY)
    assert entries(press, second) == [(i, True) for i in old]


def test_carried_papers_come_to_a_subscriber_who_changed_topics_meanwhile(press: Press) -> None:
    press.add_subscribers(ANNE, topics=["parsing"])
    paper_id = press.add_papers(1)["arxiv:2609.00001"]
    first = press.publish()
    die_in_flight(press)
    carry(press, first)
    with press.sessions.begin() as session:
        from service.subscribers.store.subscribers import replace_topics

        subscriber_id = press.row(first).subscriber_id
        assert subscriber_id is not None
        replace_topics(session, subscriber_id, [("astronomy", "astronomy")], press.clock())
    press.clock.forward(**A_DAY)
    second = press.publish(SATURDAY)
    assert entries(press, second) == [(paper_id, True)]


def test_papers_carried_twice_come_a_third_time(press: Press, edition_id: int) -> None:
    old = sorted(paper_id for paper_id, _ in entries(press, edition_id))
    for on in (SATURDAY, SUNDAY):
        die_in_flight(press)
        carry(press, press.rows()[-1].edition_id or 0)
        press.clock.forward(**A_DAY)
        latest = press.publish(on)
    assert sorted(entries(press, latest)) == [(i, True) for i in old]


def test_a_mail_resolved_as_sent_is_not_carried(press: Press, edition_id: int) -> None:
    die_in_flight(press)
    sweep(press.sessions, press.clock())
    resolve(press.sessions, edition_id, "sent", press.clock())
    press.clock.forward(**A_DAY)
    second = press.publish(SATURDAY)
    assert press.states(second) == {"skipped: empty": 2}
