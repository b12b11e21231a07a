"""`/privacy`: who runs this site, what is kept and for how long.

Its figures are the constants that the rest of the service uses, so that they stay true.
"""

from email.utils import parseaddr

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from service.operations.domain.retention import QUARANTINED, UNCONFIRMED
from service.platform.signing.tokens import TERMS
from service.subscribers.queue_mails import MOST_CONFIRMATIONS
from service.web.core.context import Context

router = APIRouter(include_in_schema=False)


@router.get("/privacy")
def show_privacy(context: Context) -> HTMLResponse:
    settings = context.settings
    return context.pages.show(
        "privacy.html",
        operator=settings.brand_name,
        mail=parseaddr(settings.reply_to or settings.mail_from)[1],
        has_logo=bool(settings.brand_logo),
        confirmations=MOST_CONFIRMATIONS,
        days={purpose: terms.lifetime.days for purpose, terms in TERMS.items() if terms.lifetime},
        # A month is dropped with all that belongs to it.
        copies=min(settings.keep_copies_days, settings.keep_deliveries_days),
        deliveries=settings.keep_deliveries_days,
        events=min(settings.keep_events_days, settings.keep_deliveries_days),
        unconfirmed=UNCONFIRMED.days,
        quarantined=QUARANTINED.days,
    )
