"""bioRxiv and medRxiv: all pages of a day, whatever its counts say."""

import json
import time
from datetime import UTC, date, datetime

import pytest
from support.servers.loopback_http import LoopbackHttp, Request, Response
from support.sources.open_gate import OpenGate

from service.papers.domain.types import AnnounceType, ParsedAnnouncement
from service.papers.sources.base import FetchState, SourceUnavailable, SourceUnreadable
from service.papers.sources.biorxiv import Biorxiv, parse_details, parse_pages
from service.papers.sources.http_fetch import Caller, Fetcher

ROW: dict[str, object] = {
    "doi": "10.1101/2026.09.17.000001",
    "title": "An invented \x00study",
    "authors": "Example, A.; Sample, B. C., Jr.; The Invented Consortium; .;",
    "author_corresponding": "Ada Example",
    "date": "2026-9-7",
    "version": "1",
    "type": "new results",
    "license": "cc_by",
    "category": "cell biology",
    "abstract": "We invent. ",
    "published": "NA",
    "server": "bioRxiv",
}


def row(number: int = 1, /, **fields: object) -> dict[str, object]:
    return ROW | {"doi": f"10.1101/2026.09.17.{number:06}"} | fields


def page(*rows: object, **message: object) -> bytes:
    fields = {"status": "ok", "cursor": 0, "count": len(rows), "total": "90"} | message
    return json.dumps({"messages": [fields], "collection": list(rows)}).encode()


def the_paper(**fields: object) -> ParsedAnnouncement:
    (paper,) = parse_details(page(row(**fields))).announcements
    return paper


def test_a_row_is_a_paper() -> None:
    paper = the_paper()
    assert paper.key == "biorxiv:10.1101/2026.09.17.000001"
    assert (paper.source, paper.identifier) == ("biorxiv", "10.1101/2026.09.17.000001")
    assert (paper.version, paper.announce_type) == (1, AnnounceType.NEW)
    assert (paper.title, paper.abstract) == ("An invented study", "We invent.")
    assert paper.authors == ("A. Example", "B. C. Sample Jr.", "The Invented Consortium")
    assert paper.categories == ("biorxiv.cell-biology",)
    assert paper.primary_category == "biorxiv.cell-biology"
    assert paper.url == "https://www.biorxiv.org/content/10.1101/2026.09.17.000001v1"
    assert (paper.license, paper.doi, paper.is_withdrawn) == ("cc_by", "", False)
    assert paper.published_at == datetime(2026, 9, 7, tzinfo=UTC)


def test_a_later_version_is_a_replacement_without_a_day_of_publication() -> None:
    paper = the_paper(version=3)
    assert (paper.version, paper.announce_type) == (3, AnnounceType.REPLACE)
    assert paper.published_at is None
    assert paper.url.endswith("v3")


@pytest.mark.parametrize("version", [None, "", "one", -1, "0"])
def test_an_invalid_version_counts_as_the_first(version: object) -> None:
    assert the_paper(version=version).announce_type is AnnounceType.NEW


@pytest.mark.parametrize("day", ["", "NA", "2026-13-01", "2026-2-30", "17 Sep 2026", None])
def test_an_invalid_day_is_left_out(day: object) -> None:
    assert the_paper(date=day).published_at is None


def test_a_published_preprint_has_the_doi_of_its_article() -> None:
    assert the_paper(published="https://doi.org/10.7554/eLife.43696").doi == "10.7554/elife.43696"


@pytest.mark.parametrize(
    ("server", "category", "expected"),
    [
        ("medrxiv", "HIV/AIDS", ("medrxiv.hiv-aids",)),
        ("medRxiv", "Endocrinology (including Diabetes)", ("medrxiv.endocrinology",)),
        ("elsewhere", "genomics", ("biorxiv.genomics",)),
        (None, " ", ()),
    ],
)
def test_a_category_carries_its_servers_name(
    server: object, category: str, expected: tuple[str, ...]
) -> None:
    paper = the_paper(server=server, category=category)
    assert paper.categories == expected
    assert paper.primary_category == (expected[0] if expected else None)


def test_a_text_of_too_many_authors_is_left_out_and_named() -> None:
    paper = the_paper(authors="Example, A.; " * 80_000)
    assert paper.authors == ()
    assert paper.refused == (
        "title with characters that no text has",
        "author of 1,039,999 characters",
    )


def test_half_a_pair_is_no_character_of_a_doi() -> None:
    """A pattern would replace it by an ordinary character, and nobody would be told."""
    article = the_paper(title="A study", published="10.7554/a\ud800")
    assert (article.doi, article.refused) == (
        "10.7554/a",
        ("DOI with characters that no text has",),
    )
    parsed = parse_details(
        page(row(doi="10.1101/a\ud800"), row(2, title="A whole pair \U0001d54f"))
    )
    assert [paper.title for paper in parsed.announcements] == ["A whole pair \U0001d54f"]
    (bad,) = parsed.bad_entries
    assert "is an identifier with characters that no text has" in bad.reason


def test_a_row_of_the_other_server_gets_that_servers_key() -> None:
    paper = the_paper(server="medrxiv")
    assert paper.key == "medrxiv:10.1101/2026.09.17.000001"
    assert paper.url.startswith("https://www.medrxiv.org/content/")


@pytest.mark.parametrize("fields", [{"title": "WITHDRAWN: A study"}, {"type": "withdrawn"}])
def test_a_withdrawn_preprint_is_marked_as_withdrawn(fields: dict[str, object]) -> None:
    assert the_paper(**fields).is_withdrawn


def test_a_bad_row_is_counted_and_the_others_are_kept() -> None:
    found = parse_details(page("row", row(1, doi="NA"), row(2), row(3, title=None)))
    assert [paper.identifier[-1] for paper in found.announcements] == ["2"]
    assert [(bad.position, bad.reason) for bad in found.bad_entries] == [
        (0, "is a str, not an object"),
        (1, "not a DOI: 'NA'"),
        (3, "10.1101/2026.09.17.000003 has no title"),
    ]
    assert found.count == 4


@pytest.mark.parametrize("cursor", [30, "30"])
def test_numbers_may_be_strings(cursor: object) -> None:
    found = parse_details(page(row(1), row(2), cursor=cursor, count="2", total="5900"))
    assert (found.cursor, found.count, found.total, found.status) == (30, 2, 5900, "ok")


@pytest.mark.parametrize(("stated", "count"), [(100, 2), ("x", 2), (None, 2), (1, 1), (0, 2)])
def test_the_cursor_never_skips_rows_and_never_stands_still(stated: object, count: int) -> None:
    assert parse_details(page(row(1), row(2), count=stated)).count == count


@pytest.mark.parametrize(
    "payload",
    [
        page(count=30),
        b'{"messages": [{"status": "no posts found"}], "collection": []}',
        b'{"messages": [{"status": "no posts found"}]}',
    ],
)
def test_an_empty_page_has_a_count_of_zero(payload: bytes) -> None:
    found = parse_details(payload)
    assert (found.announcements, found.bad_entries, found.count) == ((), (), 0)


@pytest.mark.parametrize("messages", [None, [], ["ok"], {"status": "ok"}])
def test_a_page_without_a_message_is_read_by_its_rows(messages: object) -> None:
    found = parse_details(json.dumps({"messages": messages, "collection": [ROW]}).encode())
    assert (found.count, found.total, found.cursor, found.status) == (1, None, 0, "")


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "not an answer of bioRxiv: Expecting value, line 1 column 1"),
        (b"<html>\n</html>", "not an answer of bioRxiv: Expecting value, line 1 column 1"),
        (page(row())[:-9], "not an answer of bioRxiv: "),
        (b"\xff\xff", "not an answer of bioRxiv: not readable as JSON, line 1"),
        (b"[" * 100_000, "not an answer of bioRxiv: not readable as JSON, line 1"),
        (b"[]", "not an answer of bioRxiv: it is a list, line 1"),
        (b"{}", "not an answer of bioRxiv: no collection, line 1"),
        (
            b'{"messages": [{"status": "Error: bad\\ninterval"}]}',
            "not an answer of bioRxiv: no collection, it says 'Error: bad interval', line 1",
        ),
    ],
)
def test_anything_but_an_answer_is_refused_in_one_line(payload: bytes, reason: str) -> None:
    with pytest.raises(SourceUnreadable) as caught:
        parse_details(payload)
    assert str(caught.value).startswith(reason)
    assert "\n" not in str(caught.value)


def joined(*pages: bytes) -> bytes:
    return b"[" + b",".join(pages) + b"]"


def test_pages_of_a_day_are_read_as_one_batch() -> None:
    batch = parse_pages(joined(page(row(1), "bad"), page(row(2))), "biorxiv")
    assert [paper.identifier[-1] for paper in batch.announcements] == ["1", "2"]
    assert len(batch.bad_entries) == 1


def test_every_version_of_a_day_is_announced() -> None:
    rows = [row(1, version=2), row(1, version=3)]
    papers = parse_pages(joined(page(*rows)), "biorxiv").announcements
    assert [(paper.version, paper.announce_type) for paper in papers] == [
        (2, AnnounceType.REPLACE),
        (3, AnnounceType.REPLACE),
    ]


def test_one_page_is_no_list_of_pages() -> None:
    with pytest.raises(SourceUnreadable, match="not a list of bioRxiv's pages, line 1"):
        parse_pages(page(ROW), "biorxiv")


# The client, against a server on loopback.


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def biorxiv(loopback_http: LoopbackHttp, pauses: list[float]) -> Biorxiv:
    fetcher = Fetcher(Caller(timeout_seconds=5), OpenGate())
    return Biorxiv(f"{loopback_http.url}/", fetcher, sleep=pauses.append)


DAY = date(2026, 9, 17)
PATH = "/details/biorxiv/2026-09-17/2026-09-17"


def test_a_day_is_all_its_pages_with_a_pause_between_any_two(
    biorxiv: Biorxiv, loopback_http: LoopbackHttp, pauses: list[float]
) -> None:
    loopback_http.routes |= {
        f"{PATH}/0/json": (200, {}, page(row(1), row(2), count="2", total=5)),
        f"{PATH}/2/json": (200, {}, page(row(3), cursor="2", total=5)),
        f"{PATH}/3/json": (200, {}, b'{"messages":[{"status":"no posts found"}],"collection":[]}'),
    }
    fetched = biorxiv.fetch("", DAY, FetchState())
    assert fetched.payload is not None
    batch = biorxiv.parse(fetched.payload)
    assert [paper.identifier[-1] for paper in batch.announcements] == ["1", "2", "3"]
    assert len(loopback_http.requests) == 3
    assert pauses == [0.5, 0.5]
    assert (biorxiv.name, biorxiv.gates_editions) == ("biorxiv", False)


def test_a_day_without_posts_is_an_empty_batch(
    biorxiv: Biorxiv, loopback_http: LoopbackHttp
) -> None:
    loopback_http.routes[f"{PATH}/0/json"] = 200, {}, page()
    fetched = biorxiv.fetch("", DAY, FetchState())
    assert fetched.payload == b"[]"
    assert biorxiv.parse(fetched.payload).announcements == ()


def test_without_a_day_the_last_day_is_requested(
    biorxiv: Biorxiv, loopback_http: LoopbackHttp
) -> None:
    loopback_http.routes["/details/biorxiv/1d/0/json"] = 200, {}, page()
    biorxiv.fetch("", None, FetchState())
    assert len(loopback_http.requests) == 1


@pytest.mark.parametrize("category", ["biorxiv.cell-biology", "Cell Biology"])
def test_a_category_is_requested_under_the_servers_name(
    biorxiv: Biorxiv, loopback_http: LoopbackHttp, category: str
) -> None:
    loopback_http.routes[f"{PATH}/0/json?category=cell_biology"] = 200, {}, page()
    assert biorxiv.fetch(category, DAY, FetchState()).payload == b"[]"


def test_a_server_that_ignores_the_cursor_is_not_requested_forever(
    biorxiv: Biorxiv, loopback_http: LoopbackHttp
) -> None:
    def serve(request: Request) -> Response:
        return 200, {}, page(row(1), row(2), total=2, cursor=request.path.split("/")[-2])

    loopback_http.routes |= {f"{PATH}/{cursor}/json": serve for cursor in (0, 2)}
    fetched = biorxiv.fetch("", DAY, FetchState())
    assert fetched.payload is not None
    batch = biorxiv.parse(fetched.payload)
    assert (len(batch.announcements), batch.is_truncated) == (2, False)
    assert len(loopback_http.requests) == 2


def test_a_day_of_which_the_server_repeats_the_first_page_counts_as_cut(
    biorxiv: Biorxiv, loopback_http: LoopbackHttp
) -> None:
    whole = page(row(1), row(2), total=5)
    loopback_http.routes |= {f"{PATH}/{cursor}/json": (200, {}, whole) for cursor in (0, 2)}
    fetched = biorxiv.fetch("", DAY, FetchState())
    assert fetched.payload is not None
    batch = biorxiv.parse(fetched.payload)
    assert (len(batch.announcements), batch.is_truncated) == (2, True)


def test_a_list_without_end_is_refused(biorxiv: Biorxiv, loopback_http: LoopbackHttp) -> None:
    loopback_http.routes |= {f"{PATH}/{n}/json": (200, {}, page(row(n))) for n in range(101)}
    with pytest.raises(SourceUnreadable, match="no end after 100 pages"):
        biorxiv.fetch("", DAY, FetchState())
    assert len(loopback_http.requests) == 100


@pytest.mark.parametrize("cursor", [0, 1])
def test_a_busy_server_names_the_retry_delay(
    biorxiv: Biorxiv, loopback_http: LoopbackHttp, cursor: int
) -> None:
    loopback_http.routes[f"{PATH}/0/json"] = 200, {}, page(row(1))
    loopback_http.routes[f"{PATH}/{cursor}/json"] = 503, {"Retry-After": "60"}, b""
    with pytest.raises(SourceUnavailable) as caught:
        biorxiv.fetch("", DAY, FetchState())
    assert caught.value.retry_after_seconds == 60


def test_a_connection_cut_in_the_body_may_be_retried(
    biorxiv: Biorxiv, loopback_http: LoopbackHttp
) -> None:
    whole = page(row(1))
    headers = {"Content-Length": str(len(whole)), "Connection": "close"}
    loopback_http.routes[f"{PATH}/0/json"] = 200, headers, whole[:99]
    with pytest.raises(SourceUnavailable) as caught:
        biorxiv.fetch("", DAY, FetchState())
    assert not caught.value.permanent


def test_pages_that_come_slowly_for_ever_are_given_up(loopback_http: LoopbackHttp) -> None:
    def slow(request: Request) -> Response:
        time.sleep(0.4)
        return 200, {}, page(row(int(request.path.split("/")[-2])))

    loopback_http.routes |= {f"{PATH}/{number}/json": slow for number in range(101)}
    fetcher = Fetcher(Caller(timeout_seconds=1), OpenGate(), timeouts=1)
    slow_source = Biorxiv(loopback_http.url, fetcher, gap_seconds=0)
    with pytest.raises(SourceUnavailable, match="did not end in time"):
        slow_source.fetch("", date(2026, 9, 17), FetchState())
    assert len(loopback_http.requests) < 20
