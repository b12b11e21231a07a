"""The suite's rules as a pytest plugin: closed network, a message if real data is missing, no skips."""

import os
import shutil
from collections.abc import Generator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from support.servers.databases import (
    DATABASE_VARIABLE,
    REDIS_VARIABLE,
    drop_template,
    make_home,
    remove_home,
)
from support.servers.hosts import why_no_hosts
from support.servers.versions import describe_run

ROOT = Path(__file__).resolve().parents[2]
# Why tests were left out -> how many.
_deselected = pytest.StashKey[dict[str, int]]()


def real_data_dir() -> Path:
    """Return the directory of the real papers, which may be missing; relative to the project."""
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
    config.stash[_deselected] = {}
    if not _is_worker(config):
        make_home()


def pytest_unconfigure(config: pytest.Config) -> None:
    if not _is_worker(config):
        drop_template()
        remove_home()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        # `item.fixturenames` has those that its fixtures stand on, too.
        if "servers" in getattr(item, "fixturenames", ()):
            item.add_marker("servers")
    # So that none of them begins when the other processes have nothing left to do.
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
    if not real_data_dir().is_dir():
        _deselect(config, items, "real", f"no real data at {real_data_dir()}")
    if any(item.get_closest_marker("hosts") for item in items) and why_no_hosts():
        _deselect(config, items, "hosts", why_no_hosts())
    marks = [item.get_closest_marker("program") for item in items]
    for name in sorted({mark.args[0] for mark in marks if mark}):
        # Debian keeps servers where only root looks.
        if not shutil.which(name, path=os.pathsep.join([os.environ["PATH"], "/usr/sbin"])):
            _deselect(config, items, "program", f"no program {name}", name)


def _deselect(
    config: pytest.Config, items: list[pytest.Item], marker: str, reason: str, *arguments: str
) -> None:
    """Deselect tests that cannot run here, with a line that says why; an error where CI requires them."""
    marked = [(item, item.get_closest_marker(marker)) for item in items]
    out = [item for item, mark in marked if mark and mark.args[: len(arguments)] == arguments]
    variable = f"PAPERBOY_REQUIRE_{marker.upper()}"
    if out and os.environ.get(variable) == "1":
        raise pytest.UsageError(f"{variable}=1, but there is {reason}")
    if out:
        config.hook.pytest_deselected(items=out)
        items[:] = [item for item in items if item not in out]
        config.stash[_deselected][reason] = len(out)


def pytest_sessionfinish(session: pytest.Session) -> None:
    # Under xdist only the workers collect; they tell the controller what they left out.
    output: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["deselected"] = session.config.stash[_deselected]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    # Every worker collects the same tests, so these are the same numbers each time.
    node.config.stash[_deselected] |= getattr(node, "workeroutput", {}).get("deselected", {})


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    for reason, count in config.stash[_deselected].items():
        terminalreporter.write_line(f"{count} tests deselected: {reason}", yellow=True)
    if ran := describe_run():
        terminalreporter.write_line(ran)


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
