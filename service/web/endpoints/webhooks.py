"""`POST /hooks/{provider}`: bounces and complaints from mail providers.

No session, no cookie, no form: calls are authenticated by the provider's signature. A call with an
invalid one is answered with 401 and leaves no trace but a line in the log.
"""

import dataclasses
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse

from service.bounces.inbound.confined_parser import ParserUnavailable
from service.bounces.inbound.webhook_signatures import Call, WebhookForged, WebhookStale
from service.bounces.inbound.webhooks import WebhookUnreadable
from service.bounces.webhooks import WebhookContext, WebhookUnknown, record_webhook
from service.platform.logs import get_logger
from service.web.core.context import Context

router = APIRouter(include_in_schema=False)

log = get_logger(__name__)


async def parse_call(request: Request) -> Call:
    """Return headers and raw body: signatures are computed over the bytes, not over parsed JSON."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    return Call(await request.body(), headers)


@router.post("/hooks/{provider}")
def take_call(
    context: Context, provider: str, call: Annotated[Call, Depends(parse_call)]
) -> JSONResponse:
    door = WebhookContext(context.sessions, context.settings, context.fetch)
    try:
        report = record_webhook(door, provider, call, context.clock())
    except WebhookUnknown:
        return JSONResponse({"fault": "there is no such hook"}, 404)
    except WebhookStale as error:
        log.warning("hook.repeated", provider=provider, reason=str(error))
        # Mailgun sends a call again after every answer but 200 and this one.
        return JSONResponse({"fault": "signed for another time or event"}, 406)
    except WebhookForged as error:
        # The reason goes only to the log, so that it does not help to forge signatures.
        log.warning("hook.refused", provider=provider, reason=str(error))
        headers = {"WWW-Authenticate": "Basic"} if provider == "postmark" else None
        return JSONResponse({"fault": "invalid signature"}, 401, headers)
    except WebhookUnreadable as error:
        return JSONResponse({"fault": f"the body is {error}"}, 400)
    except ParserUnavailable as error:
        log.warning("hook.not_parsed", provider=provider, reason=str(error))
        return JSONResponse({"fault": "mails cannot be parsed now"}, 503)
    return JSONResponse(dataclasses.asdict(report))
