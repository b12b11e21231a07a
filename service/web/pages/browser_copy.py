"""Browser copy of a digest, behind the signed link in its mail."""

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response

from service.deliveries.store.claimed_rows import Claim
from service.deliveries.store.deliveries import get_delivery
from service.messages.browser_copy import sent_html, uncut_html, unsent_html
from service.messages.edition_data import EditionDataCache, gather_edition_data
from service.messages.signed_links import replace_personal_links
from service.platform.database.engine import transaction
from service.platform.signing.tokens import Purpose, TokenEnded, is_held_by
from service.subscribers.store.subscribers import get_subscriber
from service.web.core.context import Context
from service.web.core.errors import PageNotFound
from service.web.core.middleware import MAIL_POLICY
from service.web.core.signed_links import open_link

router = APIRouter(include_in_schema=False)


@router.get("/editions/{token}")
def show_edition(
    context: Context, token: str, *, everything: Annotated[str, Query(alias="all")] = ""
) -> Response:
    """Return the digest as it was sent, without its personal links; before sending, as rendered.

    With `all` it also has the papers that were cut from the mail for length.
    """
    link = open_link(context, token, Purpose.EDITION)
    with transaction(context.sessions) as session:
        delivery = get_delivery(session, link.subject)
        subscriber = get_subscriber(session, (delivery and delivery.subscriber_id) or 0)
        if delivery is None or subscriber is None or delivery.digest is None:
            raise PageNotFound(
                "This digest is gone", "It was erased, or its retention period is over."
            )
        if not is_held_by(link, subscriber):
            raise TokenEnded
        html = None
        if not everything:
            html = sent_html(session, delivery, subscriber, context.settings)
        editions = EditionDataCache()
        if html is None:
            claims = [Claim(delivery, subscriber)]
            gather_edition_data(session, claims, editions, everything=bool(everything))
    if html is None:
        write = uncut_html if everything else unsent_html
        html = write(delivery, subscriber, editions, context.settings, context.renderer)
    headers = {"Content-Security-Policy": MAIL_POLICY}
    html = replace_personal_links(html, context.settings)
    return Response(html, media_type="text/html", headers=headers)
