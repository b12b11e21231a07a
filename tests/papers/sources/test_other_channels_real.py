"""Real answers of OAI-PMH, arXiv's API and bioRxiv are read whole or refused in one line."""

import json
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from service.papers.domain.identifiers import split_version
from service.papers.domain.types import AnnounceType
from service.papers.sources.arxiv_api import parse_api
from service.papers.sources.arxiv_list import parse_listing
from service.papers.sources.arxiv_oai import ResumptionTokenExpired, parse_oai
from service.papers.sources.base import SourceUnreadable
from service.papers.sources.biorxiv import parse_details
from service.papers.sources.journal_feed import parse_journal
from service.papers.sources.xml_fields import parse_xml

pytestmark = pytest.mark.real


def counted(real_data: Path, folder: str) -> dict[Path, int]:
    """Return every file of a folder with the number of records that the index states."""
    index = (real_data / "wire" / "INDEX.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in index]
    files = {
        real_data / row["file"]: row["records"]
        for row in rows
        if row["file"].startswith(f"wire/{folder}/")
    }
    assert files.keys() == set((real_data / "wire" / folder / "dev").iterdir())
    return files


def test_every_oai_answer_of_arxiv_is_read_whole(real_data: Path) -> None:
    files = counted(real_data, "arxiv_oai")
    for path, count in files.items():
        page = parse_oai(path.read_bytes())
        assert (len(page.records), page.bad_entries) == (count, ()), path.name
        assert page.resumption_token is None
        assert page.response_date is not None
        for record in page.records:
            paper = record.announcement
            assert paper is not None
            assert paper.identifier == record.identifier
            assert paper.title
            assert paper.abstract
            assert paper.categories
            assert paper.primary_category == paper.categories[0]
            assert paper.license.startswith("http")
            assert paper.published_at is not None
            assert paper.published_at.date() <= record.datestamp <= page.response_date.date()
            assert not any(name.strip() in {"", ":"} for name in paper.authors)
    assert len(files) == 8


def test_the_fields_of_a_real_oai_record_are_read(real_data: Path) -> None:
    path = real_data / "wire" / "arxiv_oai" / "dev" / "arxiv-single.xml"
    (record,) = parse_oai(path.read_bytes()).records
    paper = record.announcement
    assert paper is not None
    assert record.datestamp == date(2018, 1, 25)
    assert record.sets == ("math", "physics:hep-th", "physics:math-ph", "physics:nlin")
    assert paper.title == "New integrable (3+1)-dimensional systems and contact geometry"
    assert paper.authors == ("A. Sergyeyev",)
    assert paper.categories == ("math.AP", "hep-th", "math-ph", "math.DG", "math.MP", "nlin.SI")
    assert paper.doi == "10.1007/s11005-017-1013-4"
    assert paper.journal_ref == "Lett. Math. Phys. 108 (2018), no. 2, 359-376"
    assert paper.comment.startswith("16 pages, LaTeX, no figures, revised and abridged, in this ve")
    assert paper.published_at == datetime(2014, 1, 9, tzinfo=UTC)
    assert paper.announce_type is AnnounceType.REPLACE


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("sample_arxiv_record0.xml", ("Planck Collaboration", "Jieci Wang")),
        ("sample_arxiv_record2.xml", ("Sinya for JLQCD Collaboration",)),
        ("sample_arxiv_record4.xml", ("Keck Array", "BICEP2 Collaborations", "P. Ade")),
        ("sample_arxiv_record6.xml", ("E. Bufanda", "D. Hollowood", "for the DES Collaboration")),
        ("sample_arxiv_record8.xml", ("Super-Kamiokande Collaboration", "K. Abe", "Y. Suzuki")),
    ],
)
def test_real_names_in_parts_are_joined(real_data: Path, name: str, first: tuple[str, ...]) -> None:
    (record,) = parse_oai((real_data / "wire" / "arxiv_oai" / "dev" / name).read_bytes()).records
    assert record.announcement is not None
    assert record.announcement.authors[: len(first)] == first


def test_every_answer_of_the_protocol_is_read_or_refused_in_one_line(real_data: Path) -> None:
    """The index counts only the records of lists and single records."""
    files = counted(real_data, "oai_generic")
    refused = {}
    for path, count in files.items():
        try:
            page = parse_oai(path.read_bytes())
        except SourceUnreadable as error:
            refused[path.name] = str(error)
            assert count == 0, path.name
        else:
            assert len(page.records) + len(page.bad_entries) == count, path.name
    assert not any("\n" in line or "line" not in line for line in refused.values())
    assert refused.keys() == {
        "Identify.xml",
        "ListIdentifiers.xml",
        "ListIdentifiers2.xml",
        "ListMetadataFormats.xml",
        "ListRecordsBroken.xml",
        "ListSets.xml",
        "badArgument.xml",
        "cannotDisseminateFormat.xml",
        "idDoesNotExist.xml",
        "noSetHierarchy.xml",
    }
    assert "idDoesNotExist: oai:lcoa1.loc.gov" in refused["idDoesNotExist.xml"]


def test_a_real_list_has_a_token_and_its_deleted_records(real_data: Path) -> None:
    path = real_data / "wire" / "oai_generic" / "dev" / "ListRecords.xml"
    page = parse_oai(path.read_bytes())
    assert page.resumption_token == "ListRecords2.xml"
    (record,) = page.records
    assert (record.is_deleted, record.announcement) == (True, None)
    assert record.datestamp == date(2011, 7, 18)
    (bad,) = page.bad_entries
    assert "has its metadata as dc, not arXiv or arXivRaw" in bad.reason


def test_a_real_error_whose_code_is_an_expired_token_is_told_apart(real_data: Path) -> None:
    payload = (real_data / "wire" / "oai_generic" / "dev" / "badArgument.xml").read_bytes()
    with pytest.raises(ResumptionTokenExpired):
        parse_oai(payload.replace(b"badArgument", b"badResumptionToken"))
    page = parse_oai(payload.replace(b"badArgument", b"noRecordsMatch"))
    assert (page.records, page.error) == ((), "noRecordsMatch")


def test_every_answer_of_the_api_is_read_whole(real_data: Path) -> None:
    files = {p: n for p, n in counted(real_data, "arxiv_api_atom").items() if p.suffix == ".xml"}
    for path, count in files.items():
        page = parse_api(path.read_bytes())
        found = len(page.announcements) + (page.error is not None)
        assert (found, page.bad_entries) == (count, ()), path.name
        for paper in page.announcements:
            assert paper.title
            assert paper.abstract
            assert paper.authors
            assert paper.primary_category in paper.categories
            assert paper.published_at is not None
            assert not any("  " in text for text in (paper.comment, paper.journal_ref, paper.doi))
    assert len(files) == 16


def test_the_apis_answers_agree_with_their_recorded_twins(real_data: Path) -> None:
    folder = real_data / "wire" / "arxiv_api_atom" / "dev"
    twins = sorted(folder.glob("*.json"))
    for path in twins:
        twin = json.loads(path.read_text())
        page = parse_api(path.with_suffix(".xml").read_bytes())
        assert (page.error is None) is (twin["status_code"] == 200), path.name
        root = parse_xml(twin["body"].encode(), "a feed")
        atom, opensearch = "{http://www.w3.org/2005/Atom}", "{http://a9.com/-/spec/opensearch/1.1/}"
        assert page.total == int(root.findtext(f"{opensearch}totalResults")), path.name
        assert page.start == int(root.findtext(f"{opensearch}startIndex")), path.name
        if page.error is not None:
            assert page.error == root.findtext(f"{atom}entry/{atom}summary")
            continue
        assert len(page.announcements) == len(root.findall(f"{atom}entry"))
        for paper, entry in zip(page.announcements, root.findall(f"{atom}entry"), strict=True):
            identifier, version = split_version(entry.findtext(f"{atom}id"))
            assert (paper.identifier, paper.version) == (identifier, version)
            assert paper.title == entry.findtext(f"{atom}title").strip()
            assert paper.authors == tuple(
                name.text for name in entry.iterfind(f"{atom}author/{atom}name")
            )
            assert paper.categories == tuple(
                category.get("term")
                for category in entry.iterfind(f"{atom}category")
                if not category.get("term")[0].isdigit() and " " not in category.get("term")
                if category.get("term")[1:2] != "."
            )
    assert len(twins) == 13


def test_real_affiliations_are_not_part_of_names(real_data: Path) -> None:
    folder = real_data / "wire" / "arxiv_api_atom" / "dev"
    (path,) = folder.glob("id_astro-ph_0601001_*.xml")
    (paper,) = parse_api(path.read_bytes()).announcements
    assert paper.authors == ("Andrew Gould", "Susan Dorsher", "B. Scott Gaudi", "Andrzej Udalski")
    assert paper.journal_ref == "ActaAstron.56:1-50,2006"
    assert paper.comment.startswith("62 pages including 16 figures and 9 tables.")


def test_the_real_record_of_biorxiv_is_read(real_data: Path) -> None:
    for path, count in counted(real_data, "biorxiv").items():
        page = parse_details(path.read_bytes())
        assert (len(page.announcements), page.bad_entries, page.count) == (count, (), count)
        (paper,) = page.announcements
        (row,) = json.loads(path.read_text())["collection"]
        assert paper.key == "biorxiv:10.1101/456574"
        assert (paper.title, paper.abstract) == (row["title"], row["abstract"])
        assert paper.authors[0] == "A. Naka"
        assert len(paper.authors) == row["authors"].count(";") + 1
        assert paper.categories == ("biorxiv.neuroscience",)
        assert paper.doi == row["published"].lower()
        assert paper.published_at == datetime(2018, 10, 30, tzinfo=UTC)


def test_a_real_answer_of_another_kind_is_never_read_as_papers(real_data: Path) -> None:
    wire = real_data / "wire"
    xml = sorted(wire.glob("*oai*/dev/*.xml")) + sorted(wire.glob("arxiv_api_atom/dev/*.xml"))
    for path in xml:
        payload = path.read_bytes()
        foreign = parse_api if "oai" in str(path.parent) else parse_oai
        for parse in (foreign, parse_details, parse_listing):
            with pytest.raises(SourceUnreadable) as caught:
                parse(payload)
            assert "\n" not in str(caught.value)
    assert len(xml) == 37


def test_real_atom_is_read_as_a_journals_feed(real_data: Path) -> None:
    folder = real_data / "wire" / "arxiv_api_atom" / "dev"
    path = folder / "legacy2016_search_query_au_del_maestro.xml"
    papers = parse_api(path.read_bytes()).announcements
    batch = parse_journal(path.read_bytes(), "Search")
    assert batch.bad_entries == ()
    assert [paper.title for paper in batch.announcements] == [
        " ".join(paper.title.split()) for paper in papers
    ]
    assert [paper.authors for paper in batch.announcements] == [paper.authors for paper in papers]
