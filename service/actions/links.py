"""The signed addresses in mails: who may open what with a link."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import urlencode

from service.config import Settings
from service.domain.tokens import Purpose, Token, sign_token
from service.domain.types import Paper
from service.mail.contexts import PaperLinks, ReaderLinks

_PATHS = {
    Purpose.CONFIRM: "confirm",
    Purpose.UNSUBSCRIBE: "unsubscribe",
    Purpose.PREFERENCES: "preferences",
    Purpose.NEVER: "never",
    Purpose.EDITION: "editions",
    Purpose.CHANGE: "change",
}


def signed_url(settings: Settings, purpose: Purpose, subject: int, issued_at: datetime) -> str:
    """A link that lets its holder do one thing for one row. The same arguments give the same link."""
    token = sign_token(Token(purpose, subject, issued_at), settings.secret_key)
    return f"{settings.base_url}/{_PATHS[purpose]}/{token}"


def reader_links(
    settings: Settings, subscriber_id: int, delivery_id: int, issued_at: datetime
) -> ReaderLinks:
    """What stands at the foot of a digest."""
    preferences = signed_url(settings, Purpose.PREFERENCES, subscriber_id, issued_at)
    return ReaderLinks(
        preferences=preferences,
        unsubscribe=signed_url(settings, Purpose.UNSUBSCRIBE, subscriber_id, issued_at),
        pause=f"{preferences}#pause",
        browser=signed_url(settings, Purpose.EDITION, delivery_id, issued_at),
        home=f"{settings.base_url}/",
    )


def paper_links(settings: Settings, paper: Paper) -> PaperLinks:
    """Where a paper can be read: at its source, never a copy of ours (arXiv's terms of use)."""
    here = f"{settings.base_url}/papers/{paper.key}"
    pdf = paper.url.replace("/abs/", "/pdf/") if "/abs/" in paper.url else ""
    return PaperLinks(abstract=paper.url or here, pdf=pdf, similar="")


def change_base(settings: Settings, subscriber_id: int, issued_at: datetime) -> str:
    """What every link that changes something begins with: one signature for a whole mail."""
    return signed_url(settings, Purpose.CHANGE, subscriber_id, issued_at)


def mute_url(base: str, topic_id: int, word: str) -> str:
    """Exclude a word, a phrase or any clause (`ti:survey`) from one of the reader's topics."""
    return f"{base}?{urlencode({'topic': topic_id, 'mute': word})}"


def follow_url(base: str, author: str) -> str:
    return f"{base}?{urlencode({'follow': author})}"


def less_url(base: str, paper_id: int) -> str:
    return f"{base}?less={paper_id}"


def keep_url(base: str, paper_id: int) -> str:
    return f"{base}?keep={paper_id}"


def also_off_url(base: str) -> str:
    """No more papers that no topic asked for."""
    return f"{base}?also=off"
