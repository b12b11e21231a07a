"""`/admin/community`: picks and notes by form, previews that store nothing, suspicious votes."""

import re
from collections.abc import Iterator
from datetime import timedelta

import httpx2
import pytest
from sqlalchemy import Engine, update
from support.newsletter.press import Press
from support.newsletter.stored import changed_tables, read_tables
from support.web.papers import FRIDAY
from support.web.server import serve
from support.web.site import EnqueuedTasks

from service.platform.database.engine import make_sessions, transaction
from service.subscribers.store.models import Consent, Subscriber
from service.subscribers.store.votes import cast_vote
from service.web.app import create_app

PASSWORD = "a long password of the operator's"
PAGE = "/admin/community"

pytestmark = pytest.mark.settings(admin_password=PASSWORD)


@pytest.fixture
def operator(press: Press, engine: Engine) -> Iterator[httpx2.Client]:
    sessions = make_sessions(engine)
    app = create_app(press.settings, sessions, enqueue=EnqueuedTasks(), clock=press.clock)
    with serve(app) as address, httpx2.Client(base_url=address, auth=("a", PASSWORD)) as client:
        yield client


def token(operator: httpx2.Client) -> str:
    found = re.search(r'name="token" value="([^"]+)"', operator.get(PAGE).text)
    assert found
    return found[1]


def test_a_pick_and_a_note_are_made_shown_and_taken_back(
    operator: httpx2.Client, press: Press, engine: Engine
) -> None:
    stored = press.add_papers(1)["arxiv:2609.00001"]
    csrf = {"token": token(operator)}
    pick = {**csrf, "address": "2609.00001", "sentence": "Clear & short."}
    assert operator.post(f"{PAGE}/pick", data={**pick, "token": "x"}).status_code >= 400
    assert operator.post(f"{PAGE}/pick", data={**pick, "address": "2609.1"}).status_code == 422
    assert "Clear &amp; short." in operator.post(f"{PAGE}/pick", data=pick).text
    assert "Clear &amp; short." in operator.get("/papers/arxiv:2609.00001").text
    tomorrow = FRIDAY + timedelta(days=1)
    note = {**csrf, "on": str(tomorrow), "cadence": ["daily", "weekly"], "text": "**Hello** <i>"}
    before = read_tables(engine)
    page = operator.post(f"{PAGE}/note", data={**note, "answer": "preview"}).text
    assert "<p><strong>Hello</strong> &lt;i&gt;</p>" in page
    mail = operator.post(f"{PAGE}/note.html", data=note)
    assert "<strong>Hello</strong> &lt;i&gt;" in mail.text
    assert "Parsing number 1" in mail.text
    assert "frame-ancestors 'self'" in mail.headers["content-security-policy"]
    assert changed_tables(before, read_tables(engine)) == set()
    saved = operator.post(f"{PAGE}/note", data={**note, "answer": "save"})
    assert "The note of 2026-09-19 is saved." in saved.text
    assert changed_tables(before, read_tables(engine)) == {"edition_notes"}
    assert "Hello" not in operator.get("/daily/2026-09-18").text
    form = operator.get(PAGE, params={"cadence": "daily", "on": str(tomorrow)}).text
    assert "**Hello** &lt;i&gt;</textarea>" in form
    today = {**note, "on": str(FRIDAY), "answer": "save"}
    operator.post(f"{PAGE}/note", data=today)
    press.add_subscribers("a@example.org")
    press.publish()
    late = operator.post(f"{PAGE}/note", data={**today, "text": "Changed"})
    assert (late.status_code, "was opened at" in late.text) == (422, True)
    assert "<strong>Hello</strong>" in operator.get("/daily/2026-09-18").text
    for name, wrong in (("on", "soon"), ("cadence", ""), ("text", "x" * 4001)):
        assert operator.post(f"{PAGE}/note", data={**note, name: wrong}).status_code == 422
    for said in ("taken back.", "Taken back already."):
        removed = operator.post(f"{PAGE}/pick", data={**csrf, "remove": str(stored)})
        assert said in removed.text


def test_votes_that_look_like_one_persons_raise_an_alarm(
    operator: httpx2.Client, press: Press
) -> None:
    paper_id = press.add_papers(1)["arxiv:2609.00001"]
    ids = press.add_subscribers(*(f"r{n}@stuffed.example" for n in range(20)))
    with transaction(press.sessions) as session:
        session.execute(update(Consent).values(page="/confirm"))
        for subscriber_id in ids:
            cast_vote(session, session.get_one(Subscriber, subscriber_id), paper_id, press.clock())
    page = operator.get(PAGE).text
    assert "20 votes count as 8.3" in page
    assert "The most, 20, are from stuffed.example." in page
    press.clock.forward(hours=25)
    assert "count as" not in operator.get(PAGE).text
