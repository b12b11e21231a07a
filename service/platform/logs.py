"""Structured logging on stderr: one line per event, with all email addresses masked."""

import logging
import re
import sys
from collections.abc import Mapping
from typing import TextIO, cast

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

# Credentials in URLs are removed first; the address mask alone would leave the user name and the
# first letter of the password of `user:password@host`.
_CREDENTIALS = re.compile(r"(?<=://)[^/\s@]+@")
_LOCAL = r"""[^\s@<>()\[\]{}"',:;=/\\]"""
# The look-behind lets a match begin only at the start of a word: without it the pattern is tried at
# each letter of a long word (quadratic time), and a log line of 200,000 letters takes minutes.
_ADDRESS = re.compile(rf"""("[^"\n]+"|(?<!{_LOCAL}){_LOCAL}+)(@|%40)(?=[\w\[])""")


def mask_addresses(text: str) -> str:
    """Shorten every email address in `text`: `subscriber@example.org` becomes `s***@example.org`."""
    return _ADDRESS.sub(_mask, _CREDENTIALS.sub("***@", text))


def _mask(match: re.Match[str]) -> str:
    local = match[1].lstrip('"')
    return f"***{match[2]}" if local.startswith("***") else f"{local[0]}***{match[2]}"


def _mask_value(value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {_mask_value(key): _mask_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_mask_value(item) for item in value]
    return mask_addresses(value if isinstance(value, str) else str(value))


def mask_event(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Mask the addresses in every value of an event (a structlog processor)."""
    # Keys with a leading underscore are structlog's own (the record itself) and are never printed.
    return {k: v if k.startswith("_") else _mask_value(v) for k, v in event.items()}


def configure(level: str = "INFO", stream: TextIO | None = None) -> None:
    """Send structlog's and the standard library's records to `stream` (default stderr).

    Coloured lines on a terminal, one JSON object per line elsewhere. May be called again.
    Records of libraries, which use the standard library's logging, are masked as well.
    """
    output = stream or sys.stderr
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(output)
    handler.setFormatter(_make_formatter(shared, is_terminal=output.isatty()))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())


def _make_formatter(shared: list[Processor], *, is_terminal: bool) -> logging.Formatter:
    renderer: Processor = (
        structlog.dev.ConsoleRenderer() if is_terminal else structlog.processors.JSONRenderer()
    )
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            # Tracebacks become text before the mask, because exceptions often quote addresses.
            structlog.processors.format_exc_info,
            mask_event,
            renderer,
        ],
    )


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return the logger of a module; use `bind` for values on every line of a task or request."""
    return cast("structlog.stdlib.BoundLogger", structlog.get_logger(name))
