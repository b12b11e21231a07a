"""Citing a paper: its page's tags and BibTeX, and the files beside it."""

import json
import re

import httpx2
import pytest
import rispy
from bibtexparser.entrypoint import parse_string
from sqlalchemy.orm import Session
from support.web.papers import make_announcement, store_papers, upvoted


@pytest.fixture
def page(web: httpx2.Client, session: Session) -> str:
    announcement = make_announcement(
        1,
        'Cats & "Dogs"',
        comment="12 pages. Accepted at CatConf 2026 (oral). Project page: https://cats.example.org/x",
        signals=upvoted(3, "https://github.com/example/cats"),
    )
    store_papers(session, [announcement])
    return web.get("/papers/arxiv:2609.00001").text


def test_a_paper_page_has_the_tags_that_reference_managers_read(page: str) -> None:
    head = page.partition("</head>")[0]
    tags = re.findall(r'<meta name="(citation_\w+)" content="([^"]*)">', head)
    assert ("citation_title", "Cats &amp; &#34;Dogs&#34;") in tags
    assert [text for name, text in tags if name == "citation_author"] == [
        "Lovelace, Ada", "Hopper, Grace"
    ]  # fmt: skip
    assert ("citation_publication_date", "2026/09/18") in tags
    assert ("citation_arxiv_id", "2609.00001") in tags
    assert ("citation_pdf_url", "https://arxiv.org/pdf/2609.00001") in tags


def test_a_paper_page_says_what_its_authors_say(page: str) -> None:
    assert "Accepted at CatConf 2026 (oral) <span" in page
    assert '<a href="https://cats.example.org/x" rel="nofollow">Project page</a>' in page
    assert '<a href="https://github.com/example/cats" rel="nofollow">Code</a>' in page
    assert '<a href="https://arxiv.org/html/2609.00001">HTML</a>' in page


def test_a_paper_is_cited_and_passed_on_without_a_script(web: httpx2.Client, page: str) -> None:
    bibtex = re.search(r"<pre[^>]*>(.*?)</pre>", page, re.DOTALL)
    assert bibtex
    assert bibtex[1].startswith("@misc{lovelace2026cats,\n")
    assert "abstract" not in bibtex[1]
    assert 'readonly value="http://127.0.0.1:8000/papers/arxiv:2609.00001"' in page
    assert 'href="mailto:?subject=Cats%20%26%20%22Dogs%22&amp;body=http%3A%2F%2F127' in page
    assert page.count("<script") == 0
    for path in re.findall(r'href="(/papers/arxiv:2609\.00001\.[a-z.]+)"', page):
        assert web.get(path).status_code == 200, path


def test_each_format_is_a_file_of_its_own(web: httpx2.Client, page: str) -> None:
    (entry,) = parse_string(web.get("/papers/arxiv:2609.00001.bib").text).entries
    assert (entry.key, entry["eprint"]) == ("lovelace2026cats", "2609.00001")
    assert "abstract" in entry.fields_dict
    ris = web.get("/papers/arxiv:2609.00001.ris")
    assert rispy.loads(ris.text)[0]["title"] == 'Cats & "Dogs"'
    assert ris.headers["content-disposition"] == 'attachment; filename="lovelace2026cats.ris"'
    assert ris.headers["content-type"].startswith("application/x-research-info-systems")
    (item,) = json.loads(web.get("/papers/arxiv:2609.00001.csl.json").text)
    assert item["DOI"] == "10.48550/arXiv.2609.00001"


@pytest.mark.parametrize("key", ["arxiv:2609.99999", "x", "a%00b", "../etc"])
def test_there_is_no_citation_of_an_unknown_paper(web: httpx2.Client, key: str) -> None:
    for form in ("bib", "ris", "csl.json"):
        assert web.get(f"/papers/{key}.{form}").status_code == 404


def test_the_page_of_a_large_collaboration_stays_small(
    web: httpx2.Client, session: Session
) -> None:
    authors = tuple(f"Ada B. Collaborator-Number-{n}" for n in range(3_000))
    store_papers(session, [make_announcement(1, "Cats", authors=authors)])
    page = web.get("/papers/arxiv:2609.00001")
    assert len(page.content) < 100_000
    assert "Collaborator-Number-199 and 2,800 more</p>" in page.text
    assert "and others}" in page.text
    assert "Number-2999" in web.get("/papers/arxiv:2609.00001.bib").text
