"""The suite's rules as a pytest plugin: closed network, real data or a word about it, no skips."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from support.databases import (
    DATABASE_VARIABLE,
    REDIS_VARIABLE,
    drop_template,
    make_home,
    remove_home,
)

ROOT = Path(__file__).resolve().parents[2]
_deselected = pytest.StashKey[int]()


def real_data_dir() -> Path:
    """Where the real papers are, whether they are there or not; relative to the project."""
    return (ROOT / os.environ.get("PAPERBOY_REAL_DATA", "../shared/data")).resolve()


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    # Before pytest-socket reads its options: sockets go to this machine and to nowhere else, but
    # for the servers that CI names.
    servers = [
        urlsplit(os.environ.get(name, "")).hostname for name in (DATABASE_VARIABLE, REDIS_VARIABLE)
    ]
    config.option.allow_hosts = ",".join(
        ["127.0.0.0/8", "::1", "localhost", *filter(None, servers)]
    )
    config.option.allow_unix_socket = True
    config.stash[_deselected] = 0
    if not _is_worker(config):
        make_home()


def pytest_unconfigure(config: pytest.Config) -> None:
    if not _is_worker(config):
        drop_template()
        remove_home()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if real_data_dir().is_dir():
        return
    real = [item for item in items if item.get_closest_marker("real")]
    if real and os.environ.get("PAPERBOY_REQUIRE_REAL") == "1":
        raise pytest.UsageError(
            f"PAPERBOY_REQUIRE_REAL=1, but there is no real data at {real_data_dir()}"
        )
    if real:
        config.hook.pytest_deselected(items=real)
        items[:] = [item for item in items if not item.get_closest_marker("real")]
        config.stash[_deselected] = len(real)


def pytest_sessionfinish(session: pytest.Session) -> None:
    # Under xdist only the workers collect; they tell the controller what they left out.
    output: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["real_deselected"] = session.config.stash[_deselected]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    count = getattr(node, "workeroutput", {}).get("real_deselected", 0)
    # Every worker collects the same tests, so this is the same number each time.
    node.config.stash[_deselected] = max(node.config.stash[_deselected], count)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    count = config.stash[_deselected]
    if count:
        terminalreporter.write_line(
            f"{count} tests deselected: no real data at {real_data_dir()}", yellow=True
        )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("CI"):
        _refuse(report, item.nodeid)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if report.skipped and os.environ.get("CI"):
        _refuse(report, collector.nodeid)
    return report


def _refuse(report: pytest.TestReport | pytest.CollectReport, name: str) -> None:
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    report.outcome = "failed"
    report.longrepr = f"{name} was skipped, and nothing is skipped in CI: {reason}"
