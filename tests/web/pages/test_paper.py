"""The page of a paper: metadata, versions, similar papers, and redirects to its key."""

from dataclasses import replace

import httpx2
import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session
from support.newsletter.press import Turnable
from support.web.papers import THURSDAY, make_announcement, store_papers, upvoted
from support.web.server import serve
from support.web.site import EnqueuedTasks

from service.papers.domain.types import AnnounceType
from service.platform.database.engine import make_sessions
from service.platform.settings.settings import Settings
from service.similarity.embed_papers import learn_meanings
from service.web.app import create_app


def test_a_paper_page_shows_all_metadata(web: httpx2.Client, session: Session) -> None:
    announcement = make_announcement(
        1,
        "Cats & Dogs",
        abstract="First paragraph.\n\nSecond\nparagraph.",
        categories=("cs.CL", "cs.LG"),
        comment="12 pages",
        doi="10.1000/x<y",
        journal_ref="Journal of Cats 3",
        signals=upvoted(31, "https://github.com/example/cats"),
    )
    store_papers(session, [announcement])
    page = web.get("/papers/arxiv:2609.00001").text
    assert '<h1 dir="auto">Cats &amp; Dogs</h1>' in page
    assert "Ada Lovelace, Grace Hopper" in page
    assert '<p class="sum" dir="auto">Second paragraph.</p>' in page
    assert "Computation and Language</a>" in page
    assert 'href="https://arxiv.org/pdf/2609.00001"' in page
    assert 'href="https://github.com/example/cats"' in page
    assert 'href="https://doi.org/10.1000/x%3Cy"' in page
    assert "18 September 2026</a>, new in Computation and Language" in page
    for text in ("12 pages", "Journal of Cats 3", "upvotes on Hugging Face", "Read on arXiv"):
        assert text in page
    assert "Versions" not in page


def test_a_replaced_paper_shows_its_versions(web: httpx2.Client, session: Session) -> None:
    first = make_announcement(1, "Cats")
    store_papers(session, [first], on=THURSDAY)
    second = replace(first, version=2, announce_type=AnnounceType.REPLACE, is_withdrawn=True)
    store_papers(session, [second])
    page = web.get("/papers/arxiv:2609.00001").text
    first_version = '<a href="https://arxiv.org/abs/2609.00001v1">1</a> (17 September 2026), '
    assert f'{first_version}<a href="https://arxiv.org/abs/2609.00001v2">2</a> (18' in page
    assert "updated in Computation and Language, version 2" in page
    assert "withdrawn by its authors" in page


def test_a_paper_without_a_safe_address_is_not_linked(web: httpx2.Client, session: Session) -> None:
    store_papers(session, [make_announcement(1, "Cats", url="javascript:alert(1)")])
    page = web.get("/papers/arxiv:2609.00001").text
    assert "javascript:" not in page
    assert '<a class="button"' not in page


@pytest.mark.parametrize(
    ("spelling", "key"),
    [
        ("2609.00001v2", "arxiv:2609.00001"),
        ("arxiv:2609.00001v1", "arxiv:2609.00001"),
        ("math.CA/0611800v2", "arxiv:math/0611800"),
    ],
)
def test_other_spellings_of_a_key_redirect_to_the_paper(
    web: httpx2.Client, spelling: str, key: str
) -> None:
    answer = web.get(f"/papers/{spelling}", follow_redirects=False)
    assert answer.status_code == 301
    assert answer.headers["location"] == f"/papers/{key}"


@pytest.mark.parametrize("key", ["arxiv:2609.99999", "nonsense", "a%00b", "%ff", "//evil.example"])
def test_an_unknown_paper_is_a_404_page(web: httpx2.Client, key: str) -> None:
    answer = web.get(f"/papers/{key}")
    assert answer.status_code == 404
    assert "We do not know this paper" in answer.text


def learn(engine: Engine, settings: Settings) -> None:
    learn_meanings(make_sessions(engine), settings)


def test_a_paper_page_links_to_similar_papers(
    web: httpx2.Client, session: Session, engine: Engine, settings: Settings
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


def test_a_paper_page_says_where_no_language_model_is_set_up(
    session: Session, engine: Engine, settings: Settings, clock: Turnable, enqueued: EnqueuedTasks
) -> None:
    lexical = settings.model_copy(update={"embedder": "none"})
    names = ["Grasping with robot hands", "Robot hands that learn grasping"]
    store_papers(session, [make_announcement(n, title) for n, title in enumerate(names, 1)])
    learn(engine, lexical)
    app = create_app(lexical, make_sessions(engine), enqueue=enqueued, clock=clock)
    with serve(app) as address:
        page = httpx2.get(f"{address}/papers/arxiv:2609.00001", timeout=20).text
    assert "Similar papers" in page
    assert "No language model is set up here" in page
