"""Answers made to be slow are refused early, by count or size, with a clear reason."""

import json
from collections.abc import Callable

import pytest

from service.papers.sources.arxiv_api import parse_api
from service.papers.sources.arxiv_feed import parse_feed
from service.papers.sources.arxiv_list import parse_listing
from service.papers.sources.arxiv_oai import parse_oai
from service.papers.sources.base import SourceUnreadable
from service.papers.sources.biorxiv import parse_details
from service.papers.sources.huggingface import parse_daily_papers
from service.papers.sources.journal_feed import parse_journal

# Seconds are a limit's work, minutes are none.
pytestmark = pytest.mark.timeout(60)

HEAD = b"<?xml version='1.0'?>"
ENTITY = "<!DOCTYPE a [<!ENTITY b '%s'>]><rss><channel><title>&b;</title></channel></rss>"
Parse = Callable[[bytes], object]


def journal(payload: bytes) -> object:
    return parse_journal(payload, "J")


def rss(inside: bytes) -> bytes:
    return HEAD + b"<rss version='2.0'><channel><title>J</title>" + inside + b"</channel></rss>"


def item(inside: bytes) -> bytes:
    names = b"<title>A paper</title><guid>oai:arXiv.org:2609.00077v1</guid>"
    return rss(b"<item>" + names + inside + b"</item>")


REFUSED: dict[str, tuple[Parse, bytes, str]] = {
    "300,000 items": (parse_feed, rss(b"<item/>" * 300_000), "more than 10,000 entries"),
    "a million tags": (parse_feed, item(b"<a/>" * 1_000_000), "more than 500,000 tags"),
    "deep XML": (parse_feed, rss(b"<a>" * 100_000), "depth"),
    "entities": (parse_feed, HEAD + (ENTITY % "c").encode(), "document type"),
    "300,000 records": (
        parse_oai,
        b"<OAI-PMH><ListRecords>" + b"<record/>" * 300_000 + b"</ListRecords></OAI-PMH>",
        "more than 10,000 entries",
    ),
    "300,000 entries": (
        parse_api,
        b"<feed xmlns='http://www.w3.org/2005/Atom'>" + b"<entry/>" * 300_000 + b"</feed>",
        "more than 10,000 entries",
    ),
    "a million tags in a listing": (parse_listing, b"<html>" + b"<b>" * 1_000_000, "500,000 tags"),
    "a listing that counts 5,000 digits": (
        parse_listing,
        b"<html><p>Showing new listings for Friday, 18 September 2026 </p>"
        b"<h3>New submissions (showing 5 of %s entries)</h3></html>" % (b"9" * 5_000),
        "counts more papers than arXiv has",
    ),
    "300,000 papers": (parse_daily_papers, b"[" + b"0," * 300_000 + b"0]", "10,000 entries"),
    "a million objects": (parse_daily_papers, b"[" + b"{}," * 1_000_000 + b"{}]", "too large"),
    "deep JSON": (parse_daily_papers, b"[" * 400_000, "not readable as JSON"),
    "20 MB of JSON": (parse_details, b'{"a": "' + b"a" * 20_000_000 + b'"}', "too large"),
    "300,000 items of a journal": (journal, rss(b"<item/>" * 300_000), "more than 100,000 tags"),
    "a tag with 300,000 attributes": (
        journal,
        item(b"<category " + b" ".join(b"a%d='1'" % n for n in range(300_000)) + b"/>"),
        "a tag of more than 50,000 bytes",
    ),
    "an entity of 14 MB in UTF-16": (
        journal,
        (ENTITY % ("c" * 7_000_000)).encode("utf-16"),
        "larger than 4,194,304 bytes",
    ),
    "an entity in UTF-16": (journal, (ENTITY % ("c" * 9_000)).encode("utf-16"), "encoding"),
    "an entity in UTF-7": (
        journal,
        b"<?xml version='1.0' encoding='utf-7'?>+ADwAIQ-DOCTYPE a [+ADwAIQ-ENTITY b 'c'+AD4]+AD4-"
        b"<rss version='2.0'><channel><title>&b;</title></channel></rss>",
        "encoding",
    ),
}


@pytest.mark.parametrize("shape", REFUSED)
def test_a_slow_shape_is_refused_with_its_reason(shape: str) -> None:
    parse, payload, reason = REFUSED[shape]
    with pytest.raises(SourceUnreadable) as caught:
        parse(payload)
    assert reason in str(caught.value)
    assert str(caught.value).isprintable()


READ: dict[str, tuple[Parse, bytes]] = {
    "a DOI with many ends": (journal, item(b"<link>10.1234/" + b"/full" * 60_000 + b"x</link>")),
    "many ends of a feed": (journal, item(b"") + b"<!-- -->" * 90_000 + b"x"),
    "brackets": (
        parse_details,
        json.dumps(
            {
                "messages": [{"status": "ok"}],
                "collection": [{"doi": "10.1101/1", "title": "A", "category": "(" * 300_000}],
            }
        ).encode(),
    ),
    "an identifier of blanks": (
        parse_feed,
        rss(b"<item><title>A</title><guid>x" + b" " * 500_000 + b"[x</guid></item>"),
    ),
    "a number of 9 million digits": (parse_daily_papers, b"[" + b"9" * 9_000_000 + b"]"),
}


@pytest.mark.parametrize("shape", READ)
def test_a_slow_value_in_an_entry_is_not_slow(shape: str) -> None:
    parse, payload = READ[shape]
    assert parse(payload) is not None


def test_an_entry_with_a_character_that_xml_does_not_have_does_not_spoil_the_others() -> None:
    parsed = parse_feed(
        rss(
            b"<item><title>A &#0;b &#xD800; &#99999999999; &#x41;</title>"
            b"<guid>oai:arXiv.org:2609.00077v1</guid>"
            b"<announce_type xmlns='http://arxiv.org/schemas/atom'>new</announce_type></item>"
        )
    )
    (paper,) = parsed.announcements
    assert "".join(paper.title.split()) == "AbA"
    assert paper.refused == ("title with characters that no text has",)
