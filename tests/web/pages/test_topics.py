"""Previews of a topic: volume, examples and errors; nothing is stored."""

import httpx2
from sqlalchemy import text
from sqlalchemy.orm import Session
from support.web.papers import THURSDAY, make_announcement, store_papers

from service.similarity.availability import NOT_HERE


def test_a_preview_shows_volume_chart_and_examples(web: httpx2.Client, session: Session) -> None:
    store_papers(session, [make_announcement(1, "Cats at Night")], on=THURSDAY)
    announcements = [make_announcement(n, f"Cats by Day {n}") for n in range(2, 5)]
    store_papers(session, announcements)
    page = web.get("/topics/preview", params={"q": "cats"}).text
    assert "<h1>About 2 papers a day</h1>" in page
    assert "4 papers from Thu 20 Aug to Fri 18 Sep; most on Fri 18 Sep: 3." in page
    assert page.count("<rect ") == 2
    assert page.count("<article>") == 4
    assert "<mark>Cats</mark> at Night" in page
    assert 'name="topic"' in page
    assert 'value="cats"' in page


def test_a_preview_of_the_form_keeps_its_values_and_stores_nothing(
    web: httpx2.Client, session: Session
) -> None:
    fields = {"email": "reader@example.org", "topic": ["cats", "dogs"], "hour": "5"}
    answer = web.post("/topics/preview", data=fields)
    assert answer.status_code == 200
    for part in ('value="reader@example.org"', 'value="cats"', 'value="dogs"'):
        assert part in answer.text
    assert '<option value="5" selected>' in answer.text
    assert "No papers from" in answer.text


def test_a_preview_without_a_topic_explains(web: httpx2.Client) -> None:
    for answer in (web.get("/topics/preview"), web.post("/topics/preview")):
        assert answer.status_code == 200
        assert "Write a topic in the form" in answer.text


def test_a_faulty_topic_is_pointed_at_in_the_form(web: httpx2.Client) -> None:
    answer = web.get("/topics/preview", params={"q": "cats )"})
    assert answer.status_code == 422
    assert "<code>cats <mark>)</mark></code>" in answer.text


def test_a_preview_as_json(web: httpx2.Client, session: Session) -> None:
    store_papers(session, [make_announcement(1, "Cats")])
    accept = {"Accept": "application/json"}
    preview = web.get("/topics/preview", params={"q": "CATS"}, headers=accept).json()
    assert preview["canonical"] == "cats"
    assert (preview["total"], len(preview["days"])) == (1, 30)
    assert preview["days"][-1] == {"on": "2026-09-18", "count": 1}
    assert preview["papers"][0]["key"] == "arxiv:2609.00001"
    refused = web.get("/topics/preview", params={"q": "cats )"}, headers=accept)
    assert refused.status_code == 422
    assert refused.json()["position"] == 5


def test_all_examples_on_the_topics_page_are_valid(web: httpx2.Client) -> None:
    import re
    from html import unescape

    page = web.get("/topics").text
    examples = re.findall(r'href="(/topics/preview\?q=[^"]+)"', page)
    assert len(examples) == 13
    for address in examples:
        assert web.get(unescape(address)).status_code == 200, address


def test_a_site_that_cannot_compare_texts_says_so_on_its_pages(
    web: httpx2.Client, session: Session
) -> None:
    assert "starts from a paper" in web.get("/topics").text
    session.execute(text("DROP TABLE paper_meanings"))
    session.commit()
    assert "not on this site, unless its operator adds it" in web.get("/topics").text
    for path in ("/topics/preview", "/search"):
        answer = web.get(path, params={"q": 'like:"robots that learn"'})
        assert answer.status_code == 422
        assert NOT_HERE in answer.text
    assert web.get("/search", params={"q": "robots"}).status_code == 200
