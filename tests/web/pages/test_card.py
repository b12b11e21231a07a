"""The picture beside a link to a paper's page, and the tags that name it."""

import html
import re
from dataclasses import replace

import httpx2
from sqlalchemy.orm import Session
from support.web.papers import make_announcement, store_papers

from service.papers.domain.types import AnnounceType

TITLE = 'Cats & "Dogs" <b>10⁻¹⁶</b>'
CARD = "/papers/arxiv:2609.00001/card.png"


def test_a_paper_page_names_its_picture(web: httpx2.Client, session: Session) -> None:
    store_papers(session, [make_announcement(1, TITLE)])
    head = web.get("/papers/arxiv:2609.00001").text.partition("</head>")[0]
    tags = {
        name: html.unescape(content)
        for name, content in re.findall(
            r'<meta (?:property|name)="((?:og|twitter):[\w:]+)" content="([^"]*)">', head
        )
    }
    page = "http://127.0.0.1:8000/papers/arxiv:2609.00001"
    assert tags["og:title"] == TITLE
    assert (tags["og:url"], tags["og:image"]) == (page, f"{page}/card.png")
    assert (tags["og:image:width"], tags["og:image:height"]) == ("1200", "630")
    assert tags["og:image:alt"] == f"{TITLE}, by Ada Lovelace and 1 more, 18 September 2026"
    assert tags["twitter:card"] == "summary_large_image"
    assert tags["og:description"].startswith("We study")
    answer = web.get(CARD)
    assert answer.headers["content-type"] == "image/png"
    assert answer.content.startswith(b"\x89PNG\r\n")


def test_the_picture_is_answered_with_304_until_the_paper_says_something_else(
    web: httpx2.Client, session: Session
) -> None:
    paper = make_announcement(1, "Cats")
    store_papers(session, [paper])
    first = web.get(CARD)
    assert first.headers["cache-control"] == "public, max-age=86400"
    known = {"If-None-Match": first.headers["etag"]}
    unchanged = web.get(CARD, headers=known)
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert web.head(CARD).status_code == 200
    revised = replace(paper, title="Dogs", version=2, announce_type=AnnounceType.REPLACE)
    store_papers(session, [revised])
    changed = web.get(CARD, headers=known)
    assert changed.status_code == 200
    assert changed.content != first.content


def test_there_is_no_picture_of_an_unknown_paper(web: httpx2.Client) -> None:
    for key in ("arxiv:2609.99999", "x", "a%00b", "../etc", "x" * 3000):
        assert web.get(f"/papers/{key}/card.png").status_code == 404
