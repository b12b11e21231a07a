"""A reader's own part: by the token of a link in a header, never without one, and in no log."""

import httpx2
import structlog
from support.newsletter.press import Turnable
from support.smtp.smtp_sink import wait_until
from support.web.api import ApiReader, bearer

from service.web.api.operations import OPERATIONS, Part

ME = "/api/v1/me"


def test_the_profile_changes_only_in_what_is_sent(web: httpx2.Client, reader: ApiReader) -> None:
    before = web.get(ME, headers=reader.headers).json()
    assert (before["email"], before["state"], before["hour"]) == ("reader@example.org", "active", 7)
    changes = {
        "hour": 19, "timezone": "Asia/Tokyo", "has_empty_digests": True, "max_papers": 9,
        "weekly_topics_on": "thursday",
    }  # fmt: skip
    after = web.patch(ME, json=changes, headers=reader.headers)
    assert after.json() == {**before, **changes}
    usual = web.patch(ME, json={"max_papers": 0}, headers=reader.headers).json()
    assert usual == {**before, **changes, "max_papers": None}
    wrong = web.patch(ME, json={"timezone": "Mars"}, headers=reader.headers)
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "timezone")


def test_topics_are_replaced_and_keep_names_that_are_not_sent(
    web: httpx2.Client, reader: ApiReader
) -> None:
    def put(*topics: dict[str, str]) -> httpx2.Response:
        return web.put(f"{ME}/topics", json={"topics": topics}, headers=reader.headers)

    named = put({"query": "dogs"}, {"query": "cats", "name": "Pets"}).json()["topics"]
    assert [each["query"] for each in named] == ["dogs", "cats"]
    kept = put({"query": "cats"}).json()
    assert kept == {"topics": [{"name": "Pets", "query": "cats", "comes": "at once"}]}
    assert web.get(f"{ME}/topics", headers=reader.headers).json() == kept
    broken = put({"query": "cats"}, {"query": "(("})
    assert broken.status_code == 422
    assert broken.json()["errors"][0]["field"] == "topics.1.query"


def test_the_measure_of_a_topic_stays_with_it_wherever_it_moves(
    web: httpx2.Client, reader: ApiReader
) -> None:
    def put(*topics: dict[str, str]) -> httpx2.Response:
        return web.put(f"{ME}/topics", json={"topics": topics}, headers=reader.headers)

    put({"query": "cats", "comes": "weekly"}, {"query": "dogs", "comes": "at least 3"})
    moved = put({"query": "mice"}, {"query": "dogs"}, {"query": "cats"}).json()["topics"]
    assert [each["comes"] for each in moved] == ["at once", "at least 3", "weekly"]
    wrong = put({"query": "dogs"}, {"query": "cats", "comes": "hourly"})
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "topics.1.comes")


def test_digests_are_those_that_were_sent_by_either_token(
    web: httpx2.Client, reader: ApiReader
) -> None:
    found = [web.get(f"{ME}/digests", headers=bearer(key)) for key in (reader.token, reader.feed)]
    assert found[0].content == found[1].content
    (digest,) = found[0].json()["items"]
    assert [paper["title"] for paper in digest["sections"][0]["papers"]] == ["Cats"]
    # The weaker token opens nothing else.
    assert web.get(ME, headers=bearer(reader.feed)).status_code == 401


def test_papers_are_saved_searched_and_removed(web: httpx2.Client, reader: ApiReader) -> None:
    papers = f"{ME}/papers"
    request = {"paper": "https://arxiv.org/abs/2609.00001", "tags": ["To Read"], "note": "Mine"}
    for _ in range(2):
        saved = web.post(papers, json=request, headers=reader.headers)
        assert (saved.json()["tags"], saved.json()["note"]) == (["to read"], "Mine")
    found = web.get(papers, params={"q": "mine", "tag": "to read"}, headers=reader.headers).json()
    assert [each["paper"]["key"] for each in found["items"]] == ["arxiv:2609.00001"]
    assert web.get(papers, params={"q": "dogs"}, headers=reader.headers).json()["total"] == 0
    codes = [
        web.delete(f"{papers}/arxiv:2609.00001", headers=reader.headers).status_code
        for _ in range(2)
    ]
    assert codes == [204, 404]
    unknown = web.post(papers, json={"paper": "arxiv:1000.00001"}, headers=reader.headers)
    assert unknown.status_code == 404


def test_nothing_is_answered_without_a_whole_token(web: httpx2.Client, reader: ApiReader) -> None:
    wrong = ["x", "a.b", f"{reader.token[:-1]}!"]
    for operation in OPERATIONS:
        if operation.part is not Part.SUBSCRIBER:
            continue
        path = f"/api/v1{operation.path.format(key='arxiv:2609.00001')}"
        bodies = {"PUT": {"topics": []}, "POST": {"paper": "2609.00001"}, "PATCH": {}}
        for each in wrong:
            answer = web.request(
                operation.method, path, json=bodies.get(operation.method), headers=bearer(each)
            )
            assert answer.status_code == 401, operation.path
            assert answer.headers["www-authenticate"].startswith("Bearer")
            assert "reader@example.org" not in answer.text


def test_an_old_link_opens_nothing(web: httpx2.Client, reader: ApiReader, clock: Turnable) -> None:
    clock.forward(days=121)
    answer = web.get(ME, headers=reader.headers)
    assert answer.status_code == 401
    assert "expired" in answer.json()["detail"]


def test_answers_are_private_and_no_log_has_the_token(
    web: httpx2.Client, reader: ApiReader
) -> None:
    with structlog.testing.capture_logs() as lines:
        answers = [
            web.get(f"{ME}{path}", headers=reader.headers) for path in ("", "/topics", "/digests")
        ]
        known = {"If-None-Match": answers[0].headers["etag"]}
        answers.append(web.get(ME, headers={**reader.headers, **known}))
        # A line is written after its answer.
        wait_until(lambda: len(lines) == 4)
    assert [each.status_code for each in answers] == [200, 200, 200, 304]
    for answer in answers:
        assert answer.headers["cache-control"] == "private, no-store"
        assert "content-encoding" not in answer.headers
    assert reader.token not in str(lines)
    assert "reader@example.org" not in str(lines)
