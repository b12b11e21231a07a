"""The signed links in mails; each lets its holder do one thing."""

import re
from datetime import datetime
from urllib.parse import quote

from service.messages.contexts.digest import PaperLinks, SubscriberLinks
from service.papers.domain.types import PaperView
from service.platform.caches import cached
from service.platform.settings.settings import Settings
from service.platform.signing.tokens import (
    LinkHolder,
    Purpose,
    Token,
    make_token,
    sign_token,
    sign_tokens,
)

_PATHS = {
    Purpose.CONFIRM: "confirm",
    Purpose.UNSUBSCRIBE: "unsubscribe",
    Purpose.PREFERENCES: "preferences",
    Purpose.NEVER: "never",
    Purpose.EDITION: "editions",
    Purpose.CHANGE: "change",
    Purpose.ADDRESS: "address",
    Purpose.FEED: "feed",
}
# The purposes of the links in a digest's footer.
_SUBSCRIBERS_OWN = (Purpose.PREFERENCES, Purpose.UNSUBSCRIBE, Purpose.CHANGE)
_SUBSCRIBERS_PATHS = tuple(_PATHS[purpose] for purpose in _SUBSCRIBERS_OWN)


def signed_url(
    settings: Settings, purpose: Purpose, holder: LinkHolder, issued_at: datetime, detail: str = ""
) -> str:
    """Return a subscriber's signed link for one purpose: the same arguments, the same link."""
    return token_url(settings, make_token(purpose, holder, issued_at, detail))


def token_url(settings: Settings, token: Token) -> str:
    """Return the link of a token."""
    text = sign_token(token, settings.secret_key)
    return f"{settings.base_url}/{_PATHS[token.purpose]}/{text}"


def subscriber_links(
    settings: Settings, holder: LinkHolder, delivery_id: int, issued_at: datetime
) -> SubscriberLinks:
    """Return the subscriber's signed links of a digest."""
    base, keys = settings.base_url, settings.secret_key
    tokens = sign_tokens(_SUBSCRIBERS_OWN, holder, issued_at, keys)
    preferences, unsubscribe, change = (
        f"{base}/{path}/{token}" for path, token in zip(_SUBSCRIBERS_PATHS, tokens, strict=True)
    )
    return SubscriberLinks(
        preferences=preferences,
        unsubscribe=unsubscribe,
        pause=f"{preferences}#pause",
        browser=edition_url(settings, holder, delivery_id, issued_at),
        home=f"{base}/",
        change=change,
        also_off=suggestions_off_url(change),
    )


def edition_url(
    settings: Settings, holder: LinkHolder, delivery_id: int, issued_at: datetime
) -> str:
    """Return the link to a digest in the browser; `issued_at` is when its row was made."""
    key, epoch = holder.link_key, holder.link_epoch
    return token_url(settings, Token(Purpose.EDITION, delivery_id, issued_at, "", key, epoch))


def archived_links(links: SubscriberLinks) -> tuple[bytes, ...]:
    """Return what a stored copy leaves out of a digest's links: our address, and what is signed."""
    base = links.home.removesuffix("/")
    signed = (links.preferences, links.unsubscribe, links.change, links.browser)
    return base.encode(), *(url.removeprefix(base).encode() for url in signed)


def paper_links(settings: Settings, paper: PaperView) -> PaperLinks:
    """Return a paper's links: to its source, never to a copy of ours (arXiv's terms of use)."""
    here = f"{settings.base_url}/papers/{paper.key}"
    pdf = paper.url.replace("/abs/", "/pdf/") if "/abs/" in paper.url else ""
    return PaperLinks(
        abstract=paper.url or here,
        pdf=pdf,
        keep=keep_url("", paper.id),
        more=more_url("", paper.id),
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


def more_url(base: str, paper_id: int) -> str:
    """Return the link to everything else that can be done with a paper."""
    return f"{base}?more={paper_id}"


def vote_url(base: str, paper_id: int) -> str:
    """Return the link that votes for a paper, or takes the vote back."""
    return f"{base}?vote={paper_id}"


def keep_url(base: str, paper_id: int) -> str:
    """Return the link that saves a paper."""
    return f"{base}?keep={paper_id}"


def suggestions_off_url(base: str) -> str:
    """Return the link that switches suggestions off."""
    return f"{base}?also=off"


def replace_personal_links(html: bytes, settings: Settings) -> bytes:
    """Return a mail's HTML with the page that mails the link in place of each personal link.

    A copy in the browser is passed on more often than a mail, and reading it must open nothing else.
    """
    base = settings.base_url.encode()
    return _personal_links(base).sub(base + b"/link", html)


@cached("personal links", maxsize=4)
def _personal_links(base: bytes) -> re.Pattern[bytes]:
    paths = "|".join(path for purpose, path in _PATHS.items() if purpose is not Purpose.EDITION)
    return re.compile(re.escape(base) + rb"/(?:%b)/[^\s\"'<>]*" % paths.encode())
