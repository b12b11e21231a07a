"""A digest in the browser, for whoever holds the link that came with it."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from service.actions.messages import Materials, gather_materials, mail_context, render_mail
from service.domain.tokens import Purpose
from service.domain.types import DeliveryKind
from service.store.deliveries import get_delivery
from service.store.engine import transaction
from service.store.sending import Claim
from service.store.subscribers import get_subscriber
from service.web.faults import NotHere
from service.web.headers import MAIL_POLICY
from service.web.links import open_link
from service.web.site import SiteHere

router = APIRouter(include_in_schema=False)


@router.get("/editions/{token}")
def show_edition(site: SiteHere, token: str) -> HTMLResponse:
    """The digest, made again from the rows that were frozen for it."""
    link = open_link(site, token, Purpose.EDITION)
    with transaction(site.sessions) as session:
        delivery = get_delivery(session, link.subject)
        reader = get_subscriber(session, (delivery and delivery.subscriber_id) or 0)
        if delivery is None or reader is None or delivery.digest is None:
            raise NotHere("This digest is gone", "It was erased, or its time to be kept is over.")
        materials = Materials()
        gather_materials(session, [Claim(delivery, reader)], materials)
        context = mail_context(delivery, reader, materials, site.settings)
    rendered = render_mail(DeliveryKind.DIGEST, context, site.settings, site.renderer)
    return HTMLResponse(rendered.html, headers={"Content-Security-Policy": MAIL_POLICY})
