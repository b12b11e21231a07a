"""For machines: does the process live, can it work, what may be crawled."""

from concurrent.futures import Future, ThreadPoolExecutor, wait

import redis
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, PlainTextResponse
from sqlalchemy import text

from service.platform.database.engine import transaction
from service.web.core.context import AppContext, Context
from service.web.core.middleware import TOKEN_PATHS

PATIENCE_SECONDS = 2.0

router = APIRouter(include_in_schema=False)


@router.get("/healthz")
def answer_health() -> JSONResponse:
    """This process lives; nothing else is asked."""
    return JSONResponse({"status": "ok"})


@router.get("/readyz")
def answer_ready(context: Context, request: Request) -> JSONResponse:
    """The database and the broker answer within two seconds; 503 with the reason otherwise."""
    probes: ThreadPoolExecutor = request.app.state.probes
    asked = {
        "database": probes.submit(_ask_database, context),
        "broker": probes.submit(_ask_broker, context),
    }
    wait(asked.values(), timeout=PATIENCE_SECONDS)
    told = {name: _read_answer(future) for name, future in asked.items()}
    is_ready = all(answer == "ok" for answer in told.values())
    status = "ok" if is_ready else "unavailable"
    return JSONResponse({"status": status, **told}, status_code=200 if is_ready else 503)


def _read_answer(future: Future[None]) -> str:
    if not future.done():
        future.cancel()
        return f"no answer within {PATIENCE_SECONDS:g} seconds"
    error = future.exception()
    # The class alone: messages of drivers quote host names, users and sockets.
    return "ok" if error is None else type(error).__name__


def _ask_database(context: AppContext) -> None:
    with transaction(context.sessions) as session:
        session.execute(text("SELECT 1"))


def _ask_broker(context: AppContext) -> None:
    patience = {"socket_connect_timeout": PATIENCE_SECONDS, "socket_timeout": PATIENCE_SECONDS}
    with redis.Redis.from_url(context.settings.redis_url, **patience) as client:
        client.ping()


@router.get("/robots.txt")
def answer_robots() -> PlainTextResponse:
    hidden = (*TOKEN_PATHS, "/mailbox")
    return PlainTextResponse(
        "\n".join(["User-agent: *", *(f"Disallow: {path}" for path in hidden), ""])
    )
