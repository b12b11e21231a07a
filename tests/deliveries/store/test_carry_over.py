"""Unresolved rows in doubt and refused mail: their papers come in the next edition."""

from datetime import timedelta

import pytest
from support.newsletter.press import (
    LATER,
    NOBODY,
    SILENCE,
    PlannedTransport,
    Press,
    await_end_of_senders,
    plain_text,
)
from support.web.papers import FRIDAY

from service.deliveries.domain.digest_json import digest_from_json
from service.deliveries.domain.recipients import Cadence, SubscriberState
from service.deliveries.domain.states import DeliveryState, Phase, SendOutcome
from service.deliveries.store.carry_over import WHY_CARRIED
from service.deliveries.store.deliveries import list_events
from service.editions.compose import compose_chunk
from service.editions.publish import Opening, open_edition
from service.sending.deliver import deliver, sweep

ANNE = "anne@example.org"
SATURDAY, SUNDAY = FRIDAY + timedelta(days=1), FRIDAY + timedelta(days=2)
TOO_BIG = SendOutcome(Phase.RCPT, 552, "5.3.4 too big for this receiver")


def entries(press: Press, edition_id: int) -> list[tuple[int, bool]]:
    """Return the papers of an edition's only digest: (id, whether it is marked as maybe seen)."""
    digest = digest_from_json(press.row(edition_id).digest)
    return [(e.paper_id, e.is_maybe_seen) for group in digest.groups for e in group.entries]


@pytest.fixture
def paper_id(press: Press) -> int:
    """Return Anne's only paper, in Friday's edition."""
    press.add_subscribers(ANNE)
    return press.add_papers(1)["arxiv:2609.00001"]


def send(press: Press, transport: PlannedTransport) -> int:
    """Send Friday's edition and set the clock to Saturday; return the edition."""
    edition_id = press.publish()
    deliver(press.sender(transport))
    press.clock.forward(days=1)
    return edition_id


def test_an_unresolved_doubt_is_carried_into_the_next_mail_marked(
    press: Press, paper_id: int
) -> None:
    first = send(press, PlannedTransport(lambda _: SILENCE))
    second = press.publish(SATURDAY)
    assert (press.states(first), press.balance(first).closes) == ({"carried": 1}, True)
    row = press.row(first)
    assert row.carried_into_id == press.row(second).id
    with press.sessions() as session:
        event = list_events(session, row)[-1]
    assert (event.state, event.detail, event.attempt) == (DeliveryState.CARRIED, WHY_CARRIED, 1)
    transport = PlannedTransport()
    assert deliver(press.sender(transport)).sent == 1
    (mail,) = transport.sent
    text = " ".join(plain_text(mail.payload).split())
    assert (text.count("Parsing number 1"), text.count("you may have seen this")) == (1, 1)
    # It is carried only once.
    press.clock.forward(days=1)
    third = press.publish(SUNDAY)
    assert press.states(third) == {"skipped: empty": 1}


def test_with_in_doubt_wait_nothing_is_carried_automatically(press: Press, paper_id: int) -> None:
    press.settings = press.settings.model_copy(update={"in_doubt": "wait"})
    first = send(press, PlannedTransport(lambda _: SILENCE))
    second = press.publish(SATURDAY)
    assert press.states(first) == {"in_doubt": 1}
    assert press.states(second) == {"skipped: empty": 1}


def test_a_row_in_doubt_after_the_opening_is_carried_by_its_subscribers_chunk(
    press: Press, paper_id: int
) -> None:
    first = press.publish()
    chunk: list[int] = []
    transport = PlannedTransport(lambda _: SILENCE)

    def open_the_next() -> None:
        chunk.extend(
            open_edition(
                press.sessions, press.settings, Cadence.DAILY, SATURDAY, press.clock(),
                Opening(sends_now=True),
            )
        )  # fmt: skip

    transport.meanwhile = open_the_next
    deliver(press.sender(transport))
    assert press.states(first) == {"in_doubt": 1}
    (chunk_id,) = chunk
    assert compose_chunk(press.sessions, press.settings, chunk_id, press.clock())
    assert press.states(first) == {"carried": 1}
    assert entries(press, press.rows()[-1].edition_id or 0) == [(paper_id, True)]


def test_a_subscriber_who_changed_cadence_gets_them_in_the_new_cadences_edition(
    press: Press, paper_id: int
) -> None:
    first = send(press, PlannedTransport(lambda _: SILENCE))
    press.change(press.row(first).subscriber_id or 0, cadence=Cadence.WEEKLY)
    weekly = press.publish(SATURDAY, Cadence.WEEKLY)
    assert press.states(first) == {"carried": 1}
    assert entries(press, weekly) == [(paper_id, True)]


def test_a_doubt_about_a_subscriber_who_left_ends_with_the_next_edition(
    press: Press, paper_id: int
) -> None:
    first = send(press, PlannedTransport(lambda _: SILENCE))
    press.change(press.row(first).subscriber_id or 0, state=SubscriberState.UNSUBSCRIBED)
    second = press.publish(SATURDAY)
    assert press.states(first) == {"carried": 1}
    assert press.rows(second) == []


def test_an_edition_composed_again_does_not_carry_its_own_doubts(
    press: Press, paper_id: int
) -> None:
    first = press.publish()
    deliver(press.sender(PlannedTransport(lambda _: SILENCE)))
    assert press.publish() == first
    assert press.states(first) == {"in_doubt": 1}


@pytest.mark.parametrize("refusal", [NOBODY, TOO_BIG])
def test_papers_of_a_refused_mail_come_in_the_next_unmarked(
    press: Press, paper_id: int, refusal: SendOutcome
) -> None:
    first = send(press, PlannedTransport(lambda _: refusal))
    assert press.states(first) == {"failed": 1}
    # An operator may do this after the relay gave a wrong reply.
    press.change(press.row(first).subscriber_id or 0, state=SubscriberState.ACTIVE)
    second = press.publish(SATURDAY)
    assert entries(press, second) == [(paper_id, False)]
    assert press.row(first).carried_into_id == press.row(second).id
    assert press.states(first) == {"failed": 1}


def test_papers_of_a_late_mail_come_in_the_next_unmarked(press: Press, paper_id: int) -> None:
    first = press.publish()
    deliver(press.sender(PlannedTransport(lambda _: LATER)))
    press.clock.forward(days=1)
    deliver(press.sender(PlannedTransport()))
    assert press.states(first) == {"skipped: late": 1}
    second = press.publish(SATURDAY)
    assert entries(press, second) == [(paper_id, False)]
    deliver(press.sender(PlannedTransport()))
    press.clock.forward(days=1)
    third = press.publish(SUNDAY)
    assert press.states(third) == {"skipped: empty": 1}


def test_papers_of_a_mail_refused_long_ago_are_not_carried(press: Press, paper_id: int) -> None:
    send(press, PlannedTransport(lambda _: TOO_BIG))
    press.clock.forward(days=31)
    later = press.publish(FRIDAY + timedelta(days=32))
    assert press.states(later) == {"skipped: empty": 1}


def test_a_paper_once_in_doubt_stays_marked_when_its_next_mail_is_refused(
    press: Press, paper_id: int
) -> None:
    send(press, PlannedTransport(lambda _: SILENCE))
    press.publish(SATURDAY)
    deliver(press.sender(PlannedTransport(lambda _: TOO_BIG)))
    press.clock.forward(days=1)
    third = press.publish(SUNDAY)
    assert entries(press, third) == [(paper_id, True)]


def test_rows_left_in_doubt_by_a_dead_sender_are_carried_after_the_sweep(
    press: Press, paper_id: int
) -> None:
    class Killed(BaseException):
        pass

    def die() -> None:
        raise Killed

    first = press.publish()
    with pytest.raises(Killed):
        deliver(press.sender(PlannedTransport(meanwhile=die)))
    await_end_of_senders(press.sessions)
    press.clock.forward(days=1)
    assert sweep(press.sessions, press.clock()) == (0, 1)
    second = press.publish(SATURDAY)
    assert press.states(first) == {"carried": 1}
    assert entries(press, second) == [(paper_id, True)]
