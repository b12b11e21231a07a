"""One work under several names, and what happened to it."""

from dataclasses import replace
from typing import Any

import pytest

from service.papers.domain.types import AnnounceType, PaperEventKind, ParsedAnnouncement
from service.papers.domain.works import (
    PaperFacts,
    detect_events,
    is_substantial,
    is_withdrawal,
    names_of,
)


def told(key: str = "arxiv:2604.00001", source: str = "arxiv", doi: str = "") -> ParsedAnnouncement:
    return ParsedAnnouncement(
        key=key,
        source=source,
        identifier=key.partition(":")[2],
        version=1,
        announce_type=AnnounceType.NEW,
        title="A title",
        abstract="An abstract",
        authors=("An Author",),
        categories=("cs.CL",),
        doi=doi,
    )


def facts(**changes: Any) -> PaperFacts:
    fields: dict[str, Any] = {
        "version": 1,
        "abstract": "We study the habits of prompts in small models of language.",
        "doi": "",
        "journal_ref": "",
        "is_withdrawn": False,
    }
    return PaperFacts(**(fields | changes))


@pytest.mark.parametrize(
    ("one", "names"),
    [
        (told(), {"arxiv:2604.00001"}),
        (told(doi="10.1000/ABC"), {"arxiv:2604.00001", "doi:10.1000/abc"}),
        (told(doi="https://doi.org/10.1000/abc"), {"arxiv:2604.00001", "doi:10.1000/abc"}),
        (told(doi="to appear"), {"arxiv:2604.00001"}),
        (told(doi="10.48550/arXiv.2604.00001"), {"arxiv:2604.00001"}),
        (told("biorxiv:10.1101/1", "biorxiv"), {"biorxiv:10.1101/1", "doi:10.1101/1"}),
        (told("doi:10.1000/x", "journal.j", doi="10.48550/arXiv.2604.00007v2"),
         {"doi:10.1000/x", "arxiv:2604.00007"}),
        (told(doi="10.48550/arXiv.nonsense"), {"arxiv:2604.00001", "doi:10.48550/arxiv.nonsense"}),
    ],
)  # fmt: skip
def test_a_paper_goes_by_its_key_and_its_dois(one: ParsedAnnouncement, names: set[str]) -> None:
    assert names_of(one) == names


def test_a_polished_abstract_is_no_event_and_another_text_is() -> None:
    before = facts()
    polished = facts(version=2, abstract=f"{before.abstract} Code is available.")
    rewritten = facts(version=3, abstract="Graphs of proteins fold under quite different laws.")
    assert detect_events(before, polished) == ()
    assert detect_events(before, rewritten) == ((PaperEventKind.REVISED, "v3"),)
    assert detect_events(rewritten, facts(version=3, abstract="Same version, other words")) == ()


def test_a_withdrawal_is_told_once_and_not_as_a_revision() -> None:
    gone = facts(version=2, abstract="This paper has been withdrawn.", is_withdrawn=True)
    assert detect_events(facts(), gone) == ((PaperEventKind.WITHDRAWN, "v2"),)
    assert detect_events(gone, gone) == ()


def test_publication_is_told_by_its_doi_or_its_journal() -> None:
    published = PaperEventKind.PUBLISHED
    assert detect_events(facts(), facts(doi="10.1/a")) == ((published, "10.1/a"),)
    assert detect_events(facts(), facts(journal_ref="J. 1")) == ((published, "J. 1"),)
    both = facts(doi="10.1/a", journal_ref="J. 1")
    assert detect_events(facts(), both) == ((published, "10.1/a"),)
    assert detect_events(both, both) == ()


def test_two_empty_abstracts_are_the_same_text() -> None:
    assert not is_substantial("", "")
    assert is_substantial("something", "")


REPLACED = ParsedAnnouncement(
    key="arxiv:2609.00001",
    source="arxiv",
    identifier="2609.00001",
    version=2,
    announce_type=AnnounceType.REPLACE,
    title="A title",
    abstract="An abstract.",
    authors=("Ada Lovelace",),
    categories=("cs.CL",),
)


@pytest.mark.parametrize(
    "words",
    [
        "This paper has been withdrawn by the authors.",
        "This article has been withdrawn due to an error in Lemma 2.",
        "The submission was withdrawn.",
        "THIS MANUSCRIPT IS BEING WITHDRAWN",
        "This report by two authors has\nbeen withdrawn",
        "The authors have withdrawn this paper.",
        "[Withdrawn] by its author",
    ],
)
@pytest.mark.parametrize("field", ["abstract", "comment"])
def test_a_replacement_that_says_so_is_a_withdrawal(field: str, words: str) -> None:
    changes: dict[str, Any] = {field: words}
    assert is_withdrawal(replace(REPLACED, **changes))


@pytest.mark.parametrize(
    "words",
    [
        "We study withdrawn papers at arXiv.",
        "Cash is withdrawn from machines; this paper is about cash.",
        f"{'A long abstract. ' * 20}Their paper has been withdrawn.",
        "Banks have withdrawn the offer.",
        "An abstract.",
    ],
)
def test_a_paper_about_withdrawals_is_none(words: str) -> None:
    assert not is_withdrawal(replace(REPLACED, abstract=words))


@pytest.mark.parametrize(
    ("announce_type", "is_one"),
    [
        (AnnounceType.NEW, False),
        (AnnounceType.CROSS, False),
        (AnnounceType.LISTED, False),
        (AnnounceType.REPLACE, True),
        (AnnounceType.REPLACE_CROSS, True),
    ],
)
def test_only_a_replacement_can_withdraw_by_words(
    announce_type: AnnounceType, is_one: bool
) -> None:
    told = replace(REPLACED, announce_type=announce_type, abstract="This paper has been withdrawn.")
    assert is_withdrawal(told) is is_one


def test_a_source_that_says_so_itself_is_believed() -> None:
    assert is_withdrawal(replace(REPLACED, announce_type=AnnounceType.LISTED, is_withdrawn=True))
