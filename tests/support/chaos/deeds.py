"""Actions on a seed from outside: unsubscribes, duplicated tasks, cut connections."""

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import httpx2
import redis
from fastapi import FastAPI
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from service.messages.signed_links import signed_url
from service.platform.settings.settings import Settings
from service.platform.signing.tokens import Purpose
from service.subscribers.store.models import Subscriber
from support.chaos.lane import email_of
from support.chaos.plan import QUEUES


@dataclass(frozen=True)
class Left:
    """A subscriber who unsubscribed, with the time of the site's answer and a snapshot after it."""

    subscriber_id: int
    email: str
    status: int
    answered_at: float
    snapshot: str


def choose_leaver(engine: Engine, left: Sequence[int], who: int) -> int:
    """Return a subscriber to unsubscribe, preferably one whose mail is not sent yet."""
    waiting = text(
        "SELECT s.id FROM subscribers s LEFT JOIN deliveries d"
        " ON d.subscriber_id = s.id AND d.state IN ('queued', 'claimed', 'in_flight')"
        " WHERE s.id <> ALL(:left) ORDER BY d.id IS NULL, s.id LIMIT 12"
    )
    with engine.connect() as connection:
        ids: list[int] = list(connection.execute(waiting, {"left": list(left)}).scalars())
    return ids[who % len(ids)]


def unsubscribe(
    site: FastAPI, settings: Settings, engine: Engine, subscriber_id: int, now: datetime
) -> Left:
    """Unsubscribe as a mail program does (RFC 8058), and take a snapshot after the answer."""
    with Session(engine) as session:
        holder = session.get_one(Subscriber, subscriber_id)
    link = signed_url(settings, Purpose.UNSUBSCRIBE, holder, now)
    status = asyncio.run(_post(site, link.removeprefix(settings.base_url)))
    answered_at = time.monotonic()
    with engine.connect() as connection:
        snapshot = str(connection.execute(text("SELECT pg_current_snapshot()::text")).scalar())
    return Left(subscriber_id, email_of(subscriber_id - 1), status, answered_at, snapshot)


async def _post(site: FastAPI, path: str) -> int:
    transport = httpx2.ASGITransport(app=site)
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        answer = await client.post(path, data={"List-Unsubscribe": "One-Click"})
    return answer.status_code


def double(queue: redis.Redis) -> None:
    """Duplicate every queued task."""
    for name in QUEUES:
        for message in queue.lrange(name, 0, -1):
            queue.rpush(name, message)


def redeliver(queue: redis.Redis) -> None:
    """Redeliver unacknowledged tasks, as the transport does after its visibility timeout."""
    for unacked in queue.hgetall("unacked").values():
        message, _, name = json.loads(unacked)
        message["headers"]["redelivered"] = True
        queue.lpush(name, json.dumps(message))


def cut_database(engine: Engine, worker: str, *, only_lock: bool) -> bool:
    """End a worker's connections, or only that of its advisory lock; return if there were any."""
    ending = text(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity a"
        " WHERE datname = current_database() AND application_name = :worker"
        " AND (NOT :only_lock OR EXISTS (SELECT 1 FROM pg_locks l"
        "      WHERE l.pid = a.pid AND l.locktype = 'advisory'))"
    )
    with engine.begin() as connection:
        return bool(connection.execute(ending, {"worker": worker, "only_lock": only_lock}).all())


def find_claimed(engine: Engine, worker: str) -> list[int]:
    """Return the subscribers whose rows a worker has claimed."""
    held = text(
        "SELECT subscriber_id FROM deliveries d WHERE state = 'claimed' AND"
        " (SELECT worker FROM moves WHERE delivery_id = d.id ORDER BY id DESC LIMIT 1) = :worker"
        " ORDER BY id"
    )
    with engine.connect() as connection:
        return list(connection.execute(held, {"worker": worker}).scalars())
