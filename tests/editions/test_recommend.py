"""Suggestions in digests: from what was kept, never twice, never what was excluded; off means off."""

from collections.abc import Collection, Sequence

import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session
from support.newsletter.press import Press
from support.web.papers import FRIDAY, THURSDAY, make_announcement

from service.deliveries.domain.digest import Digest
from service.deliveries.domain.digest_json import digest_from_json
from service.editions.domain.recommendations import recommend
from service.editions.recommend import SuggestionPool, load_pool, load_rated_papers, load_tastes
from service.papers.domain.types import ParsedAnnouncement
from service.papers.store.works import link_works
from service.subscribers.domain.types import Feedback
from service.subscribers.feedback import rate_paper
from service.subscribers.store.models import Subscriber
from service.topics.edit_by_link import apply_draft, draft_mute
from service.topics.store.topics import list_topics

SPLATS = "gaussian splatting renders radiance fields of dynamic scenes"
FIELDS = ("protein folding", "graph sampling", "speech codecs", "wireless beams", "theorem proving")


def tell(number: int, title: str, abstract: str) -> ParsedAnnouncement:
    return make_announcement(number, title, abstract=abstract)


def ids(by_key: dict[str, int]) -> list[int]:
    return [by_key[key] for key in sorted(by_key)]


@pytest.fixture
def old(press: Press) -> list[int]:
    """Papers of the day before, three of which are of one kind."""
    announcements = [
        tell(1, "Splatting Scenes", f"{SPLATS} quickly"),
        tell(2, "Fast Gaussian Splatting", f"{SPLATS} on phones"),
        tell(3, "Splatting for Robots", f"{SPLATS} for robots"),
        *(tell(10 + n, f"On {field}", f"We study {field} again") for n, field in enumerate(FIELDS)),
    ]
    return ids(press.add_papers(on=THURSDAY, announcements=announcements))


@pytest.fixture
def new(press: Press) -> list[int]:
    """Papers of the day: two near the kept ones, one of which is a survey; some others."""
    announcements = [
        tell(21, "Gaussian Splatting of Forests", f"{SPLATS} in forests"),
        tell(22, "A Survey of Gaussian Splatting", f"{SPLATS} surveyed"),
        tell(23, "Parsing Trees", "We parse trees with grammars"),
        *(
            tell(30 + n, f"More {field}", f"We study {field} more")
            for n, field in enumerate(FIELDS)
        ),
    ]
    return ids(press.add_papers(on=FRIDAY, announcements=announcements))


def judge(press: Press, subscriber: int, papers: Sequence[int], kind: Feedback) -> None:
    with press.sessions.begin() as session:
        row = session.get_one(Subscriber, subscriber)
        for paper in papers:
            rate_paper(session, row, paper, kind, press.clock())


def digest_of(press: Press, subscriber: int) -> Digest:
    edition = press.publish()
    row = next(row for row in press.rows(edition) if row.subscriber_id == subscriber)
    digest = digest_from_json(row.digest)
    assert tuple(row.paper_ids) == digest.paper_ids
    return digest


def also(digest: Digest) -> list[int]:
    return [entry.paper_id for entry in digest.also]


def recommended(
    session: Session, subscribers: Sequence[int], pool: SuggestionPool, known: Collection[int]
) -> dict[int, tuple[int, ...]]:
    """What is recommended beside a digest that shows nothing, to those who get anything."""
    tastes = load_tastes(session, load_rated_papers(session, subscribers), pool)
    digests = {
        subscriber: recommend(Digest(()), tastes.get(subscriber), pool.candidates, known)
        for subscriber in subscribers
    }
    return {subscriber: digest.paper_ids for subscriber, digest in digests.items() if digest.also}


def test_a_digest_ends_with_papers_like_the_saved_ones(
    press: Press, old: list[int], new: list[int]
) -> None:
    first, second = press.add_subscribers("a@example.org", "b@example.org", topics=("parsing",))
    judge(press, first, old[:2], Feedback.KEPT)
    judge(press, second, old[:1], Feedback.KEPT)
    digest = digest_of(press, first)
    assert [entry.paper_id for group in digest.groups for entry in group.entries] == [new[2]]
    # The edition carries the day before as well.
    assert sorted(also(digest)) == sorted([old[2], *new[:2]])
    # One kept paper is too little.
    assert also(digest_of(press, second)) == []


def test_papers_like_the_saved_ones_come_first_under_a_topic(
    press: Press, old: list[int], new: list[int]
) -> None:
    learns, plain, fresh = press.add_subscribers(
        "a@example.org", "b@example.org", "c@example.org", topics=("parsing OR forests",)
    )
    for subscriber in (learns, plain):
        judge(press, subscriber, old[:3], Feedback.KEPT)
    with press.sessions.begin() as session:
        session.get_one(Subscriber, plain).has_suggestions = False
    orders = {
        one: [entry.paper_id for group in digest_of(press, one).groups for entry in group.entries]
        for one in (learns, plain, fresh)
    }
    assert orders[plain] == orders[fresh]
    assert orders[learns][0] == new[0] != orders[fresh][0]
    assert sorted(orders[learns]) == sorted(orders[fresh])


def test_suggestions_alone_make_no_digest(press: Press, old: list[int], new: list[int]) -> None:
    (subscriber,) = press.add_subscribers("a@example.org", topics=("nothing such",))
    judge(press, subscriber, old[:2], Feedback.KEPT)
    edition = press.publish()
    assert press.states(edition) == {"skipped: empty": 1}


def test_papers_in_the_digest_excluded_or_dismissed_are_not_suggested(
    press: Press, old: list[int], new: list[int]
) -> None:
    held, muting, dismissing = press.add_subscribers(
        "a@example.org", "b@example.org", "c@example.org", topics=("parsing OR forests",)
    )
    for subscriber in (held, muting, dismissing):
        judge(press, subscriber, old[:3], Feedback.KEPT)
    judge(press, dismissing, [new[1]], Feedback.DISMISSED)
    with press.sessions.begin() as session:
        row = session.get_one(Subscriber, muting)
        topic = list_topics(session, muting)[0].id
        draft = draft_mute(session, row.id, topic, "survey")
        apply_draft(session, row.id, draft, press.clock())
    assert also(digest_of(press, held)) == [new[1]]
    assert also(digest_of(press, muting)) == []
    assert also(digest_of(press, dismissing)) == []


def test_a_subscriber_without_suggestions_gets_none(
    press: Press, old: list[int], new: list[int]
) -> None:
    (subscriber,) = press.add_subscribers("a@example.org", topics=("parsing",))
    judge(press, subscriber, old[:2], Feedback.KEPT)
    with press.sessions.begin() as session:
        session.get_one(Subscriber, subscriber).has_suggestions = False
    assert also(digest_of(press, subscriber)) == []


def test_a_paper_sent_or_saved_by_another_key_is_not_suggested(
    press: Press, old: list[int], new: list[int]
) -> None:
    (subscriber,) = press.add_subscribers("a@example.org")
    judge(press, subscriber, old[:2], Feedback.KEPT)
    with press.sessions.begin() as session:
        assert recommended(session, [subscriber], load_pool(session, new), new[:1]) == {
            subscriber: (new[1],)
        }
        link_works(session, {old[0]: ["doi:10.1/x"], new[1]: ["doi:10.1/x"]})
        assert recommended(session, [subscriber], load_pool(session, new), new[:1]) == {}
        assert recommended(session, [subscriber], load_pool(session, []), ()) == {}


def test_many_subscribers_cost_as_many_queries_as_one(
    press: Press, old: list[int], new: list[int]
) -> None:
    subscribers = press.add_subscribers(
        *(f"r{n}@example.org" for n in range(8)), topics=("parsing -x",)
    )
    for subscriber in subscribers:
        judge(press, subscriber, old[:2], Feedback.KEPT)
    statements: list[str] = []
    with press.sessions() as session:
        engine = session.get_bind()
        pool = load_pool(session, new)

        def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
            statements.append(statement)

        event.listen(engine, "before_cursor_execute", note)
        try:
            counts = []
            for some in (subscribers[:1], subscribers):
                statements.clear()
                assert {*recommended(session, some, pool, ())} == {*some}
                counts.append(len(statements))
        finally:
            event.remove(engine, "before_cursor_execute", note)
    assert counts[0] == counts[1] <= 6
