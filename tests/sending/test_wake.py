"""Who is woken to send: another process while there is more, the same one where there may be."""

from datetime import timedelta

import pytest
from sqlalchemy import text
from support.newsletter.press import PlannedTransport, Press

from service.sending.deliver import deliver, deliver_for

A_MINUTE = timedelta(minutes=1)


def publish(press: Press, count: int) -> int:
    press.add_subscribers(*(f"reader{n}@example.org" for n in range(count)))
    press.add_papers(1)
    return press.publish()


def count_wakes(press: Press, window: int) -> list[int]:
    """Send what is due as a worker does; return how many messages were out at each wake-up."""
    transport = PlannedTransport()
    wakes: list[int] = []
    sender = press.sender(transport, send_window=window)
    deliver_for(sender, A_MINUTE, wake=lambda: wakes.append(len(transport.sent)))
    return wakes


def test_a_run_that_leaves_rows_to_others_wakes_one_before_it_sends(press: Press) -> None:
    edition_id = publish(press, 5)
    assert count_wakes(press, window=2) == [0]
    assert press.states(edition_id) == {"sent": 5}


def test_a_run_that_claimed_all_rows_wakes_a_sender_at_its_end(press: Press) -> None:
    publish(press, 3)
    assert count_wakes(press, window=4) == [3]


def test_a_run_that_finds_nothing_wakes_nobody(press: Press) -> None:
    publish(press, 1)
    assert count_wakes(press, window=4) == [1]
    assert count_wakes(press, window=4) == []


@pytest.mark.parametrize(("rate", "most"), [(0.1, 6), (0.001, 1), (1_000.0, 8)])
def test_no_more_rows_are_in_flight_than_a_minutes_rate(
    press: Press, rate: float, most: int
) -> None:
    edition_id = publish(press, 12)
    counts: list[int] = []

    def look() -> None:
        with press.sessions() as session:
            query = text("SELECT count(*) FROM deliveries WHERE state = 'in_flight'")
            counts.append(session.execute(query).scalar_one())

    transport = PlannedTransport(meanwhile=look)
    deliver(press.sender(transport, send_window=8, send_rate=rate))
    assert press.states(edition_id) == {"sent": 12}
    assert max(counts) == most
