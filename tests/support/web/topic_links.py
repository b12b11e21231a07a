"""Actions of a subscriber on the pages behind a mail's links, and their topics afterwards."""

import re

import httpx2
from sqlalchemy.orm import Session

from service.subscribers.store.models import Subscriber
from service.topics.store.models import Topic
from service.topics.store.topics import list_topics

TITLES = (
    "A Survey of Retrieval",
    "Retrieval by Agents",
    "Retrieval by Lovelace",
    "Agents in a Survey of Games",
    "Games for Agents",
)


def topics_of(session: Session, subscriber: Subscriber) -> list[Topic]:
    session.rollback()
    session.expunge_all()
    return [*list_topics(session, subscriber.id)]


def texts_of(session: Session, subscriber: Subscriber) -> list[str]:
    return [topic.query for topic in topics_of(session, subscriber)]


def press(web: httpx2.Client, page: httpx2.Response, number: int = 0) -> httpx2.Response:
    """Press the button of a form on a page."""
    forms = re.findall(
        r'<form[^>]*method="post" action="([^"]*)">(.*?)</form>', page.text, re.DOTALL
    )
    action, inside = forms[number]
    fields = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', inside)
    return web.post(action, data={name: unescape(value) for name, value in fields})


def unescape(text: str) -> str:
    return text.replace("&#34;", '"').replace("&#39;", "'").replace("&amp;", "&")
