"""Liveness and readiness probes, and robots.txt."""

from concurrent.futures import Future, ThreadPoolExecutor, wait

import redis
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, PlainTextResponse
from sqlalchemy import text

from service.platform.database.engine import transaction
from service.platform.queue import ping_broker
from service.web.core.context import AppContext, Context
from service.web.core.middleware import TOKEN_PATHS

TIMEOUT_SECONDS = 2.0

router = APIRouter(include_in_schema=False)


@router.get("/healthz")
def answer_health() -> JSONResponse:
    """Liveness: the process answers; nothing else is checked."""
    return JSONResponse({"status": "ok"})


@router.get("/readyz")
def answer_ready(context: Context, request: Request) -> JSONResponse:
    """Readiness: 200 if database and broker answer within two seconds, else 503 with reasons."""
    probes: ThreadPoolExecutor = request.app.state.probes
    futures = {
        "database": probes.submit(_ping_database, context),
        "broker": probes.submit(_ping_broker, context),
    }
    wait(futures.values(), timeout=TIMEOUT_SECONDS)
    results = {name: _describe_result(future) for name, future in futures.items()}
    is_ready = all(result == "ok" for result in results.values())
    status = "ok" if is_ready else "unavailable"
    return JSONResponse({"status": status, **results}, status_code=200 if is_ready else 503)


def _describe_result(future: Future[None]) -> str:
    if not future.done():
        future.cancel()
        return f"no answer within {TIMEOUT_SECONDS:g} seconds"
    error = future.exception()
    # Only the class name: messages of drivers contain host names, users and sockets.
    return "ok" if error is None else type(error).__name__


def _ping_database(context: AppContext) -> None:
    with transaction(context.sessions) as session:
        session.execute(text("SELECT 1"))


def _ping_broker(context: AppContext) -> None:
    timeouts = {"socket_connect_timeout": TIMEOUT_SECONDS, "socket_timeout": TIMEOUT_SECONDS}
    with redis.Redis.from_url(context.settings.redis_url, **timeouts) as client:
        client.ping()
    if context.settings.broker_url:
        ping_broker(context.settings.queue_url, TIMEOUT_SECONDS)


@router.get("/robots.txt")
def answer_robots() -> PlainTextResponse:
    hidden = (*TOKEN_PATHS, "/mailbox")
    return PlainTextResponse(
        "\n".join(["User-agent: *", *(f"Disallow: {path}" for path in hidden), ""])
    )
