"""Votes: one for each mailbox and paper, also in a race, and gone with the subscriber."""

import json
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import func, select, update
from support.newsletter.press import Press
from support.newsletter.stored import read_tables

from service.papers.domain.votes import WAIT
from service.papers.store.models import Vote
from service.papers.store.read import get_papers
from service.platform.database.engine import transaction
from service.subscribers.export import export_subscriber
from service.subscribers.lifecycle import erase
from service.subscribers.store.models import Consent, Subscriber
from service.subscribers.store.subscribers import get_subscriber
from service.subscribers.store.votes import withdraw_vote
from service.subscribers.voting import VoteTooEarly, vote
from service.topics.edit_by_link import ChangeRefused


def cast(press: Press, subscriber_id: int, paper_id: int = 1, **settings: bool) -> bool:
    here = press.settings.model_copy(update=settings)
    with transaction(press.sessions) as session:
        subscriber = get_subscriber(session, subscriber_id, lock=True)
        assert subscriber is not None
        return vote(session, here, subscriber, paper_id, press.clock())


def count(press: Press, paper_id: int = 1) -> int:
    with press.sessions() as session:
        return get_papers(session, [paper_id])[paper_id].votes


def voters(press: Press, *emails: str) -> list[int]:
    """Add a paper, and subscribers who confirmed a day ago."""
    press.add_papers(1)
    ids = press.add_subscribers(*emails)
    press.clock.forward(hours=24)
    return ids


def test_votes_begin_24_hours_after_the_confirmation_and_twice_is_once(press: Press) -> None:
    press.add_papers(1)
    (reader,) = press.add_subscribers("reader@example.org")
    begin = press.clock() + WAIT
    press.clock.forward(hours=24, seconds=-1)
    with pytest.raises(VoteTooEarly) as refused:
        cast(press, reader)
    assert refused.value.from_at == begin
    assert count(press) == 0
    press.clock.forward(seconds=1)
    assert [cast(press, reader), cast(press, reader)] == [True, False]
    assert count(press) == 1
    with pytest.raises(ChangeRefused, match="switched off"):
        cast(press, reader, votes=False)


def test_a_mailbox_has_one_vote_however_it_is_spelled(press: Press) -> None:
    one, other, friend = voters(
        press, "a.b@gmail.com", "ab+news@googlemail.com", "friend@gmail.com"
    )
    assert cast(press, one)
    with pytest.raises(ChangeRefused, match="another spelling"):
        cast(press, other)
    assert cast(press, friend)
    assert count(press) == 2
    with transaction(press.sessions) as session:
        assert withdraw_vote(session, one, 1, press.clock())
    # The mailbox may vote again, by either address, and is still one.
    assert cast(press, other)
    with pytest.raises(ChangeRefused, match="another spelling"):
        cast(press, one)
    assert count(press) == 2


def test_a_vote_given_again_counts_from_its_first_day(press: Press) -> None:
    (reader,) = voters(press, "reader@example.org")
    cast(press, reader)
    first = press.clock()
    press.clock.forward(days=2)
    with transaction(press.sessions) as session:
        assert withdraw_vote(session, reader, 1, press.clock())
        assert not withdraw_vote(session, reader, 1, press.clock())
    assert count(press) == 0
    assert cast(press, reader)
    with press.sessions() as session:
        (row,) = session.scalars(select(Vote))
        assert (row.created_at, row.changed_at) == (first, press.clock())


def test_votes_at_once_are_one_for_a_mailbox_and_weighed_one_after_the_other(press: Press) -> None:
    ids = voters(
        press, *(f"r+{n}@lab.example" for n in range(4)), *(f"s{n}@lab.example" for n in range(6))
    )
    barrier = Barrier(len(ids))

    def race(subscriber_id: int) -> bool:
        barrier.wait()
        try:
            return cast(press, subscriber_id)
        except ChangeRefused:
            return False

    with ThreadPoolExecutor(len(ids)) as pool:
        given = list(pool.map(race, ids))
    assert (sum(given), sum(given[:4]), count(press)) == (7, 1, 7)
    with press.sessions() as session:
        weights = sorted(session.scalars(select(Vote.weight)), reverse=True)
    assert weights == pytest.approx([1, 1, 1, 3 / 4, 3 / 5, 3 / 6, 3 / 7])


@pytest.mark.parametrize(
    ("page", "weight"),
    [("/confirm", 3 + 3 * (1 / 4 + 1 / 5 + 1 / 6 + 1 / 7 + 1 / 8)), ("operator", 8)],
)
def test_a_wave_of_sign_ups_is_one_group_and_an_import_is_none(
    press: Press, page: str, weight: float
) -> None:
    wave = voters(press, *(f"r@wave{n}.example" for n in range(8)))
    with transaction(press.sessions) as session:
        session.execute(update(Consent).values(page=page))
    for reader in wave:
        cast(press, reader)
    with press.sessions() as session:
        assert session.scalar(select(func.sum(Vote.weight))) == pytest.approx(weight)
    assert count(press) == 8


def test_erasing_a_subscriber_takes_their_votes_along_and_the_export_has_them(press: Press) -> None:
    (reader,) = voters(press, "reader@example.org")
    cast(press, reader)
    with transaction(press.sessions) as session:
        subscriber = session.get_one(Subscriber, reader)
        exported = json.loads(json.dumps(export_subscriber(session, subscriber)))["votes"]
        assert [row["domain"] for row in exported] == ["example.org"]
        erase(session, subscriber, press.settings.secret_key, press.clock())
    assert count(press) == 0
    assert read_tables(press.sessions.kw["bind"])["votes"] == ()


def test_a_vote_says_nothing_of_the_mailbox_but_a_hash(press: Press) -> None:
    (reader,) = voters(press, "Some.Body+x@gmail.com")
    cast(press, reader)
    with press.sessions() as session:
        (row,) = session.scalars(select(Vote))
    assert (len(row.mailbox), row.domain) == (32, "gmail.com")
    assert not any("ody" in each for each in read_tables(press.sessions.kw["bind"])["votes"])
