"""Days and papers as Markdown: what CommonMark shows is what the page shows, and no text is markup."""

import httpx2
from sqlalchemy.orm import Session
from support.web.papers import FRIDAY, make_announcement, store_papers

from service.web.views.markdown import escape

TITLE = "*Cats* & <b>dogs</b> [1](http://evil.example) `x` a_b_c"


def test_a_day_and_a_paper_come_as_markdown(web: httpx2.Client, session: Session) -> None:
    authors = ("Ada *Lovelace*",)
    store_papers(session, [make_announcement(1, TITLE, authors=authors)])
    day = web.get(f"/daily/{FRIDAY}.md")
    paper = web.get("/papers/2609.00001v1.md")
    for answer in (day, paper):
        assert answer.headers["content-type"] == "text/markdown; charset=utf-8"
        assert (
            r"\*Cats\* \& \<b\>dogs\</b\> \[1\](http://evil.example) \`x\` a\_b\_c" in answer.text
        )
        assert r"Ada \*Lovelace\*" in answer.text
        assert "<https://arxiv.org/abs/2609.00001>" in answer.text
        known = {"If-None-Match": answer.headers["etag"]}
        assert web.get(answer.url.path, headers=known).status_code == 304
    assert day.text.startswith("# New papers, Friday 18 September 2026\n")
    assert [web.get(f"/{path}.md").status_code for path in ("daily/2026-02-30", "papers/x")] == [
        404,
        404,
    ]


def test_the_beginning_of_a_line_is_no_markup() -> None:
    for text, escaped in (
        ("# no heading", r"\# no heading"),
        ("- no\n- list", r"\- no - list"),
        ("1. no list", r"1\. no list"),
        ("2026) no list", r"2026\) no list"),
        ("=====", r"\====="),
        ("C++ and 3.14", "C++ and 3.14"),
    ):
        assert escape(text) == escaped
