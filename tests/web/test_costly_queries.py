"""Strangers ask as much as they can of a real process; pages without a query answer all the while."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path
from threading import Event

import httpx2
import pytest
from sqlalchemy.orm import Session, sessionmaker
from support.web.papers import make_announcement, store_papers
from support.web.process import running
from support.web.site import Subscribers

from service.deliveries.domain.recipients import SubscriberState
from service.papers.domain.announcement_days import announcement_date
from service.platform.settings.settings import Settings
from service.platform.signing.tokens import Purpose, make_token, sign_token
from service.similarity.embed_papers import learn_meanings
from service.subscribers.store.models import Subscriber

KEY = "a-key-of-this-test-alone"
PATHS = ("/search", "/topics/preview", "/topics/preview/live", "/feeds/search.atom")
# Before there were limits, all pages stood still for more than a minute.
GENEROUS_SECONDS = 15.0
WORDS = ("graph", "agent", "retrieval", "vision", "speech", "proof", "robot", "planning")


def hostile_text(number: int) -> str:
    """Return a short topic with 150 texts to compare with, different from every other's."""
    return " ".join(f"like:{WORDS[n % 8]}{number}x{n}" for n in range(150))


def costliest_text(number: int) -> str:
    """Return a topic that is admitted, of the greatest size: no paper has all, so many are tried."""
    likes = " ".join(f'like:"{" ".join(WORDS)} {number} {n}"' for n in range(3))
    phrases = " ".join(f'"{WORDS[n % 8]} qzk{number}w{n} mispelt{n} wrod{n}"' for n in range(57))
    return f"{likes} {phrases}"


@pytest.fixture
def site(
    session: Session, sessions: sessionmaker[Session], settings: Settings, tmp_path: Path
) -> Iterator[str]:
    """Serve 1,500 embedded papers, which is enough for a snapshot and for scored texts."""
    announcements = [
        make_announcement(
            n, f"{WORDS[n % 8]} for {WORDS[n // 8 % 8]} {n}", abstract=" ".join(WORDS)
        )
        for n in range(1, 1_501)
    ]
    store_papers(session, announcements, announcement_date(datetime.now(UTC)))
    learn_meanings(sessions, settings)
    with running(settings, tmp_path / "log", SECRET_KEY=KEY) as address:
        yield address


def test_pages_without_a_query_answer_while_costly_queries_run(
    site: str, subscribers: Subscribers, session: Session
) -> None:
    people = [subscribers.add(f"person{n}@example.org", is_confirmed=False) for n in range(20)]
    is_over = Event()

    def attack(number: int) -> list[httpx2.Response]:
        path = PATHS[number % len(PATHS)]
        with httpx2.Client(base_url=site, timeout=120) as client:
            texts = (hostile_text(number), costliest_text(number))
            return [client.get(path, params={"q": text}) for text in texts]

    def visit() -> list[httpx2.Response]:
        answers: list[httpx2.Response] = []
        with httpx2.Client(base_url=site, timeout=120) as client:
            for person in cycle(people):
                links = [
                    sign_token(make_token(purpose, person, datetime.now(UTC)), (KEY,))
                    for purpose in (Purpose.CONFIRM, Purpose.UNSUBSCRIBE)
                ]
                answers += [
                    client.get("/"),
                    client.get("/healthz"),
                    client.get(f"/confirm/{links[0]}"),
                    client.post(f"/confirm/{links[0]}")
                    if person.id not in confirmed
                    else answers[0],
                    client.post(f"/unsubscribe/{links[1]}"),
                ]
                confirmed.add(person.id)
                if is_over.is_set():
                    return answers
        return answers

    confirmed: set[int] = set()
    with ThreadPoolExecutor(61) as pool:
        visiting = pool.submit(visit)
        attacks = [answer for each in pool.map(attack, range(60)) for answer in each]
        is_over.set()
        visited = visiting.result()
    assert {answer.status_code for answer in visited} == {200}
    assert len(visited) >= 10
    assert max(answer.elapsed.total_seconds() for answer in visited) < GENEROUS_SECONDS
    statuses = {answer.status_code for answer in attacks}
    assert statuses <= {200, 422, 429, 503}
    assert 200 in statuses
    refused = [answer for answer in attacks if answer.status_code in {429, 503}]
    assert all(int(answer.headers["retry-after"]) > 0 for answer in refused)
    session.rollback()
    session.expire_all()
    states = {session.get_one(Subscriber, each).state for each in confirmed}
    assert states == {SubscriberState.UNSUBSCRIBED}


def test_the_costliest_query_that_is_admitted_is_answered(site: str) -> None:
    """Nobody is refused who is alone, however much they ask within the limits."""
    with httpx2.Client(base_url=site, timeout=120) as client:
        for number, path in enumerate(PATHS):
            assert client.get(path, params={"q": costliest_text(number)}).status_code == 200
        for path in PATHS:
            answer = client.get(path, params={"q": hostile_text(0)})
            assert answer.status_code == (200 if path.endswith("live") else 422)
            assert (
                "A topic has at most 60 words, phrases and fields; this one has 150" in answer.text
            )
