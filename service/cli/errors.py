"""Every error that can reach the edge of the program, as (one sentence, exit code)."""

import logging

from sqlalchemy.exc import DBAPIError, OperationalError
from typer.exceptions import TyperException

from service.cli.context import CommandError
from service.platform.embedded import EmbeddedError
from service.platform.settings.faults import SettingsError
from service.sending.restore_guard import DatabaseRestored
from service.subscribers.validate import SignUpError
from service.topics.topics import TopicError

log = logging.getLogger(__name__)


def describe(error: Exception) -> tuple[str, int]:
    """What to tell, and 2 where the command was used wrongly, else 1.

    What nobody expected is a fault of ours: it is told in one line too, and where it happened is
    logged at level DEBUG.
    """
    match error:
        case CommandError():
            return str(error), error.exit_code
        case TyperException():
            return _usage(error), 2
        case TopicError():
            return _pointed(error), 2
        case SignUpError():
            faults = (_pointed(one.topic) if one.topic else one.text for one in error.faults)
            return " ".join(faults), 2
        case SettingsError():
            return str(error), 2
        case _:
            return _failure(error), 1


def _failure(error: Exception) -> str:
    """What went wrong though the command was right."""
    match error:
        case OperationalError():
            return f"the database does not answer: {_first_line(error.orig)}"
        case DBAPIError():
            return f"the database refuses: {_first_line(error.orig)}"
        case OSError(filename=name, strerror=reason) if name and reason:
            return f"{name}: {reason}"
        case EmbeddedError() | OSError() | DatabaseRestored():
            return str(error)
        case _:
            log.debug("unexpected", exc_info=error)
            told = f"a fault of Paperboy's own, please report it: {type(error).__name__}: {error}"
            return f"{told} (PAPERBOY_LOG_LEVEL=DEBUG shows where)"


def _usage(error: TyperException) -> str:
    words = error.format_message().replace("Value error, ", "").rstrip(".")
    context = getattr(error, "ctx", None)
    return f"{words}; see: {context.command_path} --help" if context else words


def _pointed(error: TopicError) -> str:
    """The topic's fault with its place, which some messages name themselves."""
    words = str(error)
    where = "" if error.position is None or "(character" in words else _place(error.position)
    return f"topic {error.topic!r}: {words}{where}"


def _place(position: int) -> str:
    return f" (character {position + 1})"


def _first_line(error: object) -> str:
    return str(error).strip().partition("\n")[0]
