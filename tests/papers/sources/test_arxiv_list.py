"""The listing page: arXiv's own counts, or a clear error."""

from collections.abc import Sequence
from datetime import date

import pytest
from support.servers.loopback_http import LoopbackHttp
from support.sources.open_gate import OpenGate

from service.papers.sources.arxiv_list import ArxivListing, Listing, parse_listing
from service.papers.sources.base import SourceUnavailable, SourceUnreadable
from service.papers.sources.http_fetch import Caller, Fetcher

DAY = "Friday, 18 September 2026"


def item(identifier: str, number: int = 1) -> str:
    """Return an invented entry in the page's layout; its abstract mentions another paper."""
    return f"""<dt><a name='item{number}'>[{number}]</a>
      <a href ="/abs/{identifier}" title="Abstract" id="{identifier}">arXiv:{identifier}</a>
      [<a href="/pdf/{identifier}" title="Download PDF">pdf</a>]</dt>
    <dd><div class='meta'><div class='list-title mathjax'><span class='descriptor'>Title:</span>
      Invented paper {number}</div>
      <p class='mathjax'>Better than <a href="https://arxiv.org/abs/2301.00001">arXiv:2301.00001</a>
      and <a href="https://example.org/abs/nothing">others</a>. No updates here.</p></div></dd>"""


def section(heading: str, identifiers: Sequence[str]) -> str:
    return f"<dl id='articles'><h3>{heading}</h3>{''.join(map(item, identifiers))}</dl>"


def page(*sections: str, total: int | None = None, heading: str = f"for {DAY}") -> bytes:
    paging = "" if total is None else f"<div class='paging'>Total of {total} entries </div>"
    return f"""<!DOCTYPE html><html lang="en"><head><title>Invented Category</title>
<script>var x = "New submissions (showing 9 of 9 entries), total of 9 entries";</script></head>
<body><div id='dlpage'><h1>Invented Category</h1>
<ul><li><a href="#item1">New submissions</a></li><li><a href="#item3">Cross-lists</a></li></ul>
<h3>Showing new listings {heading}</h3>
{paging}{"".join(sections)}{paging}</div></body></html>""".encode()


NEW = section(f"New submissions for {DAY} (showing 2 of 2 entries )", ["2609.10001", "2609.10002"])
CROSS = section(f"Cross submissions for {DAY} (showing 1 of 1 entries )", ["2609.09001"])
OLD = section(f"Replacement submissions for {DAY} (showing 1 of 1 entries )", ["math.CA/0611800"])


def test_a_page_states_its_day_and_counts_and_lists_its_papers() -> None:
    assert parse_listing(page(NEW, CROSS, OLD, total=4)) == Listing(
        on=date(2026, 9, 18),
        new_count=2,
        cross_count=1,
        replacement_count=1,
        new=("2609.10001", "2609.10002"),
        cross=("2609.09001",),
        replacements=("math/0611800",),
    )


def test_an_absent_section_counts_zero() -> None:
    listing = parse_listing(page(CROSS, total=1))
    assert (listing.new_count, listing.cross_count, listing.replacement_count) == (0, 1, 0)
    assert not listing.is_empty


@pytest.mark.parametrize(
    "words", ["showing first 1 of 1,234", "continued, showing last 1 of 1234", "SHOWING 1 of 1234"]
)
def test_a_count_is_that_of_the_section_not_of_the_shown_part(words: str) -> None:
    new = section(f"New submissions ({words} entries )", ["2609.10001"])
    listing = parse_listing(page(new))
    assert (listing.new_count, listing.new) == (1234, ("2609.10001",))


def test_the_older_names_of_the_sections_are_read() -> None:
    listing = parse_listing(
        page(
            section("Cross-lists for Fri, 18 Sep 26 (showing 1 of 1 entries)", ["2609.1"]),
            section("Replacements (showing 2 of 2 entries)", ["2609.09002", "2609.09003"]),
            heading="for Fri, 18 Sep 26",
        )
    )
    assert listing.on == date(2026, 9, 18)
    assert (listing.cross_count, listing.cross) == (1, ())
    assert (listing.replacement_count, len(listing.replacements)) == (2, 2)


def test_a_section_without_a_stated_count_is_counted_by_its_papers() -> None:
    assert parse_listing(page(section("New submissions", ["2609.10001"]))).new_count == 1


def test_papers_are_found_without_the_terms_of_a_definition_list() -> None:
    plain = NEW.replace("<dt>", "<div>").replace("</dt>", "</div>")
    assert parse_listing(page(plain)).new == ("2609.10001", "2609.10002")


def test_a_page_that_says_no_updates_is_an_empty_listing() -> None:
    assert parse_listing(page("<p>No updates today.</p>")) == Listing(
        date(2026, 9, 18), is_empty=True
    )


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "not a listing: the answer is empty"),
        (b"   ", "not a listing: the answer is empty"),
        (b"Rate exceeded.", "not a listing: it names no day"),
        (b"\xff\xfe\x00", "not a listing: it names no day"),
        (page(NEW, heading="soon").replace(DAY.encode(), b""), "not a listing: it names no day"),
        (
            page(NEW, heading="for Friday, 31 September 2026"),
            "not a listing: 31 September 2026 is no day",
        ),
        (
            page(NEW, heading="for Friday, 18 Smarch 2026"),
            "not a listing: 18 Smarch 2026 is no day",
        ),
        (page(), "not a listing: it has no section, and does not say why"),
        (
            page(NEW, section("Cross-lists", [])),
            "not a listing: a section states no count and lists no paper",
        ),
        (page(NEW, total=1_000), "not a whole listing: its sections count 2 of 1000 entries"),
    ],
)
def test_an_ambiguous_page_is_refused_in_one_line(payload: bytes, reason: str) -> None:
    with pytest.raises(SourceUnreadable) as caught:
        parse_listing(payload)
    assert str(caught.value) == reason


# The client, against a server on loopback.


@pytest.fixture
def listing(loopback_http: LoopbackHttp) -> ArxivListing:
    return ArxivListing(
        f"{loopback_http.url}/list/", Fetcher(Caller(timeout_seconds=5), OpenGate())
    )


def test_a_category_is_requested_once(listing: ArxivListing, loopback_http: LoopbackHttp) -> None:
    loopback_http.routes["/list/cs.CL/new"] = 200, {"Content-Type": "text/html"}, page(NEW)
    assert listing.fetch("cs.CL").new_count == 2
    assert [request.path for request in loopback_http.requests] == ["/list/cs.CL/new"]


def test_an_invalid_category_is_quoted_in_the_address(
    listing: ArxivListing, loopback_http: LoopbackHttp
) -> None:
    with pytest.raises(SourceUnavailable, match="HTTP 404") as caught:
        listing.fetch("../admin")
    assert caught.value.permanent
    assert loopback_http.requests[0].path == "/list/..%2Fadmin/new"


def test_a_busy_server_names_the_retry_delay(
    listing: ArxivListing, loopback_http: LoopbackHttp
) -> None:
    loopback_http.routes["/list/cs.CL/new"] = 503, {"Retry-After": "7"}, b""
    with pytest.raises(SourceUnavailable) as caught:
        listing.fetch("cs.CL")
    assert caught.value.retry_after_seconds == 7
