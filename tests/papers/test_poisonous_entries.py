"""One poisonous entry is one counted, named entry, and all others of the answer are stored.

Every source, and every field it has: good papers stand before and behind the poisonous one.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from html import escape

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session
from structlog.testing import capture_logs
from support.servers.loopback_http import LoopbackHttp
from support.sources.feeds import Told, render_feed
from support.sources.oai_answers import RAW, SPLIT, listed, record
from support.sources.open_gate import OpenGate
from support.sources.provider import Provider, morning
from support.web.papers import make_announcement

from service.papers.arxiv_backfill import heal_arxiv
from service.papers.complete_stubs import complete_stubs
from service.papers.domain.types import AnnounceType, BatchState
from service.papers.ingest import BatchReport, ingest_source
from service.papers.sources.arxiv_api import ArxivApi, parse_api
from service.papers.sources.arxiv_oai import ArxivOai, parse_oai
from service.papers.sources.http_fetch import Caller, Fetcher
from service.papers.sources.registry import build_sources
from service.papers.store.batches import open_batch
from service.papers.store.models import Paper
from service.papers.store_announcements import store_announcements
from service.platform.database.engine import make_sessions, transaction
from service.platform.settings.settings import Settings

FRIDAY = date(2026, 9, 18)
# Different words, of which a text's search form is over a megabyte: PostgreSQL refuses it.
LEXEMES = " ".join(f"w{number:x}q{number * 7919 % 999_983:x}" for number in range(130_000))
WORD = "".join(chr(97 + (n * n * 31 + n) % 26) for n in range(10_240))
DOI = f"10.1234/{WORD[:9_000]}"
DIGITS = "9" * 5_000
DATES = ("0000-01-01", "9999-12-31T23:59:59-14:00", "1000000000000-01-01", DIGITS)
NO_CHARACTERS = {"NUL": "a\x00b", "half a pair": "a\ud800b"}

TEXT = {"much text": LEXEMES, **NO_CHARACTERS}
NAME = {"a long word": WORD, "many": ", ".join(f"A{n} B" for n in range(20_000))}
WRONG_DATES = dict(zip(("year 0", "year 9999", "year 10^12", "digits"), DATES, strict=True))

Poisons = Mapping[str, Mapping[str, str]]
"""Field -> name of the poison -> value."""


@dataclass(frozen=True)
class Kind:
    """A source: how an answer with a poisonous second entry looks, and which fields it has."""

    render: Callable[[str, str], bytes]
    poisons: Poisons
    ingest: Callable[["Here", bytes], BatchReport]


@dataclass(frozen=True)
class Here:
    provider: Provider
    engine: Engine
    settings: Settings


def xml(text: str) -> str:
    """Return text as XML, where a document cannot hold a character as a reference to it."""
    return "".join(
        f"&#{ord(letter)};" if letter in "\x00\ud800" else escape(letter) for letter in text
    )


# -- arXiv's feed ---------------------------------------------------------------------------------


def feed(name: str, value: str) -> bytes:
    fields = {
        "guid": "oai:arXiv.org:2609.00077v1", "title": "A poisonous paper", "description": "Text.",
        "dc:creator": "Ada Lovelace", "category": "cs.CL", "link": "https://arxiv.org/abs/2609.00077",
        "dc:rights": "", "arxiv:DOI": "", "arxiv:journal_reference": "", "arxiv:announce_type": "new",
    }  # fmt: skip
    inside = "".join(
        f"<{key}>{xml(text)}</{key}>" for key, text in (fields | {name: value}).items()
    )
    if name == "categories":
        inside = inside.replace("<categories>", "").replace("</categories>", "")
        inside += "".join(f"<category>x.{n}</category>" for n in range(5_000))
    entries = Told(1), Told(2)
    return render_feed(FRIDAY, entries[0], extra=f"<item>{inside}</item>").replace(
        b"</channel>",
        render_feed(FRIDAY, entries[1]).partition(b"</skipDays>")[2][:-16] + b"</channel>",
    )


def ingest_feed(here: Here, payload: bytes) -> BatchReport:
    here.provider.show(payload)
    here.provider.show(render_feed(FRIDAY, Told(5, categories=("cs.LG",))), "cs.LG")
    first, second = here.provider.ingest(morning(FRIDAY), "cs.CL", "cs.LG")
    # Later categories of the run are read.
    assert (second.state, second.stored_count) == (BatchState.COMPLETE, 1)
    return first


FEED = Kind(
    feed,
    {
        "guid": {"a long word": WORD, "a version": f"oai:arXiv.org:2609.00077v{DIGITS}"},
        "title": TEXT,
        "description": TEXT,
        "dc:creator": {**NAME, **NO_CHARACTERS, "much text": LEXEMES},
        "category": {"a long word": WORD, **NO_CHARACTERS},
        "categories": {"many": ""},
        "link": {"a long word": f"https://arxiv.org/{WORD}"},
        "dc:rights": {"a long word": WORD},
        "arxiv:DOI": {"9 kB": DOI, **NO_CHARACTERS},
        "arxiv:journal_reference": {"a long word": WORD, **NO_CHARACTERS},
    },
    ingest_feed,
)

# -- Hugging Face ---------------------------------------------------------------------------------


def hugging_face(name: str, value: str) -> bytes:
    papers = [
        {"id": f"2609.{number:05d}", "title": "A paper", "summary": "Text.", "upvotes": 1,
         "authors": [{"name": "Ada Lovelace"}], "publishedAt": "2026-09-18T00:00:00.000Z"}
        for number in (1, 77, 2)
    ]  # fmt: skip
    chosen: object = value
    if name == "authors":
        chosen = [{"name": part} for part in value.split(", ")]
    elif name == "ai_keywords":
        chosen = value.split(", ")
    papers[1][name] = chosen
    text = json.dumps([{"paper": paper} for paper in papers])
    if name in {"upvotes", "githubStars"}:
        text = text.replace(f'"{value}"', value)
    return text.encode()


def ingest_hugging_face(here: Here, payload: bytes) -> BatchReport:
    here.provider.show_list(payload)
    return here.provider.look(FRIDAY, "huggingface")


COUNTS = {"5,000 digits": DIGITS, "below 0": "-1", "10^12": "1000000000000"}
HUGGING_FACE = Kind(
    hugging_face,
    {
        "id": {"a long word": WORD, "NUL": "2609.00\x00077"},
        "title": TEXT,
        "summary": TEXT,
        "authors": {**NAME, **NO_CHARACTERS},
        "ai_summary": TEXT,
        "ai_keywords": {**NAME, **NO_CHARACTERS},
        "githubRepo": {"9 kB": f"https://github.com/{WORD[:9_000]}"},
        "upvotes": COUNTS,
        "githubStars": COUNTS,
        "publishedAt": WRONG_DATES,
    },
    ingest_hugging_face,
)

# -- bioRxiv --------------------------------------------------------------------------------------


def biorxiv(name: str, value: str) -> bytes:
    rows = [
        {"doi": f"10.1101/2026.09.18.{number:06d}", "title": "A paper", "authors": "Lovelace, A.",
         "date": "2026-09-18", "version": "1", "category": "cell biology", "abstract": "Text.",
         "published": "NA", "license": "cc_by", "server": "bioRxiv"}
        for number in (1, 77, 2)
    ]  # fmt: skip
    rows[1][name] = value.replace(", ", "; ") if name == "authors" else value
    message = {"status": "ok", "count": 3, "total": 3, "cursor": 0}
    return json.dumps({"messages": [message], "collection": rows}).encode()


def ingest_biorxiv(here: Here, payload: bytes) -> BatchReport:
    empty = b'{"messages": [{"status": "no posts found"}]}'
    day = f"/details/biorxiv/{FRIDAY}/{FRIDAY}"
    here.provider.http.routes[f"{day}/0/json"] = (200, {}, payload)
    here.provider.http.routes[f"{day}/3/json"] = (200, {}, empty)
    (report,) = here.provider.ingest(morning(FRIDAY), name="biorxiv", on=FRIDAY)
    return report


BIORXIV = Kind(
    biorxiv,
    {
        "doi": {"9 kB": DOI, "NUL": "10.1101/2026\x00"},
        "title": TEXT,
        "abstract": TEXT,
        "authors": {**NAME, **NO_CHARACTERS},
        "category": {"a long word": WORD, "brackets": "(" * 10_000 + WORD},
        "published": {"9 kB": DOI, "half a pair": "10.1234/a\ud800"},
        "license": {"a long word": WORD},
        "version": {"5,000 digits": DIGITS, "99999": "99999"},
        "date": WRONG_DATES,
    },
    ingest_biorxiv,
)

# -- journals -------------------------------------------------------------------------------------

JOURNAL_HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<rss version="2.0" xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:prism="http://prismstandard.org/namespaces/basic/2.0/"><channel><title>Journal</title>"""


def journal(name: str, value: str) -> bytes:
    def item(fields: Mapping[str, str]) -> str:
        inside = "".join(f"<{key}>{xml(text)}</{key}>" for key, text in fields.items())
        return f"<item>{inside}</item>"

    first, poisonous, second = (
        {"title": "A paper", "link": f"https://j.example/{n}", "prism:doi": f"10.1234/{n}",
         "description": "Text.", "dc:creator": "Ada Lovelace",
         "pubDate": "Fri, 18 Sep 2026 07:30:00 +0200"}
        for n in (1, 77, 2)
    )  # fmt: skip
    items = "".join(map(item, (first, poisonous | {name: value}, second)))
    return f"{JOURNAL_HEAD}{items}</channel></rss>".encode()


def ingest_journal(here: Here, payload: bytes) -> BatchReport:
    http = here.provider.http
    http.routes["/journal.xml"] = (200, {}, payload)
    settings = here.settings.model_copy(
        update={"sources": (), "journal_feeds": (f"j={http.url}/journal.xml",)}
    )
    (source,) = build_sources(settings, OpenGate())
    sessions = make_sessions(here.engine)
    (report,) = ingest_source(sessions, settings, source, None, morning(FRIDAY))
    return report


JOURNAL = Kind(
    journal,
    {
        "title": {"much text": LEXEMES},
        "description": {"much text": LEXEMES},
        "dc:creator": NAME,
        "prism:doi": {"9 kB": DOI},
        "link": {"a long word": f"https://j.example/{WORD}"},
        "prism:publicationName": {"a long word": WORD},
        "pubDate": {"year 9999": "Fri, 31 Dec 9999 23:59:59 GMT"},
    },
    ingest_journal,
)

KINDS = {"arxiv": FEED, "huggingface": HUGGING_FACE, "biorxiv": BIORXIV, "journal": JOURNAL}


def cases(kinds: Mapping[str, Kind]) -> Iterator[object]:
    for source, kind in kinds.items():
        for name, poisons in kind.poisons.items():
            for poison, value in poisons.items():
                yield pytest.param(kind, name, value, id=f"{source} {name} {poison}")


@pytest.fixture
def here(provider: Provider, engine: Engine, settings: Settings) -> Here:
    played = provider.settings.model_copy(update={"biorxiv_url": provider.http.url})
    return Here(Provider(provider.http, played, provider.sessions), engine, settings)


@pytest.mark.parametrize(("kind", "name", "value"), list(cases(KINDS)))
def test_a_poisonous_entry_is_counted_and_named_once_and_all_others_are_stored(
    here: Here, session: Session, kind: Kind, name: str, value: str
) -> None:
    report = kind.ingest(here, kind.render(name, value))
    assert report.error == ""
    check(session, report.bad_count, report.note)


def check(session: Session, bad_count: int, note: str) -> None:
    """Check that both good papers are stored, and that the third is refused or lacks a value."""
    stored = list(session.scalars(select(Paper).where(Paper.categories != ["cs.LG"])))
    good = [paper for paper in stored if "77" not in paper.key]
    assert len(good) == 2
    assert all((paper.title, paper.authors) for paper in good)
    poisonous = len(stored) - len(good)
    # Either refused as a whole, or stored without the value; never both, and never silently.
    assert (poisonous, bad_count) in {(0, 1), (1, 0)}
    counted = "1 entry unreadable: " if bad_count else "1 entry stored without an absurd value: "
    assert note.count(counted) == 1
    assert "entries" not in note
    assert len(note) < 400
    assert note.isprintable()


# -- OAI-PMH and the search API, which are read by other ways -------------------------------------


def oai_raw(name: str, value: str) -> bytes:
    return oai(RAW, name, value)


def oai_split(name: str, value: str) -> bytes:
    return oai(SPLIT.replace("</arXiv>", "<comments>c</comments></arXiv>"), name, value)


def oai(template: str, name: str, value: str) -> bytes:
    """Return three records, of which the second has a field's content replaced."""
    own = template[template.index("<id>") + 4 : template.index("</id>")]
    good = template.replace("2026-09-02", "2026-09-15").replace(own, "2609.10001")
    poisonous = good.replace("2609.10001", "2609.10077")
    start = poisonous.index(f"<{name}>") + len(name) + 2
    end = poisonous.index(f"</{name}>")
    poisonous = poisonous[:start] + xml(value) + poisonous[end:]
    last = good.replace("2609.10001", "2609.10002")
    numbers = ("2609.10001", "2609.10077", "2609.10002")
    parts = (
        record(text, number) for text, number in zip((good, poisonous, last), numbers, strict=True)
    )
    return listed(*parts)


OAI_RAW: Poisons = {
    "id": {"a long word": WORD},
    "title": TEXT,
    "abstract": TEXT,
    "authors": {**NAME, **NO_CHARACTERS, "much text": LEXEMES},
    "categories": {"a long word": WORD, "many": " ".join(f"x.{n}" for n in range(5_000))},
    "comments": {"much text": LEXEMES},
    "journal-ref": {"a long word": WORD},
    "doi": {"9 kB": DOI},
    "license": {"a long word": WORD},
    "date": {
        "year 9999": "Fri, 31 Dec 9999 23:59:59 -1400",
        "year 10^12": "Tue, 01 Sep 1000000000000 08:00:00 GMT",
        "digits": DIGITS,
    },
}
OAI_SPLIT: Poisons = {
    "title": TEXT,
    "keyname": {"a long word": WORD},
    "categories": {"a long word": WORD},
    "comments": {"much text": LEXEMES},
}


def oai_cases() -> Iterator[object]:
    for render, poisons in ((oai_raw, OAI_RAW), (oai_split, OAI_SPLIT)):
        for name, values in poisons.items():
            for poison, value in values.items():
                yield pytest.param(render, name, value, id=f"{render.__name__} {name} {poison}")


@pytest.mark.parametrize(("render", "name", "value"), list(oai_cases()))
def test_a_poisonous_record_of_oai_is_counted_and_named_once_and_all_others_are_stored(
    here: Here,
    session: Session,
    loopback_http: LoopbackHttp,
    render: Callable[[str, str], bytes],
    name: str,
    value: str,
) -> None:
    known = [make_announcement(number, "A title", key=f"arxiv:2609.{number}",
                               identifier=f"2609.{number}") for number in (10001, 10077, 10002)]  # fmt: skip
    sessions = make_sessions(here.engine)
    now = morning(FRIDAY)
    with transaction(sessions) as writing:
        batch = open_batch(writing, "arxiv", "cs.CL", FRIDAY, now)
        store_announcements(writing, batch, known, now)
    loopback_http.routes["/oai"] = (200, {}, render(name, value))
    settings = here.settings.model_copy(update={"arxiv_categories": ("cs.CL",)})
    source = ArxivOai(f"{loopback_http.url}/oai", Fetcher(Caller(), OpenGate()))
    (report,) = heal_arxiv(sessions, settings, source, now)
    assert report.error == ""
    page = parse_oai(render(name, value))
    assert len(page.records) + len(page.bad_entries) == 3
    assert report.record_count == len(page.records)
    lacking = [r for r in page.records if r.announcement is not None and r.announcement.refused]
    assert len(lacking) + len(page.bad_entries) == 1
    assert report.bad_count == len(page.bad_entries)
    assert report.note.startswith("1 entry ")


API_HEAD = """<feed xmlns="http://www.w3.org/2005/Atom" xmlns:arxiv="http://arxiv.org/schemas/atom"
 xmlns:opensearch="http://a9.com/-/spec/opensearch/1.1/">
<opensearch:totalResults>3</opensearch:totalResults>
<opensearch:startIndex>0</opensearch:startIndex><opensearch:itemsPerPage>3</opensearch:itemsPerPage>"""


def api(name: str, value: str) -> bytes:
    def entry(number: int, **changed: str) -> str:
        fields = {
            "id": f"http://arxiv.org/abs/2609.{number:05d}v1", "title": "A title", "summary": "Text.",
            "published": "2026-09-17T10:00:00Z", "name": "Ada Lovelace", "category": "cs.CL",
            "comment": "", "journal_ref": "", "doi": "",
        }  # fmt: skip
        field = {key: xml(text) for key, text in (fields | changed).items()}
        plain = "".join(
            f"<{key}>{field[key]}</{key}>" for key in ("id", "title", "summary", "published")
        )
        own = "".join(
            f"<arxiv:{key}>{field[key]}</arxiv:{key}>" for key in ("comment", "journal_ref", "doi")
        )
        author = f"<author><name>{field['name']}</name></author>"
        return f"<entry>{plain}{own}{author}<category term='{field['category']}'/></entry>"

    return f"{API_HEAD}{entry(1)}{entry(77, **{name: value})}{entry(2)}</feed>".encode()


API: Poisons = {
    "id": {
        "a long word": f"http://arxiv.org/abs/{WORD}",
        "digits": f"http://arxiv.org/abs/{DIGITS}",
    },
    "title": TEXT,
    "summary": TEXT,
    "name": {"a long word": WORD, **NO_CHARACTERS},
    "comment": {"much text": LEXEMES, **NO_CHARACTERS},
    "journal_ref": {"a long word": WORD},
    "doi": {"9 kB": DOI},
    "published": WRONG_DATES,
    "category": {"9 kB": "x" * 9_000},
}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param(name, value, id=f"{name[:20]} {poison}")
        for name, poisons in API.items()
        for poison, value in poisons.items()
    ],
)
def test_a_poisonous_entry_of_the_api_is_named_and_all_others_complete_their_stubs(
    here: Here, session: Session, loopback_http: LoopbackHttp, name: str, value: str
) -> None:
    stubs = [
        make_announcement(number, "A stub", source="huggingface", categories=(),
                          announce_type=AnnounceType.LISTED, primary_category=None)
        for number in (1, 77, 2)
    ]  # fmt: skip
    sessions = make_sessions(here.engine)
    now = morning(FRIDAY)
    with transaction(sessions) as writing:
        batch = open_batch(writing, "huggingface", "", FRIDAY, now)
        store_announcements(writing, batch, stubs, now)
    payload = api(name, value)
    assert len(parse_api(payload).announcements) >= 2
    loopback_http.routes["/query"] = (200, {}, payload)
    client = ArxivApi(f"{loopback_http.url}/query", Fetcher(Caller(), OpenGate()))
    with capture_logs() as lines:
        assert complete_stubs(sessions, client, now) >= 2
    titles = dict(session.execute(select(Paper.key, Paper.title)).all())
    assert titles["arxiv:2609.00001"] == titles["arxiv:2609.00002"] == "A title"
    (line,) = [line for line in lines if line["event"] == "enrich.faults"]
    assert str(line["note"]).startswith("1 entry ")


def test_a_paper_that_only_the_database_refuses_is_counted_and_named(
    here: Here, session: Session
) -> None:
    """No limit is perfect, so each part of an answer is stored in a savepoint of its own."""
    sessions = make_sessions(here.engine)
    now = morning(FRIDAY)
    papers = [make_announcement(number, f"Paper {number}") for number in range(1, 40)]
    papers[20] = make_announcement(21, "Poison", abstract=LEXEMES)
    papers[30] = make_announcement(31, "Poison", version=99_999)
    papers[38] = make_announcement(39, "Poison \x00")
    with transaction(sessions) as writing:
        batch = open_batch(writing, "arxiv", "cs.CL", FRIDAY, now)
        stored = store_announcements(writing, batch, papers, now)
    assert stored.inserted == 36
    assert set(stored.refused) == {papers[n].key for n in (20, 30, 38)}
    assert all(reason.isprintable() for reason in stored.refused.values())
    assert len(list(session.scalars(select(Paper.key)))) == 36


@pytest.mark.parametrize("count", ["9" * 5_000, "9" * 12, "99999999999999999999"])
def test_a_listing_that_counts_absurdly_stops_no_category(here: Here, count: str) -> None:
    http = here.provider.http
    page = (
        "<html><p>Showing new listings for Friday, 18 September 2026 </p>"
        f"<h3>New submissions (showing 5 of {count} entries)</h3></html>"
    )
    http.routes["/list/cs.CL/new"] = (200, {}, page.encode())
    settings = here.provider.settings.model_copy(update={"arxiv_list_url": f"{http.url}/list"})
    provider = Provider(http, settings, here.provider.sessions)
    for number, category in enumerate(("cs.CL", "cs.LG"), 1):
        provider.show(render_feed(FRIDAY, Told(number, categories=(category,))), category)
    reports = provider.ingest(morning(FRIDAY), "cs.CL", "cs.LG")
    assert [(report.state, report.stored_count) for report in reports] == [
        (BatchState.COMPLETE, 1)
    ] * 2
    assert "/list/cs.CL/new" in [request.path for request in http.requests]
