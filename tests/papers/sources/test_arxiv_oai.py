"""OAI-PMH: whole records, versions and withdrawals, and every error in one line."""

import pickle
from datetime import UTC, date, datetime

import pytest
from support.sources.oai_answers import RAW, SPLIT, answer, listed, record

from service.papers.domain.types import AnnounceType
from service.papers.sources.arxiv_oai import (
    OaiPage,
    OaiRecord,
    ResumptionTokenExpired,
    Version,
    parse_oai,
    set_of,
)
from service.papers.sources.base import SourceUnreadable


def the_record(metadata: str) -> OaiRecord:
    page = parse_oai(listed(record(metadata)))
    assert page.bad_entries == ()
    (found,) = page.records
    return found


def the_fault(inside: str) -> str:
    page = parse_oai(listed(record(RAW), inside))
    assert len(page.records) == 1
    (bad,) = page.bad_entries
    assert bad.position == 1
    assert "\n" not in bad.reason
    return bad.reason


def test_a_raw_record_has_every_field_of_a_paper() -> None:
    record = the_record(RAW)
    assert (record.identifier, record.datestamp) == ("2609.10001", date(2026, 9, 16))
    assert record.sets == ("cs:cs:DS", "math:math:CO")
    assert not record.is_deleted
    assert record.versions == (
        Version(1, datetime(2026, 9, 1, 8, tzinfo=UTC)),
        Version(2, datetime(2026, 9, 15, 17, 59, 59, tzinfo=UTC), "D"),
    )
    paper = record.announcement
    assert paper is not None
    assert (paper.source, paper.identifier) == ("arxiv", "2609.10001")
    assert paper.key == "arxiv:2609.10001"
    assert (paper.version, paper.announce_type) == (2, AnnounceType.REPLACE)
    assert paper.title == "On sorting $n$ things\n  with $x<y$"
    assert paper.abstract == "We sort.\n  And we are done."
    assert paper.authors == ("Ada Example", "Bob O'Sample")
    assert (paper.categories, paper.primary_category) == (("cs.DS", "math.CO"), "cs.DS")
    assert paper.comment == "12 pages, 3 figures"
    assert (paper.journal_ref, paper.doi) == ("J. Ex. 1 (2026) 2", "10.1234/ex")
    assert paper.license == "http://arxiv.org/licenses/nonexclusive-distrib/1.0/"
    assert paper.url == "https://arxiv.org/abs/2609.10001"
    assert paper.published_at == datetime(2026, 9, 1, 8, tzinfo=UTC)
    assert not paper.is_withdrawn


def test_a_first_version_is_new() -> None:
    only_first = RAW.replace('<version version="v2">', "<old>").replace(
        "<source_type>D</source_type></version>", "</old>"
    )
    paper = the_record(only_first).announcement
    assert paper is not None
    assert (paper.version, paper.announce_type) == (1, AnnounceType.NEW)


def test_a_list_of_versions_without_the_first_has_no_publication_day() -> None:
    paper = the_record(RAW.replace('version="v1"', 'version="v3"')).announcement
    assert paper is not None
    assert (paper.version, paper.published_at) == (3, None)


@pytest.mark.parametrize(("source_type", "is_withdrawn"), [("I", True), ("AI", True), ("D", False)])
def test_a_last_version_without_source_is_a_withdrawal(
    source_type: str, is_withdrawn: bool
) -> None:
    paper = the_record(RAW.replace(">D<", f">{source_type}<")).announcement
    assert paper is not None
    assert paper.is_withdrawn is is_withdrawn


def test_an_earlier_version_without_source_is_no_withdrawal() -> None:
    raw = RAW.replace("<size>11kb</size>", "<size>0kb</size><source_type>I</source_type>")
    paper = the_record(raw).announcement
    assert paper is not None
    assert not paper.is_withdrawn


def test_split_names_are_joined_without_affiliations_and_colons() -> None:
    record = the_record(SPLIT)
    paper = record.announcement
    assert paper is not None
    assert paper.authors == ("The Sorting Collaboration", "Ada van der Example Jr.")
    assert (paper.version, paper.announce_type, record.versions) == (1, AnnounceType.NEW, ())
    assert paper.published_at == datetime(2026, 9, 2, tzinfo=UTC)


def test_an_updated_paper_is_a_replacement_although_no_version_is_named() -> None:
    updated = SPLIT.replace("</created>", "</created><updated>2026-09-15</updated>")
    paper = the_record(updated).announcement
    assert paper is not None
    assert paper.announce_type is AnnounceType.REPLACE
    assert paper.published_at == datetime(2026, 9, 2, tzinfo=UTC)


def test_a_day_after_the_identifiers_month_is_no_publication_day() -> None:
    paper = the_record(SPLIT.replace("2026-09-02", "2026-10-02")).announcement
    assert paper is not None
    assert (paper.announce_type, paper.published_at) == (AnnounceType.REPLACE, None)
    paper = the_record(SPLIT.replace("2026-09-02", "unknown")).announcement
    assert paper is not None
    assert paper.published_at is None


def test_a_record_without_categories_has_no_primary_one() -> None:
    paper = the_record(SPLIT.replace("<categories>hep-ex</categories>", "")).announcement
    assert paper is not None
    assert (paper.categories, paper.primary_category) == ((), None)


def test_an_old_identifier_loses_its_subject_class() -> None:
    metadata = SPLIT.replace("2609.10002", "math.CA/0611800").replace("2026-09-02", "2006-11-26")
    page = parse_oai(listed(record(metadata, "math/0611800")))
    (found,) = page.records
    assert found.identifier == "math/0611800"
    assert found.announcement is not None
    assert found.announcement.key == "arxiv:math/0611800"
    assert found.announcement.announce_type is AnnounceType.NEW


def test_a_deleted_record_of_another_repository_keeps_its_identifier() -> None:
    elsewhere = record("", header=' status="deleted"').replace("arXiv.org:2609.10001", "other:a b")
    (found,) = parse_oai(listed(elsewhere)).records
    assert (found.identifier, found.is_deleted) == ("oai:other:a b", True)


def test_a_deleted_record_is_marked_as_deleted() -> None:
    page = parse_oai(listed(record("", header=' status="deleted"')))
    assert page.records == (
        OaiRecord("2609.10001", date(2026, 9, 16), ("cs:cs:DS", "math:math:CO"), is_deleted=True),
    )
    assert page.bad_entries == ()


@pytest.mark.parametrize(
    ("inside", "reason"),
    [
        ("<record/>", "has no header, line"),
        ("<record><header/></record>", "has no identifier, line"),
        (record(RAW).replace("2026-09-16<", "soon<"), "Invalid isoformat string: 'soon', line"),
        (record(""), "2609.10001 has its metadata as nothing, not arXiv or arXivRaw, line"),
        (record("<dc/>"), "2609.10001 has its metadata as dc, not arXiv or arXivRaw, line"),
        (record("<arXivRaw/>"), "2609.10001 names no version, line"),
        (record(RAW.replace('"v2"', '"second"')), "has a version 'second', line"),
        (record(RAW.replace("Tue, 15 Sep 2026", "Then")), "Invalid date value or format"),
        (record(RAW.replace("<id>2609.10001", "<id>?")), "not an arXiv identifier: '?', line"),
        (record(SPLIT.replace("Sorting, split", " ")), "2609.10002 has no title, line"),
    ],
)
def test_a_record_that_cannot_be_read_is_counted_and_its_page_kept(
    inside: str, reason: str
) -> None:
    assert the_fault(inside).startswith(reason)


def test_a_page_has_its_resumption_token_and_response_date() -> None:
    page = parse_oai(listed(record(RAW), token="from%3D2026&amp;skip=1"))
    assert page.resumption_token == "from%3D2026&skip=1"
    assert page.response_date == datetime(2026, 9, 16, 3, tzinfo=UTC)
    assert page.error is None


def test_an_empty_token_ends_the_list() -> None:
    assert parse_oai(answer("<ListRecords><resumptionToken/></ListRecords>")) == OaiPage(
        response_date=datetime(2026, 9, 16, 3, tzinfo=UTC)
    )


def test_no_records_is_a_normal_answer() -> None:
    page = parse_oai(answer('<error code="noRecordsMatch">nothing changed</error>'))
    assert (page.records, page.resumption_token) == ((), None)
    assert page.error == "noRecordsMatch"


def test_an_expired_token_is_its_own_error_and_may_be_retried() -> None:
    with pytest.raises(
        ResumptionTokenExpired, match="arXiv answered badResumptionToken: gone, line 5"
    ) as e:
        parse_oai(answer('<error code="badResumptionToken">gone</error>'))
    assert not e.value.permanent
    assert type(pickle.loads(pickle.dumps(e.value))) is ResumptionTokenExpired  # noqa: S301  # our own bytes


@pytest.mark.parametrize(
    ("inside", "reason"),
    [
        ('<error code="badArgument"/>', "arXiv answered badArgument, line 5"),
        ("<error>Down\nnow</error>", "arXiv answered an error: Down now, line 5"),
        (
            '<error code="noRecordsMatch"/><error code="badVerb">eh</error>',
            "arXiv answered badVerb: eh, line 5",
        ),
        ("<Identify/>", "no list of records: the answer holds <Identify>, line 2"),
        ("", "no list of records: the answer holds nothing, line 2"),
    ],
)
def test_every_other_answer_is_refused_in_one_line(inside: str, reason: str) -> None:
    with pytest.raises(SourceUnreadable) as caught:
        parse_oai(answer(inside))
    assert str(caught.value) == reason


@pytest.mark.parametrize(
    "payload",
    [
        b"<feed/>",
        listed(record(RAW))[:-40],
        b"<!doctype html><html><title>503</title></html>",
        b"Rate exceeded.",
        b"",
    ],
)
def test_anything_but_oai_pmh_is_refused_in_one_line(payload: bytes) -> None:
    with pytest.raises(SourceUnreadable) as caught:
        parse_oai(payload)
    assert "\n" not in str(caught.value)
    assert "line" in str(caught.value)


@pytest.mark.parametrize(
    ("category", "expected"),
    [
        ("cs.AI", "cs:cs:AI"),
        ("math", "math:math"),
        ("hep-th", "physics:hep-th"),
        ("astro-ph.GA", "physics:astro-ph:GA"),
        ("physics.optics", "physics:physics:optics"),
        ("q-bio.NC", "q-bio:q-bio:NC"),
    ],
)
def test_a_category_has_a_set(category: str, expected: str) -> None:
    assert set_of(category) == expected
