"""The signed addresses in mails: who may open what with a link."""

from __future__ import annotations

from datetime import datetime

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
