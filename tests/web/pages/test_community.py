"""Votes and submissions on pages: GET changes nothing, POST does, and what is off shows nothing."""

import re

import httpx2
import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session
from support.newsletter.press import PlannedTransport, Press, Turnable, plain_text
from support.newsletter.stored import changed_tables, read_tables
from support.web.papers import make_announcement, store_papers
from support.web.site import EnqueuedTasks, Subscribers

from service.papers.store.votes import record_pick
from service.sending.deliver import deliver
from service.subscribers.store.models import Subscriber
from service.subscribers.store.subscribers import get_subscriber

OFF = pytest.mark.settings(votes=False, submissions=False, picks=False)


@pytest.fixture
def paper(session: Session, clock: Turnable) -> int:
    ids = store_papers(session, [make_announcement(1, "Cats sleep")])
    record_pick(session, ids["arxiv:2609.00001"], "Read <it>.", clock())
    session.commit()
    return ids["arxiv:2609.00001"]


def heading(page: httpx2.Response) -> str:
    (found,) = re.findall(r"<h1>(.*?)</h1>", page.text)
    return str(found)


def test_a_link_asks_a_button_votes_and_undo_takes_it_back(
    *, web: httpx2.Client, engine: Engine, clock: Turnable, paper: int, change: str
) -> None:
    wanted = {"vote": str(paper)}
    too_early = web.get(change, params=wanted)
    assert (too_early.status_code, heading(too_early)) == (200, "You cannot vote yet")
    # In the reader's own time.
    assert "You can vote from Saturday 19 September 2026, 07:00 (Berlin time) on" in too_early.text
    refused = web.post(change, data=wanted)
    assert (refused.status_code, "07:00 (Berlin time)" in refused.text) == (409, True)
    clock.forward(hours=24)
    before = read_tables(engine)
    for _ in range(3):
        question = web.get(change, params=wanted)
        assert heading(question) == "Vote for this paper?"
    assert web.head(change, params=wanted).status_code == 200
    assert changed_tables(before, read_tables(engine)) == set()
    assert "?vote=" in web.get(change, params={"more": str(paper)}).text
    for _ in range(2):
        assert heading(web.post(change, data=wanted)) == "Your vote counts"
    assert changed_tables(before, read_tables(engine)) == {"votes"}
    assert heading(web.get(change, params=wanted)) == "You voted for this paper"
    for path in ("/daily/2026-09-18", "/papers/arxiv:2609.00001"):
        page = web.get(path).text
        assert "1 vote<" in page, path
        assert "choice:</b> Read &lt;it&gt;." in page, path
    undone = web.post(f"{change}/undo", data={"voted": str(paper)})
    assert (heading(undone), "taken back" in undone.text) == ("Undone", True)
    assert heading(web.post(f"{change}/undo", data={"voted": str(paper)})) == "Nothing to undo"
    assert "1 vote<" not in web.get("/papers/arxiv:2609.00001").text


def test_the_preferences_vote_by_address_and_take_submissions(
    *, web: httpx2.Client, clock: Turnable, enqueued: EnqueuedTasks, paper: int, link: str
) -> None:
    page = f"{link}/community"
    assert f'href="{page}"' in web.get(link).text
    assert "You can vote from" in web.post(f"{page}/vote", data={"address": "2609.00001"}).text
    clock.forward(hours=24)
    address = f"{web.base_url}/papers/arxiv:2609.00001"
    assert "Your vote counts." in web.post(f"{page}/vote", data={"address": address}).text
    again = web.post(f"{page}/vote", data={"address": "2609.00001v2"})
    assert "You voted for this paper before" in again.text
    taken = web.post(f"{page}/vote", data={"paper": str(paper), "withdraw": "yes"})
    assert "Your vote is taken back." in taken.text
    unknown = web.post(f"{page}/vote", data={"address": "2609.00002"})
    assert (unknown.status_code, "you can submit it" in unknown.text) == (422, True)

    def submit(text: str) -> httpx2.Response:
        return web.post(f"{page}/submit", data={"address": text})

    assert "This paper is here already." in submit("2609.00001").text
    assert "Submitted." in submit("https://arxiv.org/abs/2609.00002v1").text
    assert "submitted from your mailbox before" in submit("2609.00002").text
    assert [task for task in enqueued.tasks if task[0] == "settle_submissions"] == [
        ("settle_submissions",)
    ]
    wrong = submit("<b>cats</b>")
    assert (wrong.status_code, "&lt;b&gt;cats" in wrong.text) == (422, True)
    for number in range(3, 7):
        submit(f"2609.0000{number}")
    full = submit("2609.00009")
    assert full.status_code == 422
    assert (
        "You can submit the next one from Sunday 20 September 2026, 07:00 (Berlin time)"
        in full.text
    )
    assert web.get(page).text.count("waiting for its source") == 5


@OFF
def test_what_is_switched_off_is_shown_nowhere_and_refused(
    *, web: httpx2.Client, clock: Turnable, paper: int, change: str, link: str
) -> None:
    clock.forward(hours=24)
    for path in ("/daily/2026-09-18", "/papers/arxiv:2609.00001", link, f"{change}?more={paper}"):
        page = web.get(path).text.lower()
        assert not re.search(r"\bvotes?\b|submission|editor’s choice", page), path
    refused = web.post(change, data={"vote": str(paper)})
    assert (refused.status_code, "switched off" in refused.text) == (409, True)
    assert web.get(f"{link}/community").status_code == 404
    for form in ("vote", "submit"):
        answer = web.post(f"{link}/community/{form}", data={"address": "2609.00001"})
        assert answer.status_code == 404


def test_those_who_left_neither_vote_nor_submit(
    *,
    web: httpx2.Client,
    session: Session,
    subscribers: Subscribers,
    subscriber: Subscriber,
    clock: Turnable,
    paper: int,
    link: str,
) -> None:
    clock.forward(hours=24)
    web.post(link, data={"action": "unsubscribe"})
    left = subscribers.reread(subscriber)
    assert left is not None
    assert get_subscriber(session, left.id) is not None
    for form in ("vote", "submit"):
        answer = web.post(f"{link}/community/{form}", data={"address": "2609.00009"})
        assert answer.status_code == 410


def test_a_papers_page_mails_a_link_that_votes_for_it(
    *, web: httpx2.Client, press: Press, subscriber: Subscriber, clock: Turnable, paper: int
) -> None:
    clock.forward(hours=24)
    (way,) = re.findall(r'href="(/link\?vote=[^"]+)"', web.get("/papers/arxiv:2609.00001").text)
    form = web.get(way).text
    assert "Cats sleep" in form
    fields = dict(re.findall(r'name="(token|vote)" value="([^"]+)"', form))
    answer = web.post("/link", data={**fields, "email": "reader@example.org"})
    unknown = web.post("/link", data={**fields, "email": "nobody@example.org"})
    assert (answer.status_code, answer.text) == (200, unknown.text)
    transport = PlannedTransport()
    deliver(press.sender(transport))
    (mail,) = [
        plain_text(one.payload) for one in transport.sent if "vote" in plain_text(one.payload)
    ]
    assert "“Cats sleep”" in mail
    (url,) = re.findall(r"/change/\S+\?vote=\d+", mail)
    assert heading(web.get(url)) == "Vote for this paper?"
    path, _, number = url.partition("?vote=")
    assert heading(web.post(path, data={"vote": number})) == "Your vote counts"
    assert subscriber.id
