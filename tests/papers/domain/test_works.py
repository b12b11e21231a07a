"""Names of works, and events of papers."""

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


def draft(
    key: str = "arxiv:2604.00001", source: str = "arxiv", doi: str = ""
) -> ParsedAnnouncement:
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
    ("paper", "names"),
    [
        (draft(), {"arxiv:2604.00001"}),
        (draft(doi="10.1000/ABC"), {"arxiv:2604.00001", "doi:10.1000/abc"}),
        (draft(doi="https://doi.org/10.1000/abc"), {"arxiv:2604.00001", "doi:10.1000/abc"}),
        (draft(doi="to appear"), {"arxiv:2604.00001"}),
        (draft(doi="10.48550/arXiv.2604.00001"), {"arxiv:2604.00001"}),
        (draft("biorxiv:10.1101/1", "biorxiv"), {"biorxiv:10.1101/1", "doi:10.1101/1"}),
        (draft("doi:10.1000/x", "journal.j", doi="10.48550/arXiv.2604.00007v2"),
         {"doi:10.1000/x", "arxiv:2604.00007"}),
        (draft(doi="10.48550/arXiv.nonsense"), {"arxiv:2604.00001", "doi:10.48550/arxiv.nonsense"}),
    ],
)  # fmt: skip
def test_a_paper_has_its_key_and_dois_as_names(paper: ParsedAnnouncement, names: set[str]) -> None:
    assert names_of(paper) == names


def test_a_polished_abstract_is_no_event_but_a_rewritten_one_is() -> None:
    before = facts()
    polished = facts(version=2, abstract=f"{before.abstract} Code is available.")
    rewritten = facts(version=3, abstract="Graphs of proteins fold under quite different laws.")
    assert detect_events(before, polished) == ()
    assert detect_events(before, rewritten) == ((PaperEventKind.REVISED, "v3"),)
    assert detect_events(rewritten, facts(version=3, abstract="Same version, other words")) == ()


def test_a_withdrawal_is_one_event_and_no_revision() -> None:
    gone = facts(version=2, abstract="This paper has been withdrawn.", is_withdrawn=True)
    assert detect_events(facts(), gone) == ((PaperEventKind.WITHDRAWN, "v2"),)
    assert detect_events(gone, gone) == ()


def test_a_new_doi_or_journal_is_a_publication() -> None:
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
def test_a_replacement_with_a_withdrawal_notice_is_a_withdrawal(field: str, words: str) -> None:
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
def test_a_paper_about_withdrawals_is_no_withdrawal(words: str) -> None:
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
    notice = "This paper has been withdrawn."
    announcement = replace(REPLACED, announce_type=announce_type, abstract=notice)
    assert is_withdrawal(announcement) is is_one


def test_a_withdrawal_stated_by_the_source_is_accepted() -> None:
    assert is_withdrawal(replace(REPLACED, announce_type=AnnounceType.LISTED, is_withdrawn=True))
