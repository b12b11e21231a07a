"""Errors that no command provokes on purpose still end as one line."""

from __future__ import annotations

import logging

import pytest
from sqlalchemy.exc import ProgrammingError
from support.newsletter.commands import Paperboy

from service.cli.errors import describe
from service.operations import status
from service.platform.embedded import EmbeddedError


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            ProgrammingError("SELECT secret", {}, Exception('relation "x" is gone\nLINE 1')),
            'the database refuses: relation "x" is gone',
        ),
        (PermissionError(13, "Permission denied", "/data/key"), "/data/key: Permission denied"),
        (ConnectionResetError("hung up"), "hung up"),
        (EmbeddedError("no room on the disk"), "no room on the disk"),
    ],
)
def test_what_goes_wrong_in_the_world_is_exit_1(error: Exception, line: str) -> None:
    assert describe(error) == (line, 1)


def test_a_fault_of_our_own_is_one_line_and_its_place_is_in_the_debug_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    words, code = describe(KeyError("edition"))
    assert code == 1
    assert words.startswith("a fault of Paperboy's own, please report it: KeyError: 'edition'")
    assert [record.exc_info is not None for record in caplog.records] == [True]


def test_even_then_there_is_no_traceback(
    paperboy: Paperboy, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(*_: object) -> None:
        raise ZeroDivisionError("ours")

    monkeypatch.setattr(status, "find_status", break_down)
    result = paperboy("status")
    assert (result.code, result.out) == (1, "")
    assert "ZeroDivisionError: ours" in result.complaint
