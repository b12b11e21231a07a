"""Data that the messages of an edition share: one value for each paper."""

from dataclasses import replace

import pytest
from support.mail.made_digests import MORNING, make_settings

from service.deliveries.domain.digest import Digest, DigestEntry, DigestGroup
from service.deliveries.domain.digest_json import digest_to_json
from service.deliveries.domain.recipients import Cadence
from service.editions.domain.states import EditionState
from service.editions.store.models import Edition
from service.messages.edition_data import EditionDataCache, PaperEntries
from service.papers.domain.types import AnnounceType, PaperView
from service.topics.domain.types import NamedTopic, Reason

PAPER = PaperView(
    id=1,
    key="arxiv:1",
    source="arxiv",
    identifier="1",
    title="On Cats",
    abstract="Cats are animals.",
    authors=("Ada Lovelace",),
    categories=("cs.CL",),
    primary_category="cs.CL",
    announced_as=AnnounceType.NEW,
    announced_on=MORNING.date(),
    url="https://arxiv.org/abs/1",
)
TITLE = (Reason("cats", "title", ("cats",)),)
BOTH = (*TITLE, Reason("cats", "abstract", ("cats",)))
DIGEST = Digest(
    (
        DigestGroup("cats", (DigestEntry(1, TITLE), DigestEntry(2, BOTH)), 7),
        DigestGroup("animals", (DigestEntry(3, TITLE), DigestEntry(9, TITLE)), 8),
    ),
    also=(DigestEntry(4),),
)
TOPICS = (NamedTopic(7, "Cats", "cats"), NamedTopic(8, "Animals", "animals"))


@pytest.fixture
def paper_entries() -> PaperEntries:
    papers = {number: replace(PAPER, id=number) for number in (1, 2, 3, 4)}
    return PaperEntries(papers, frozenset({2}), make_settings())


def test_a_digest_gets_the_papers_of_its_entries_except_deleted_ones(
    paper_entries: PaperEntries,
) -> None:
    cats, animals = paper_entries.parse_groups(digest_to_json(DIGEST))
    assert (cats.title, cats.topic_id, animals.title, animals.topic_id) == (
        "cats", 7, "animals", 8,
    )  # fmt: skip
    assert [paper.paper.id for paper in (*cats.papers, *animals.papers)] == [1, 2, 3]
    assert [paper.reasons for paper in cats.papers] == [TITLE, BOTH]
    assert [paper.paper.is_late for paper in cats.papers] == [False, True]
    (also,) = paper_entries.parse_also(digest_to_json(DIGEST))
    assert (also.paper.id, also.reasons, also.is_in_heading) == (4, (), False)


def test_all_topics_share_what_they_show_of_a_paper(paper_entries: PaperEntries) -> None:
    queries = [f"cats OR dogs{number}" for number in range(40)]
    topics = [NamedTopic(number, query, query) for number, query in enumerate(queries, 1)]
    rows = [
        digest_to_json(Digest((DigestGroup(topic.name, (DigestEntry(1, BOTH),), topic.topic_id),)))
        for topic in topics
    ]
    found = [paper_entries.parse_groups(row)[0].papers[0] for row in rows]
    assert len({id(entry.shown) for entry in found}) == 1
    for entry in found:
        (taken,) = paper_entries.take([DigestEntry(1, BOTH)])
        assert taken == entry
        assert taken.shown is entry.shown


def test_a_different_reason_or_note_is_a_different_value(paper_entries: PaperEntries) -> None:
    entries = (
        DigestEntry(1, TITLE),
        DigestEntry(1, BOTH),
        DigestEntry(1, TITLE, is_maybe_seen=True),
        DigestEntry(1, TITLE, revision=2),
    )
    rows = [DigestGroup("", (entry,), topic.topic_id) for topic in TOPICS for entry in entries]
    groups = paper_entries.parse_groups(digest_to_json(Digest(tuple(rows))))
    placed = [group.papers[0] for group in groups]
    assert len(set(placed[:4])) == len({entry.shown for entry in placed[:4]}) + 1 == 4
    assert [paper.maybe_seen for paper in placed[:4]] == [False, False, True, False]
    assert [paper.revision for paper in placed[:4]] == [0, 0, 0, 2]


def test_all_messages_of_an_edition_share_its_days() -> None:
    edition = Edition(
        id=5,
        cadence=Cadence.DAILY,
        local_date=MORNING.date(),
        state=EditionState.FROZEN,
        coverage={"announced": 3, "checked": 2, "late": 1, "late_days": {"2026-09-17": 1}},
    )
    editions = EditionDataCache(editions={5: edition})
    days = editions.days(5)
    assert days is not None
    assert days is editions.days(5)
    assert (days.coverage.checked, days.coverage.is_complete) == (2, False)
    assert editions.days(0) is None
