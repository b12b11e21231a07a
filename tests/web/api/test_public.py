"""Days, papers, search, previews, topics and sign-up as JSON."""

import httpx2
import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from support.newsletter.press import Turnable
from support.web.papers import FRIDAY, THURSDAY, make_announcement, store_papers, upvoted

from service.subscribers.store.mail_requests import insert_mail_request
from service.subscribers.store.models import Subscriber
from service.web.core.mail_gate import BUDGET, KEPT_FOR_VISITORS


@pytest.fixture(autouse=True)
def _papers(session: Session) -> None:
    many = [make_announcement(number, f"Cats number {number}") for number in range(1, 46)]
    store_papers(session, [*many, make_announcement(99, "Dogs", signals=upvoted(3))])
    store_papers(session, [make_announcement(100, "Older dogs")], on=THURSDAY)


def test_a_day_comes_in_pages_that_link_to_each_other(web: httpx2.Client) -> None:
    first = web.get("/api/v1/days/latest")
    body = first.json()
    assert (body["on"], body["total"], body["pages"]) == (str(FRIDAY), 46, 2)
    assert body["items"][0]["title"] == "Dogs"
    assert body["earlier"] == str(THURSDAY)
    assert first.headers["link"] == '</api/v1/days/latest?page=2>; rel="next"'
    second = web.get(body["next"])
    assert len(body["items"]) + len(second.json()["items"]) == 46
    assert 'rel="prev"' in second.headers["link"]


def test_a_day_that_is_none_is_a_problem(web: httpx2.Client) -> None:
    for day, status in (("2026-02-30", 404), ("2026-09-25", 404), ("yesterday", 422)):
        answer = web.get(f"/api/v1/days/{day}")
        assert answer.status_code == answer.json()["status"] == status
        assert answer.headers["content-type"] == "application/problem+json"


def test_a_paper_is_found_by_its_key_and_by_its_identifier(web: httpx2.Client) -> None:
    found = web.get("/api/v1/papers/arxiv:2609.00099").json()
    assert found == web.get("/api/v1/papers/2609.00099v1").json()
    assert (found["title"], found["upvotes"], found["version"]) == ("Dogs", 3, 1)
    assert found["announcements"][0]["on"] == str(FRIDAY)
    assert web.get("/api/v1/papers/arxiv:nothing/here").status_code == 404


def test_an_answer_that_the_client_has_is_not_sent_again(web: httpx2.Client) -> None:
    first = web.get("/api/v1/papers/arxiv:2609.00001")
    again = web.get(
        "/api/v1/papers/arxiv:2609.00001", headers={"If-None-Match": first.headers["etag"]}
    )
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    assert first.headers["cache-control"] == "public, max-age=60"


def test_search_finds_what_the_page_finds_and_keeps_the_query_in_its_links(
    web: httpx2.Client,
) -> None:
    found = web.get("/api/v1/search", params={"q": "cats", "page": 2})
    body = found.json()
    assert (body["total"], body["page"], body["pages"]) == (45, 2, 3)
    assert body["next"] == "/api/v1/search?q=cats&page=3"
    assert 'rel="prev"' in found.headers["link"]


def test_a_broken_topic_is_a_problem_with_its_place(web: httpx2.Client) -> None:
    for address in ("search", "preview"):
        answer = web.get(f"/api/v1/{address}", params={"q": "cats ("})
        assert answer.status_code == 422
        (fault,) = answer.json()["errors"]
        assert (fault["field"], fault["position"]) == ("q", 5)


def test_a_preview_counts_thirty_days(web: httpx2.Client) -> None:
    found = web.get("/api/v1/preview", params={"q": "dogs"}).json()
    assert (found["total"], len(found["days"]), found["canonical"]) == (2, 30, "dogs")
    assert found["papers"][0]["title"] == "Dogs"


def test_costly_queries_take_the_tokens_that_pages_take(web: httpx2.Client) -> None:
    # Each costs 180 of the 1,000 tokens a minute, whichever of the two doors it goes through.
    query = " OR ".join(f"word{n}*" for n in range(40))
    answers = [
        web.get("/search" if n % 2 else "/api/v1/search", params={"q": query}) for n in range(9)
    ]
    refused = [each for each in answers if each.status_code == 429]
    assert refused
    body = web.get("/api/v1/search", params={"q": query})
    assert (body.status_code, body.json()["status"]) == (429, 429)
    assert int(body.headers["retry-after"]) > 0


def test_ready_topics_can_be_searched_for(web: httpx2.Client) -> None:
    fields = web.get("/api/v1/topics").json()["fields"]
    query = fields[0]["topics"][0]["query"]
    assert web.get("/api/v1/search", params={"q": query}).status_code == 200


def test_a_sign_up_waits_for_its_confirmation(web: httpx2.Client, session: Session) -> None:
    answers = [
        web.post(
            "/api/v1/subscriptions",
            json={"email": "New@example.org", "topics": [{"query": "cats", "name": "Pets"}]},
        )
        for _ in range(2)
    ]
    # The same for an address that is known.
    assert [each.status_code for each in answers] == [202, 202]
    assert answers[0].json() == answers[1].json()
    (found,) = session.scalars(select(Subscriber))
    assert (found.email, found.state.value) == ("New@example.org", "pending")


def test_a_wrong_sign_up_says_what_is_wrong_field_by_field(web: httpx2.Client) -> None:
    wrong = {"email": "nobody", "topics": [{"query": "cats"}, {"query": "("}], "timezone": "Mars"}
    answer = web.post("/api/v1/subscriptions", json=wrong)
    assert answer.status_code == 422
    fields = {fault["field"] for fault in answer.json()["errors"]}
    assert fields == {"email", "topics.1.query", "timezone"}


def test_programs_sign_up_a_few_addresses_an_hour(
    web: httpx2.Client, session: Session, clock: Turnable
) -> None:
    # As if other addresses had used up what programs may have of the budget of all.
    for number in range(BUDGET - KEPT_FOR_VISITORS):
        insert_mail_request(session, f"r{number}@d{number}.example", clock())
    session.commit()
    answer = web.post("/api/v1/subscriptions", json={"email": "new@example.org"})
    assert answer.status_code == 429
    assert "form on the site" in answer.json()["detail"]
    assert int(answer.headers["retry-after"]) > 0
