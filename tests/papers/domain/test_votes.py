"""The weight of votes: a group counts less and less, whatever order its votes come in."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.papers.domain.votes import BURST, WINDOW, Ballot, VoteCount, weigh_vote

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
LONG_AGO = NOON - timedelta(days=90)


def weigh_all(ballots: list[Ballot]) -> list[float]:
    return [weigh_vote(one, ballots[:at]) for at, one in enumerate(ballots)]


def spread(count: int, domain: str, **apart: float) -> list[Ballot]:
    """Return votes of one domain, a minute apart, by people who confirmed long ago on other days."""
    gap = timedelta(**apart) if apart else timedelta(minutes=1)
    return [
        Ballot(domain, LONG_AGO - timedelta(days=n), NOON + n * gap) for n in range(count)
    ]  # fmt: skip


def test_three_votes_of_a_domain_count_in_full_and_a_hundred_as_thirteen() -> None:
    weights = weigh_all(spread(100, "lab.example"))
    assert weights[:3] == [1, 1, 1]
    assert weights[3] == 3 / 4
    assert sum(weights) == pytest.approx(13.06, abs=0.01)
    assert VoteCount(100, sum(weights)).is_outlier


def test_a_provider_has_room_for_thirty_and_people_of_different_domains_count_in_full() -> None:
    assert sum(weigh_all(spread(30, "gmail.com"))) == 30
    assert weigh_all(spread(31, "gmail.com"))[-1] < 1
    assert sum(weigh_all([spread(1, f"{n}.example")[0] for n in range(50)])) >= 3


def test_votes_of_a_domain_a_day_apart_count_in_full() -> None:
    assert sum(weigh_all(spread(10, "lab.example", hours=24))) == 10
    assert timedelta(hours=24) == WINDOW


def test_those_who_confirmed_together_are_one_group_however_long_they_wait() -> None:
    burst = [Ballot(f"{n}.example", LONG_AGO + n * BURST / 100, NOON + timedelta(days=n))
             for n in range(100)]  # fmt: skip
    assert sum(weigh_all(burst)) == pytest.approx(13.06, abs=0.01)
    # Whom the operator vouched for was confirmed by an import, with all others.
    vouched = [Ballot(f"{n}.example", None, NOON) for n in range(100)]
    assert sum(weigh_all(vouched)) == 100


@given(
    st.lists(
        st.builds(
            Ballot,
            st.sampled_from(["lab.example", "gmail.com", "one.example"]),
            st.none() | st.integers(0, 500).map(lambda n: LONG_AGO + timedelta(minutes=n)),
            st.integers(0, 5_000).map(lambda n: NOON + timedelta(minutes=n)),
        ),
        max_size=40,
    )
)
def test_every_vote_counts_above_nothing_and_at_most_once(ballots: list[Ballot]) -> None:
    ordered = sorted(ballots, key=lambda one: one.at)
    weights = weigh_all(ordered)
    assert all(0 < weight <= 1 for weight in weights)
    # One more earlier vote never makes a later one count more.
    if ordered:
        assert weigh_vote(ordered[-1], ordered[:-1]) <= weigh_vote(ordered[-1], ordered[1:-1])
