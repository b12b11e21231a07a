"""Log lines: one JSON object each, levels obeyed, and every address masked."""

import io
import json
import logging
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import structlog

from service.platform.logs import configure, get_logger, mask_addresses, mask_event
from service.platform.signing.tokens import Purpose, Token, sign_token


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    """Restore the root logger, since pytest captures it."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def stream() -> io.StringIO:
    stream = io.StringIO()
    configure("INFO", stream)
    return stream


def events(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_is_one_json_object_with_its_name_level_and_time(stream: io.StringIO) -> None:
    get_logger("service.editions.publish").info("edition_opened", edition_id=7, papers=[1, 2])
    (event,) = events(stream)
    assert event.pop("timestamp").endswith("Z")
    assert event == {
        "event": "edition_opened",
        "level": "info",
        "logger": "service.editions.publish",
        "edition_id": 7,
        "papers": [1, 2],
    }


def test_events_below_the_level_are_not_printed() -> None:
    stream = io.StringIO()
    configure("warning", stream)
    get_logger("x").info("quiet")
    get_logger("x").warning("loud")
    assert [event["event"] for event in events(stream)] == ["loud"]


def test_addresses_are_masked_in_every_value(stream: io.StringIO) -> None:
    get_logger("x").info(
        "sent to reader@example.org",
        address="reader@example.org",
        nested={"reader@example.org": [("to", "reader@example.org"), {"reader@example.org"}]},
        value=Subscriber(),
        error=ValueError("reader@example.org is unknown"),
        raw=b"reader@example.org",
    )
    assert "reader@" not in stream.getvalue()
    assert stream.getvalue().count("r***@example.org") == 8


def test_the_name_of_a_worker_on_this_machine_is_no_address() -> None:
    host = socket.gethostname()
    for name in ("celery", "worker-send", "worker-default"):
        assert mask_addresses(f"{name}@{host} ready.") == f"{name}@{host} ready."
    assert mask_addresses(f"worker-send@{host}.example.org") == f"w***@{host}.example.org"
    assert mask_addresses("worker-send@gmail.com") == "w***@gmail.com"
    assert mask_addresses(f"ada@{host}") == f"a***@{host}"
    assert mask_addresses(f"my-worker-send@{host}") == f"m***@{host}"


def test_a_signed_link_is_masked_everywhere(stream: io.StringIO) -> None:
    token = Token(Purpose.UNSUBSCRIBE, 7, datetime(2026, 9, 18, tzinfo=UTC), "x")
    signed = sign_token(token, ("a key that is only used in tests",))
    get_logger("x").info("visited", path=f"/unsubscribe/{signed}/undo", links=[signed])
    logging.getLogger("library").warning("GET https://papers.example.org/change/%s", signed)
    assert signed not in stream.getvalue()
    own, foreign = events(stream)
    assert (own["path"], own["links"]) == ("/unsubscribe/***/undo", ["***"])
    assert foreign["event"] == "GET https://papers.example.org/change/***"


class Subscriber:
    def __repr__(self) -> str:
        return "<Reader reader@example.org>"


def test_addresses_are_masked_in_tracebacks(stream: io.StringIO) -> None:
    try:
        {"nobody": 1}["reader@example.org"]
    except KeyError:
        get_logger("x").exception("failed")
        logging.getLogger("library").exception("failed too")
    for event in events(stream):
        assert "KeyError: 'r***@example.org'" in event["exception"]
    assert "reader@" not in stream.getvalue()


def test_logs_of_libraries_are_masked_as_well(stream: io.StringIO) -> None:
    logging.getLogger("aiosmtplib").warning("refused %s", "reader@example.org")
    (event,) = events(stream)
    assert event["event"] == "refused r***@example.org"
    assert (event["logger"], event["level"]) == ("aiosmtplib", "warning")


def test_bound_values_are_masked_as_well(stream: io.StringIO) -> None:
    structlog.contextvars.bind_contextvars(subscriber="reader@example.org")
    get_logger("x").bind(sender="digest@example.org").info("composed")
    (event,) = events(stream)
    assert (event["subscriber"], event["sender"]) == ("r***@example.org", "d***@example.org")


def test_a_terminal_gets_lines_for_people() -> None:
    terminal = Terminal()
    configure("INFO", terminal)
    get_logger("x").info("composed", address="reader@example.org")
    assert "composed" in terminal.getvalue()
    assert "r***@example.org" in terminal.getvalue()
    assert not terminal.getvalue().startswith("{")


def test_configuring_twice_prints_once(stream: io.StringIO) -> None:
    configure("INFO", stream)
    get_logger("x").info("once")
    assert len(events(stream)) == 1


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("reader@example.org", "r***@example.org"),
        ("<reader@example.org>,b@c.de", "<r***@example.org>,b***@c.de"),
        ("mailto:reader@example.org?x=1", "mailto:r***@example.org?x=1"),
        ("bounce+a=b.de@example.org", "bounce+a=b***@example.org"),
        ('"odd one"@example.org', "o***@example.org"),
        ("jürgen@müller.example", "j***@müller.example"),
        ("reader@localhost", "r***@localhost"),
        ("?to=reader%40example.org", "?to=r***%40example.org"),
        ("smtp://me:secret@relay.example", "smtp://***@relay.example"),
        ("postgresql://u:p%40w@db/x", "postgresql://***@db/x"),
        ("r***@example.org", "r***@example.org"),
        ("x @ y", "x @ y"),
        ("no address", "no address"),
    ],
)
def test_an_address_is_shortened_to_its_first_letter_and_domain(text: str, masked: str) -> None:
    assert mask_addresses(text) == masked


@pytest.mark.timeout(20)
@pytest.mark.parametrize("letter", ["a", "%", '"', "*", "Wz", "Wzaaaa."])
def test_masking_a_long_line_takes_no_time(letter: str) -> None:
    # A pattern that backtracks would take minutes for this.
    text = letter * (200_000 // len(letter))
    assert mask_event(None, "info", {"text": text})["text"] in {text, "***"}
