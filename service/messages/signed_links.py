"""The signed links in mails; each lets its holder do one thing."""

from datetime import datetime
from urllib.parse import quote

from service.messages.contexts.digest import PaperLinks, SubscriberLinks
from service.papers.domain.types import PaperView
from service.platform.settings.settings import Settings
from service.platform.signing.tokens import Purpose, Token, sign_token, sign_tokens

_PATHS = {
    Purpose.CONFIRM: "confirm",
    Purpose.UNSUBSCRIBE: "unsubscribe",
    Purpose.PREFERENCES: "preferences",
    Purpose.NEVER: "never",
    Purpose.EDITION: "editions",
    Purpose.CHANGE: "change",
    Purpose.ADDRESS: "address",
}
# The purposes of the links in a digest's footer.
_SUBSCRIBERS_OWN = (Purpose.PREFERENCES, Purpose.UNSUBSCRIBE, Purpose.CHANGE)
_SUBSCRIBERS_PATHS = tuple(_PATHS[purpose] for purpose in _SUBSCRIBERS_OWN)


def signed_url(
    settings: Settings, purpose: Purpose, subject: int, issued_at: datetime, detail: str = ""
) -> str:
    """Return a signed link for one purpose and one row: the same arguments, the same link."""
    token = sign_token(Token(purpose, subject, issued_at, detail), settings.secret_key)
    return f"{settings.base_url}/{_PATHS[purpose]}/{token}"


def subscriber_links(
    settings: Settings, subscriber_id: int, delivery_id: int, issued_at: datetime
) -> SubscriberLinks:
    """Return the subscriber's signed links of a digest."""
    base, keys = settings.base_url, settings.secret_key
    tokens = sign_tokens(_SUBSCRIBERS_OWN, subscriber_id, issued_at, keys)
    preferences, unsubscribe, change = (
        f"{base}/{path}/{token}" for path, token in zip(_SUBSCRIBERS_PATHS, tokens, strict=True)
    )
    return SubscriberLinks(
        preferences=preferences,
        unsubscribe=unsubscribe,
        pause=f"{preferences}#pause",
        browser=signed_url(settings, Purpose.EDITION, delivery_id, issued_at),
        home=f"{base}/",
        change=change,
        also_off=suggestions_off_url(change),
    )


def paper_links(settings: Settings, paper: PaperView) -> PaperLinks:
    """Return a paper's links: to its source, never to a copy of ours (arXiv's terms of use)."""
    here = f"{settings.base_url}/papers/{paper.key}"
    pdf = paper.url.replace("/abs/", "/pdf/") if "/abs/" in paper.url else ""
    author = next((name for name in paper.authors if name.strip()), "")
    return PaperLinks(
        abstract=paper.url or here,
        pdf=pdf,
        similar=f"{here}#similar",
        keep=keep_url("", paper.id),
        less=less_url("", paper.id),
        follow=follow_url("", author) if author else "",
    )


def mute_url(base: str, topic_id: int, word: str, paper_id: int = 0) -> str:
    """Return the link that excludes papers with `word` from a topic; `paper_id` had the link."""
    paper = f"&paper={paper_id}" if paper_id else ""
    return f"{base}?topic={topic_id}&mute={quote(word, safe='')}{paper}"


def follow_url(base: str, author: str) -> str:
    """Return the link that adds a topic for this author's papers."""
    return f"{base}?follow={quote(author, safe='')}"


def less_url(base: str, paper_id: int) -> str:
    """Return the link for fewer papers like this one."""
    return f"{base}?less={paper_id}"


def keep_url(base: str, paper_id: int) -> str:
    """Return the link that saves a paper."""
    return f"{base}?keep={paper_id}"


def suggestions_off_url(base: str) -> str:
    """Return the link that switches suggestions off."""
    return f"{base}?also=off"
