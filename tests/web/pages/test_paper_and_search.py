"""Papers are found by key, by words, and by topics that a reader tries out."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import httpx
import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session
from support.web.papers import THURSDAY, make_announcement, store_papers, upvoted
from support.web.server import serve
from support.web.site import Bell, Turnable

from service.papers.domain.types import AnnounceType
from service.platform.database.engine import make_sessions
from service.platform.settings.settings import Settings
from service.similarity.embed_papers import learn_meanings
from service.web.app import create_app


def test_a_paper_page_tells_all_that_is_known(web: httpx.Client, session: Session) -> None:
    told = make_announcement(
        1,
        "Cats & Dogs",
        abstract="First paragraph.\n\nSecond\nparagraph.",
        categories=("cs.CL", "cs.LG"),
        comment="12 pages",
        doi="10.1000/x<y",
        journal_ref="Journal of Cats 3",
        signals=upvoted(31, "https://github.com/example/cats"),
    )
    store_papers(session, [told])
    page = web.get("/papers/arxiv:2609.00001").text
    assert '<h1 dir="auto">Cats &amp; Dogs</h1>' in page
    assert "Ada Lovelace, Grace Hopper" in page
    assert '<p class="sum" dir="auto">Second paragraph.</p>' in page
    assert "Computation and Language</a>" in page
    assert 'href="https://arxiv.org/pdf/2609.00001"' in page
    assert 'href="https://github.com/example/cats"' in page
    assert 'href="https://doi.org/10.1000/x%3Cy"' in page
    assert "18 September 2026</a>, new in Computation and Language" in page
    for said in ("12 pages", "Journal of Cats 3", "upvotes on Hugging Face"):
        assert said in page
    assert "Versions" not in page


def test_a_replaced_paper_shows_its_versions(web: httpx.Client, session: Session) -> None:
    first = make_announcement(1, "Cats")
    store_papers(session, [first], on=THURSDAY)
    second = replace(first, version=2, announce_type=AnnounceType.REPLACE, is_withdrawn=True)
    store_papers(session, [second])
    page = web.get("/papers/arxiv:2609.00001").text
    assert "1 (17 September 2026), 2 (18 September 2026)" in page
    assert "updated in Computation and Language, version 2" in page
    assert "withdrawn by its authors" in page


def test_a_paper_without_a_safe_address_is_not_linked(web: httpx.Client, session: Session) -> None:
    store_papers(session, [make_announcement(1, "Cats", url="javascript:alert(1)")])
    page = web.get("/papers/arxiv:2609.00001").text
    assert "javascript:" not in page
    assert "Read it at its source" not in page


@pytest.mark.parametrize(
    ("asked", "key"),
    [
        ("2609.00001v2", "arxiv:2609.00001"),
        ("arxiv:2609.00001v1", "arxiv:2609.00001"),
        ("math.CA/0611800v2", "arxiv:math/0611800"),
    ],
)
def test_other_spellings_of_a_key_lead_to_the_paper(
    web: httpx.Client, asked: str, key: str
) -> None:
    answer = web.get(f"/papers/{asked}", follow_redirects=False)
    assert answer.status_code == 301
    assert answer.headers["location"] == f"/papers/{key}"


@pytest.mark.parametrize("key", ["arxiv:2609.99999", "nonsense", "a%00b", "%ff", "//evil.example"])
def test_an_unknown_paper_is_a_404_page(web: httpx.Client, key: str) -> None:
    answer = web.get(f"/papers/{key}")
    assert answer.status_code == 404
    assert "We do not know this paper" in answer.text


def test_search_finds_by_topic_language_newest_first_and_marks_the_words(
    web: httpx.Client, session: Session
) -> None:
    store_papers(session, [make_announcement(1, "Old Prompt Tuning")], on=date(2025, 3, 3))
    told = [make_announcement(2, "New Prompt Tuning"), make_announcement(3, "Other Things")]
    store_papers(session, told)
    page = web.get("/search", params={"q": '"prompt tuning" cat:cs.CL'}).text
    assert "2 papers, newest first" in page
    assert "Other Things" not in page
    new, old = "New <mark>Prompt Tuning</mark>", "Old <mark>Prompt Tuning</mark>"
    assert page.index(new) < page.index(old)


def test_search_comes_in_pages(web: httpx.Client, session: Session) -> None:
    store_papers(session, [make_announcement(n, f"Cats number {n}") for n in range(1, 26)])
    first = web.get("/search", params={"q": "cats"}).text
    assert "25 papers" in first
    assert "Page 1 of 2" in first
    assert 'href="/search?q=cats&amp;page=2"' in first or 'href="/search?q=cats&page=2"' in first
    last = web.get("/search", params={"q": "cats", "page": "99"}).text
    assert last.count("<article>") == 5
    assert 'start="21"' in last


def test_search_points_at_what_is_wrong(web: httpx.Client) -> None:
    answer = web.get("/search", params={"q": "cats ) dogs"})
    assert answer.status_code == 422
    assert "was never opened (character 6)" in answer.text
    assert "<code>cats <mark>)</mark> dogs</code>" in answer.text
    assert 'value="cats ) dogs"' in answer.text


def test_an_empty_search_and_one_without_results_are_pages(web: httpx.Client) -> None:
    assert 'role="search"' in web.get("/search").text
    assert "Nothing was found." in web.get("/search", params={"q": "unicorns"}).text
    assert web.get("/search", params={"q": "uni\x00corns"}).status_code == 200


def test_a_preview_shows_pace_bars_and_examples(web: httpx.Client, session: Session) -> None:
    store_papers(session, [make_announcement(1, "Cats at Night")], on=THURSDAY)
    told = [make_announcement(n, f"Cats by Day {n}") for n in range(2, 5)]
    store_papers(session, told)
    page = web.get("/topics/preview", params={"q": "cats"}).text
    assert "<h1>About 2 papers a day</h1>" in page
    assert "4 papers from Thu 20 Aug to Fri 18 Sep; most on Fri 18 Sep: 3." in page
    assert page.count("<rect ") == 2
    assert page.count("<article>") == 4
    assert "<mark>Cats</mark> at Night" in page
    assert 'name="topic"' in page
    assert 'value="cats"' in page


def test_a_preview_of_the_form_keeps_what_was_typed_and_stores_nothing(
    web: httpx.Client, session: Session
) -> None:
    fields = {"email": "reader@example.org", "topic": ["cats", "dogs"], "hour": "5"}
    answer = web.post("/topics/preview", data=fields)
    assert answer.status_code == 200
    for kept in ('value="reader@example.org"', 'value="cats"', 'value="dogs"'):
        assert kept in answer.text
    assert '<option value="5" selected>' in answer.text
    assert "No papers from" in answer.text


def test_a_preview_without_a_topic_explains(web: httpx.Client) -> None:
    for answer in (web.get("/topics/preview"), web.post("/topics/preview")):
        assert answer.status_code == 200
        assert "Write one in the form" in answer.text


def test_a_faulty_topic_is_pointed_at_in_the_form(web: httpx.Client) -> None:
    answer = web.get("/topics/preview", params={"q": "cats )"})
    assert answer.status_code == 422
    assert "<code>cats <mark>)</mark></code>" in answer.text


def test_a_preview_as_json(web: httpx.Client, session: Session) -> None:
    store_papers(session, [make_announcement(1, "Cats")])
    accept = {"Accept": "application/json"}
    told = web.get("/topics/preview", params={"q": "CATS"}, headers=accept).json()
    assert told["canonical"] == "cats"
    assert (told["total"], len(told["days"])) == (1, 30)
    assert told["days"][-1] == {"on": "2026-09-18", "count": 1}
    assert told["papers"][0]["key"] == "arxiv:2609.00001"
    refused = web.get("/topics/preview", params={"q": "cats )"}, headers=accept)
    assert refused.status_code == 422
    assert refused.json()["position"] == 5


def test_the_examples_on_the_page_about_topics_can_all_be_read(web: httpx.Client) -> None:
    import re
    from html import unescape

    page = web.get("/topics").text
    examples = re.findall(r'href="(/topics/preview\?q=[^"]+)"', page)
    assert len(examples) == 13
    for address in examples:
        assert web.get(unescape(address)).status_code == 200, address


def learn(engine: Engine, settings: Settings) -> None:
    learn_meanings(make_sessions(engine), settings)


def test_a_paper_page_links_to_similar_papers(
    web: httpx.Client, session: Session, engine: Engine, settings: Settings
) -> None:
    names = ["Grasping with robot hands", "Robot hands that learn grasping", "Dark matter halos"]
    store_papers(session, [make_announcement(n, title) for n, title in enumerate(names, 1)])
    assert "Similar papers" not in web.get("/papers/arxiv:2609.00001").text
    learn(engine, settings)
    page = web.get("/papers/arxiv:2609.00001").text
    assert "Similar papers" in page
    assert 'href="/papers/arxiv:2609.00002"' in page
    assert 'href="/papers/arxiv:2609.00003"' not in page
    assert "language model" not in page


def test_a_paper_page_says_where_only_words_count(
    session: Session, engine: Engine, settings: Settings, clock: Turnable, bell: Bell
) -> None:
    lexical = settings.model_copy(update={"embedder": "none"})
    names = ["Grasping with robot hands", "Robot hands that learn grasping"]
    store_papers(session, [make_announcement(n, title) for n, title in enumerate(names, 1)])
    learn(engine, lexical)
    app = create_app(lexical, make_sessions(engine), ring=bell, clock=clock)
    with serve(app) as address:
        page = httpx.get(f"{address}/papers/arxiv:2609.00001", timeout=20).text
    assert "Similar papers" in page
    assert "No language model is set up here" in page
