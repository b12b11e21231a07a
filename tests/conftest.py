"""Fixtures of the whole suite; what they stand on is in `support/`."""

# importlib mode leaves sys.path alone, so the project and the tests' own support are put there
# before anything of theirs is imported.
# ruff: noqa: E402

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parent)]

import hypothesis
import redis
import structlog
from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker
from support import rules
from support.mail import fixtures as mail
from support.newsletter import fixtures as newsletter
from support.servers.databases import (
    TestServers,
    clone_database,
    make_template,
    start_servers,
    with_number,
)
from support.servers.loopback_http import LoopbackHttp
from support.servers.one_dialect import use_one_dialect
from support.smtp.smtp_sink import SmtpSink
from support.templates_once import compile_templates_once

import service.operations.store.tables  # noqa: F401  # every table is known from here on
from service.platform.database.engine import make_engine, make_sessions
from service.platform.settings.settings import Settings

# A test says what is right and not how fast: that is measured by the benches.
# Half of Hypothesis' own number of examples, unless PAPERBOY_TEST_WHOLE asks for all.
EXAMPLES = 100 if os.environ.get("PAPERBOY_TEST_WHOLE") else 50
hypothesis.settings.register_profile("paperboy", deadline=None, max_examples=EXAMPLES)
hypothesis.settings.load_profile("paperboy")

use_one_dialect()
compile_templates_once()

# By default structlog lets rich draw an exception with all variables of all frames: two seconds each.
structlog.configure(
    processors=[
        *structlog.get_config()["processors"][:-1],
        structlog.dev.ConsoleRenderer(
            colors=False, exception_formatter=structlog.dev.plain_traceback
        ),
    ]
)


def pytest_addoption(pluginmanager: pytest.PytestPluginManager) -> None:
    # Registered here, before pytest_configure runs; `pytest_plugins` could not find `support` yet.
    pluginmanager.register(rules, "paperboy-rules")
    pluginmanager.register(mail, "paperboy-mail")
    pluginmanager.register(newsletter, "paperboy-newsletter")


@pytest.fixture(scope="session")
def servers() -> Iterator[TestServers]:
    """PostgreSQL and Valkey of this run, shared by all of its workers."""
    with start_servers() as servers:
        yield servers


@pytest.fixture(scope="session")
def worker(request: pytest.FixtureRequest) -> str:
    """`gw3` under xdist, `main` without."""
    return str(getattr(request.config, "workerinput", {}).get("workerid", "main"))


@pytest.fixture(scope="session")
def template_database(servers: TestServers) -> str:
    """The name of the database that Alembic brought to head, once per run."""
    from service.platform.database.migrate import upgrade

    return make_template(servers, upgrade)


@pytest.fixture
def database_url(servers: TestServers, template_database: str, worker: str) -> Iterator[str]:
    """A database of this test's own at the newest schema: commits are real, and gone afterwards."""
    with clone_database(servers, template_database, worker) as url:
        yield url


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = make_engine(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def sessions(engine: Engine) -> sessionmaker[Session]:
    return make_sessions(engine)


@pytest.fixture
def session(sessions: sessionmaker[Session]) -> Iterator[Session]:
    """A plain session; the test commits, as the edges do."""
    with sessions() as session:
        yield session


@pytest.fixture
def redis_url(servers: TestServers, worker: str) -> str:
    """An empty numbered database of Valkey, this worker's own."""
    number = 0 if worker == "main" else 1 + int(worker.removeprefix("gw"))
    url = with_number(servers.redis_url, number)
    with redis.Redis.from_url(url) as client:
        client.flushdb()
    return url


@pytest.fixture
def now() -> datetime:
    """A Friday, half an hour before the first readers in central Europe get their digest."""
    return datetime(2026, 9, 18, 5, 0, tzinfo=UTC)


@pytest.fixture
def smtp_sink() -> Iterator[SmtpSink]:
    sink = SmtpSink()
    sink.start()
    yield sink
    sink.stop()


@pytest.fixture
def loopback_http() -> Iterator[LoopbackHttp]:
    http = LoopbackHttp()
    http.start()
    yield http
    http.stop()


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A data directory, not made yet, for embedded servers of this test's own.

    pytest's own directories have names too long for sockets and are closed to other accounts.
    """
    base = Path(tempfile.mkdtemp(prefix="pb-"))
    base.chmod(0o755)
    yield base / "data"
    shutil.rmtree(base)


@pytest.fixture
def settings(
    request: pytest.FixtureRequest,
    database_url: str,
    redis_url: str,
    smtp_sink: SmtpSink,
    tmp_path: Path,
) -> Settings:
    """Settings of a whole service that belongs to this test, changed by the marker `settings`."""
    settings = Settings(
        data_dir=tmp_path / "data",
        database_url=database_url,
        redis_url=redis_url,
        smtp_url=(smtp_sink.url,),
        secret_key=("a key that is only used in tests",),
        base_url="http://127.0.0.1:8000",
        mail_from="Paperboy <digest@paperboy.example>",
        bounce_domain="bounces.paperboy.example",
    )
    marker = request.node.get_closest_marker("settings")
    return settings.model_copy(update=marker.kwargs) if marker else settings


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The directory of real papers and feeds; tests that use it carry the marker `real`."""
    return rules.real_data_dir()
