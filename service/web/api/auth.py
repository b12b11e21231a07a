"""Who calls the API: a reader by the token of a link, the operator by `PAPERBOY_API_KEY`.

Both are sent as `Authorization: Bearer …`, so that neither comes into an address or a log.
"""

import asyncio
import hmac
from typing import Annotated

from fastapi import Depends, Security
from fastapi.concurrency import run_in_threadpool
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from service.platform.logs import get_logger
from service.platform.signing.tokens import Purpose, Token, TokenError
from service.web.core.context import AppContext, Context
from service.web.core.problems import ApiProblem
from service.web.core.signed_links import open_link

OWN_KEY = HTTPBearer(
    scheme_name="reader",
    auto_error=False,
    description="The last part of your link to the preferences, which is in every digest. "
    "For digests alone, that of your private feed will do.",
)
OPERATOR = HTTPBearer(
    scheme_name="operator", auto_error=False, description="The key that PAPERBOY_API_KEY sets."
)

_NO_LINK = (
    "This needs `Authorization: Bearer TOKEN`, with the last part of your link to the preferences."
)
_NO_OPERATOR = "This needs `Authorization: Bearer KEY`, with the key that PAPERBOY_API_KEY sets."
_IS_OFF = "This site has no such part: PAPERBOY_API_KEY is not set."

log = get_logger(__name__)


def read_link(
    context: Context, given: Annotated[HTTPAuthorizationCredentials | None, Security(OWN_KEY)]
) -> Token:
    """Return the verified token of a link to the preferences. Raises a 401."""
    return open_own_link(context, given.credentials if given else "")


def read_digest_link(
    context: Context, given: Annotated[HTTPAuthorizationCredentials | None, Security(OWN_KEY)]
) -> Token:
    """Return the same, or the token of a private feed, which opens digests and nothing else."""
    return open_digest_link(context, given.credentials if given else "")


async def check_api_key(
    context: Context, given: Annotated[HTTPAuthorizationCredentials | None, Security(OPERATOR)]
) -> None:
    """Let the operator in. Raises a 404 where there is no key, else a 401, late for wrong keys."""
    key = context.settings.api_key
    if not key:
        raise ApiProblem(404, _IS_OFF)
    if given is None:
        raise ApiProblem(401, _NO_OPERATOR)
    if hmac.compare_digest(given.credentials.encode(), key.encode()):
        return
    delay = await run_in_threadpool(context.limits.count_wrong_password)
    log.warning("api.refused")
    await asyncio.sleep(delay)
    raise ApiProblem(401, _NO_OPERATOR)


OwnLink = Annotated[Token, Depends(read_link)]
DigestLink = Annotated[Token, Depends(read_digest_link)]


def open_own_link(context: AppContext, text: str) -> Token:
    """Return the verified token of a link to the preferences. Raises a 401, and `TokenError`."""
    if not text:
        raise ApiProblem(401, _NO_LINK)
    return open_link(context, text, Purpose.PREFERENCES)


def open_digest_link(context: AppContext, text: str) -> Token:
    """Return the verified token of a private feed, or else of a link to the preferences."""
    try:
        return open_link(context, text, Purpose.FEED)
    except TokenError:
        return open_own_link(context, text)
