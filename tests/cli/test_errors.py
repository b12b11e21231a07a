"""Unexpected errors still end as one line."""

import logging

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.orm import Session
from support.newsletter.commands import NOW, Paperboy

from service.cli.errors import describe
from service.platform.embedded import EmbeddedError


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            ProgrammingError("SELECT secret", {}, Exception('relation "x" is gone\nLINE 1')),
            'the database reports an error: relation "x" is gone',
        ),
        (PermissionError(13, "Permission denied", "/data/key"), "/data/key: Permission denied"),
        (ConnectionResetError("hung up"), "hung up"),
        (EmbeddedError("no room on the disk"), "no room on the disk"),
    ],
)
def test_errors_of_the_environment_are_exit_1(error: Exception, line: str) -> None:
    assert describe(error) == (line, 1)


def test_a_bug_is_one_line_and_its_traceback_is_in_the_debug_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    words, code = describe(KeyError("edition"))
    assert code == 1
    assert words.startswith("a bug in Paperboy, please report it: KeyError: 'edition'")
    assert [record.exc_info is not None for record in caplog.records] == [True]


def test_even_then_there_is_no_traceback(paperboy: Paperboy, session: Session) -> None:
    # A state that this code has never heard of, as a newer one may leave behind.
    session.execute(text("ALTER TYPE batch_state ADD VALUE 'unheard_of'"))
    session.commit()
    session.execute(
        text("INSERT INTO batches (source, announced_on, state, created_at)"
             " VALUES ('arxiv', '2026-09-18', 'unheard_of', now())")
    )  # fmt: skip
    session.commit()
    result = paperboy(*NOW, "status")
    assert (result.code, result.out) == (1, "")
    assert "LookupError: 'unheard_of'" in result.complaint
