"""Authentication of the operator: HTTP Basic with `ADMIN_PASSWORD` and any user name.

Without the setting the operator's pages answer 404. The comparison takes constant time. Wrong passwords
are counted over all addresses and answered later and later; the right one opens at once, also during
a flood of wrong ones, so that nobody can lock the operator out.
"""

import asyncio
import base64
import binascii
import hmac
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, HTTPException, Request
from fastapi.concurrency import run_in_threadpool

from service.platform.logs import get_logger
from service.platform.settings.kinds import is_loopback
from service.web.core.context import AppContext, Context
from service.web.core.errors import PageNotFound

# RFC 7617: the charset parameter makes browsers send names and passwords as UTF-8.
CHALLENGE = {"WWW-Authenticate": 'Basic realm="Paperboy", charset="UTF-8"'}

log = get_logger(__name__)


async def check_operator(request: Request, context: Context) -> None:
    """Let the operator in. Raises `PageNotFound` (404) where the pages are off, else 401."""
    if not context.settings.admin_password:
        raise PageNotFound("There is no such page", "Today’s papers are on the front page.")
    await _check_password(request, context)


async def check_monitor(request: Request, context: Context) -> None:
    """Let the operator in, and with no password set also a monitor on this machine.

    The latter only where the site's own address is local, too: behind a proxy every visitor may
    seem to come from this machine.
    """
    if context.settings.admin_password:
        await _check_password(request, context)
    elif not (_is_local_site(context) and is_loopback(_address(request))):
        raise PageNotFound("There is no such page", "Today’s papers are on the front page.")


MonitorOnly = Annotated[None, Depends(check_monitor)]


def _is_local_site(context: AppContext) -> bool:
    return is_loopback(urlsplit(context.settings.base_url).hostname or "")


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


async def _check_password(request: Request, context: AppContext) -> None:
    given = parse_password(request.headers.get("authorization", ""))
    if given is None:
        raise HTTPException(401, headers=CHALLENGE)
    if hmac.compare_digest(given, context.settings.admin_password.encode()):
        return
    delay = await run_in_threadpool(context.limits.count_wrong_password)
    log.warning("admin.refused")
    # No thread waits meanwhile, or a flood of wrong passwords would take them all.
    await asyncio.sleep(delay)
    raise HTTPException(401, headers=CHALLENGE)


def parse_password(header: str) -> bytes | None:
    """Return the password in an Authorization header (RFC 7617), or None."""
    pair = _parse_pair(header)
    return None if pair is None else pair.partition(b":")[2]


def parse_user(header: str) -> str:
    """Return the user name in an Authorization header, which anybody with the password may choose."""
    return (_parse_pair(header) or b"").partition(b":")[0].decode("utf-8", "replace")


def _parse_pair(header: str) -> bytes | None:
    scheme, _, credentials = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(credentials.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None
