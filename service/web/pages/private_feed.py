"""A subscriber's own digests as an Atom feed, behind a signed link that its owner can end."""

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse, Response
from sqlalchemy.orm import Session

from service.messages.contexts.base import BRAND
from service.messages.digest_feed import FeedDigest, load_feed_digests
from service.messages.signed_links import edition_url
from service.platform.database.engine import transaction
from service.platform.signing.tokens import Purpose, Token, TokenEnded, TokenError
from service.subscribers.private_feed import opens_feed
from service.subscribers.store.models import Subscriber
from service.subscribers.store.subscribers import get_subscriber
from service.web.core.admission import FEED
from service.web.core.context import AppContext, Context
from service.web.core.signed_links import open_link
from service.web.pages.feeds import NO_CHANGE, answer_feed, base_of
from service.web.views.feed_formats import Entry, Feed

# Newest digests are taken until their content has so many characters: feeds are polled often.
_MOST_CHARACTERS = 80_000

router = APIRouter(include_in_schema=False)


@router.get("/feed/{token}", dependencies=FEED)
def show_private_feed(context: Context, request: Request, token: str) -> Response:
    """Return the latest digests; an address that was ended is 410, one that never was 404."""
    try:
        link = open_link(context, token, Purpose.FEED)
        with transaction(context.sessions) as session:
            subscriber = _find_owner(session, link)
            digests = load_feed_digests(session, subscriber.id)
    except TokenError as error:
        # In one line, since a feed reader shows it.
        status = 410 if isinstance(error, TokenEnded) else 404
        return PlainTextResponse(f"{error}\n", status)
    base = base_of(context)
    entries = _write_entries(context, subscriber, digests)
    feed = Feed(
        title=f"Your digests · {BRAND}",
        url=f"{base}/feed/{token}",
        page_url=f"{base}/",
        entries=tuple(entries),
        changed_at=max((digest.sent_at for digest in digests), default=NO_CHANGE),
    )
    return answer_feed(request, feed, "atom")


def _find_owner(session: Session, link: Token) -> Subscriber:
    subscriber = get_subscriber(session, link.subject)
    if subscriber is None or not opens_feed(session, subscriber, link):
        raise TokenEnded
    return subscriber


def _write_entries(
    context: AppContext, subscriber: Subscriber, digests: list[FeedDigest]
) -> list[Entry]:
    entries: list[Entry] = []
    length = 0
    for digest in digests:
        entry = _write_entry(context, subscriber, digest)
        length += len(entry.html)
        if entries and length > _MOST_CHARACTERS:
            break
        entries.append(entry)
    return entries


def _write_entry(context: AppContext, subscriber: Subscriber, digest: FeedDigest) -> Entry:
    settings = context.settings
    url = edition_url(settings, subscriber, digest.delivery_id, digest.created_at)
    html = context.pages.write("feed_digest.html", digest=digest, url=url, base=base_of(context))
    # The same whatever the link's key is (RFC 4151), or a replaced address shows all digests as new.
    host = settings.base_url.partition("://")[2].partition("/")[0].partition(":")[0]
    return Entry(
        url=url,
        title=digest.title,
        html=html,
        published_at=digest.sent_at,
        id=f"tag:{host},2026:digest/{digest.delivery_id}",
    )
