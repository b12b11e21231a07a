"""The web site of one test: a real server, a real database, a clock that the test turns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session
from support.web_server import serve

from service.actions.subscribe import SignUp, activate, request_subscription
from service.config import Settings
from service.domain.addresses import email_key
from service.domain.tokens import Purpose, Token, sign_token
from service.store.engine import make_sessions
from service.store.models import Base, Subscriber
from service.store.subscribers import find_by_email
from service.web.app import create_app


@dataclass
class Turnable:
    """A clock that stands still until the test moves it."""

    now: datetime

    def __call__(self) -> datetime:
        return self.now

    def forward(self, span: timedelta) -> None:
        self.now += span


@dataclass
class Bell:
    """Keeps what was rung."""

    rung: list[tuple[object, ...]] = field(default_factory=list)

    def __call__(self, *told: object) -> None:
        self.rung.append(told)


@dataclass(frozen=True)
class Readers:
    """Makes readers and signs their links as the mails do."""

    session: Session
    settings: Settings
    clock: Turnable

    def add(
        self, email: str = "reader@example.org", *topics: str, is_confirmed: bool = True
    ) -> Subscriber:
        form = SignUp(email, topics, "daily", "7", "Europe/Berlin")
        request_subscription(self.session, form, self.settings.secret_key, self.clock())
        reader = find_by_email(self.session, email_key(email))
        assert reader is not None
        if is_confirmed:
            activate(self.session, reader, "test", self.clock())
        self.session.commit()
        return reader

    def token(self, purpose: Purpose, subject: int) -> str:
        return sign_token(Token(purpose, subject, self.clock()), self.settings.secret_key)

    def reread(self, reader: Subscriber) -> Subscriber | None:
        self.session.rollback()
        self.session.expire_all()
        return self.session.get(Subscriber, reader.id)


@pytest.fixture
def clock(now: datetime) -> Turnable:
    return Turnable(now)


@pytest.fixture
def bell() -> Bell:
    return Bell()


@pytest.fixture
def app(settings: Settings, engine: Engine, clock: Turnable, bell: Bell) -> FastAPI:
    return create_app(settings, make_sessions(engine), ring=bell, clock=clock)


@pytest.fixture
def web(app: FastAPI) -> Iterator[httpx.Client]:
    with serve(app) as address, httpx.Client(base_url=address, timeout=20) as client:
        yield client


@pytest.fixture
def readers(session: Session, settings: Settings, clock: Turnable) -> Readers:
    return Readers(session, settings, clock)


def count_rows(session: Session) -> dict[str, int]:
    """How many rows each table has: what a request changed, or did not."""
    session.rollback()
    return {
        table.name: session.execute(select(func.count()).select_from(table)).scalar_one()
        for table in Base.metadata.sorted_tables
    }
