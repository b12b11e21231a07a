"""A subscriber with two topics, five papers, and the base path of links in mails."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session
from support.newsletter.stored import list_uncompiled
from support.web.papers import THURSDAY, make_announcement, store_papers
from support.web.site import Subscribers
from support.web.topic_links import TITLES

from service.platform.signing.tokens import Purpose
from service.subscribers.store.models import Subscriber


@pytest.fixture(autouse=True)
def _every_topic_is_compiled(engine: Engine) -> Iterator[None]:
    yield
    assert list_uncompiled(engine) == []


@pytest.fixture
def papers(session: Session) -> dict[str, int]:
    """Return paper ids by title."""
    announcements = [make_announcement(number, title) for number, title in enumerate(TITLES, 1)]
    ids = store_papers(session, announcements, THURSDAY)
    return {paper.title: ids[paper.key] for paper in announcements}


@pytest.fixture
def subscriber(subscribers: Subscribers) -> Subscriber:
    return subscribers.add("reader@example.org", "Retrieval OR agents", '"Prompt  Tuning"')


@pytest.fixture
def base(subscribers: Subscribers, subscriber: Subscriber) -> str:
    """Return the base path of the links in a mail."""
    return f"/change/{subscribers.token(Purpose.CHANGE, subscriber.id)}"
