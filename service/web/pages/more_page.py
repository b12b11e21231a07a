"""The page behind *More* beside a paper in a mail: everything that can be done with the paper."""

from collections.abc import Iterator
from datetime import date

from sqlalchemy.orm import Session

from service.messages.signed_links import follow_url, keep_url, less_url, vote_url
from service.papers.domain.types import PaperView
from service.platform.settings.settings import Settings
from service.presentation.sanitize import safe_url
from service.subscribers.feedback import find_matching_topic
from service.subscribers.store.models import Subscriber
from service.topics.store.topics import get_topic
from service.web.pages.change_page import ChangePage, LinkRequest, Way, offer_mutes
from service.web.pages.feedback_pages import find_paper

_MOST_AUTHORS = 5


def list_ways(
    session: Session, settings: Settings, subscriber: Subscriber, link: LinkRequest, until: date
) -> ChangePage:
    """Return the page of a paper in a mail. Raises `PageNotFound` for an unknown paper.

    What can be muted is of the topic that brought it, or else of the first that matches it today.
    """
    paper = find_paper(session, link.number)
    topic = get_topic(session, subscriber.id, link.topic_id)
    topic = topic or find_matching_topic(session, settings, subscriber, paper.id)
    offers = offer_mutes(session, settings, topic, paper, until) if topic else None
    return ChangePage(
        "What about this paper?",
        "",
        paper=paper,
        ways=tuple(_iterate_ways(paper, settings)),
        offers=offers,
    )


def _iterate_ways(paper: PaperView, settings: Settings) -> Iterator[Way]:
    yield Way("Save", keep_url("", paper.id))
    if settings.votes:
        yield Way("Vote", vote_url("", paper.id))
    yield Way("Less like this", less_url("", paper.id))
    for name in list(filter(str.strip, paper.authors))[:_MOST_AUTHORS]:
        yield Way(f"Follow {name}", follow_url("", name))
    yield Way("Similar papers", f"/papers/{paper.key}#similar")
    if code := safe_url(paper.github_url):
        yield Way("Code", code)
