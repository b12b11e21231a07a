"""Digests as values for the private feed: sections, updates, cut papers, days, and a broken row."""

from sqlalchemy import select, update
from sqlalchemy.orm import Session
from support.newsletter.press import PlannedTransport, Press
from support.web.papers import FRIDAY, make_announcement

from service.deliveries.domain.digest import Digest, DigestEntry, DigestGroup, PaperUpdate
from service.deliveries.domain.digest_json import digest_to_json
from service.deliveries.domain.states import DeliveryKind, DeliveryState
from service.deliveries.store.models import Delivery
from service.messages.digest_feed import load_feed_digests
from service.papers.domain.types import PaperEventKind
from service.sending.deliver import deliver


def set_digest(press: Press, **changes: object) -> None:
    with press.sessions.begin() as session:
        session.execute(update(Delivery).values(**changes))


def test_a_digest_is_read_as_it_was_frozen(press: Press, session: Session) -> None:
    ids = press.add_papers(announcements=[make_announcement(n, f"Cats {n}") for n in range(1, 5)])
    first, second, third, fourth = sorted(ids.values())
    (number,) = press.add_subscribers("reader@example.org", topics=("cats",))
    press.publish(FRIDAY)
    assert load_feed_digests(session, number) == []
    deliver(press.sender(PlannedTransport()))
    entry = DigestEntry(second)
    digest = Digest(
        groups=(DigestGroup('"my topic"', (DigestEntry(first), entry, DigestEntry(9_999))),),
        cut_ids=(fourth,),
        updates=(PaperUpdate(third, PaperEventKind.WITHDRAWN, "v2"),),
        also=(DigestEntry(third),),
    )
    set_digest(press, digest=digest_to_json(digest))
    session.rollback()
    (feed,) = load_feed_digests(session, number)
    assert feed.title == "Friday 18 September 2026: 3 papers"
    assert [(one.title, [paper.title for paper in one.papers]) for one in feed.sections] == [
        ("my topic", ["Cats 1", "Cats 2"]),
        ("You may also like", ["Cats 3"]),
    ]
    assert [(paper.title, label) for paper, label in feed.updates] == [("Cats 3", "withdrawn (v2)")]
    assert feed.cut_count == 1
    assert feed.sent_at == press.clock()


def test_a_catch_up_names_its_days_and_a_broken_row_is_left_out(
    press: Press, session: Session
) -> None:
    press.add_papers(1, 2)
    (number,) = press.add_subscribers("reader@example.org")
    with press.sessions.begin() as writing:
        for occasion, digest in (
            (
                "one",
                digest_to_json(Digest(()))
                | {"missed": {"since": "2026-09-14", "until": "2026-09-17"}},
            ),
            ("two", {"groups": 7}),
        ):
            writing.add(
                Delivery(
                    kind=DeliveryKind.CATCH_UP, subscriber_id=number, occasion=occasion,
                    state=DeliveryState.SENT, due_at=press.clock(), send_not_after=press.clock(),
                    sent_at=press.clock(), digest=digest, created_at=press.clock(),
                    updated_at=press.clock(),
                )
            )  # fmt: skip
    (feed,) = load_feed_digests(session, number)
    assert (
        feed.title
        == "What you missed, Monday 14 September 2026 to Thursday 17 September 2026: 0 papers"
    )
    assert session.scalars(select(Delivery.id)).all() != [feed.delivery_id]
