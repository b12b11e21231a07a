"""Output of commands: one JSON value, or plain lines without terminal escapes."""

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime

import pytest

from service.cli.output import Output, counted, printable, table, to_plain
from service.deliveries.domain.recipients import Cadence

TITLE = "[Re] Why [bold]square[/] brackets and :smile: stay \x1b[2J as they are"


@dataclass(frozen=True)
class Thing:
    on: date
    cadence: Cadence
    parts: tuple[int, ...]


def test_values_become_json_types() -> None:
    thing = Thing(date(2026, 9, 18), Cadence.DAILY, (1, 2))
    value = {"thing": thing, Cadence.WEEKLY: {3}, "at": datetime(2026, 9, 18, 5, tzinfo=UTC)}
    assert json.loads(json.dumps(to_plain(value))) == {
        "thing": {"on": "2026-09-18", "cadence": "daily", "parts": [1, 2]},
        "weekly": [3],
        "at": "2026-09-18T05:00:00+00:00",
    }


def test_json_is_one_line_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    Output(is_json=True).print({"title": "Grüße\n"}, "for people")
    assert capsys.readouterr().out == '{"title": "Grüße\\n"}\n'


def test_titles_are_neither_markup_nor_terminal_escapes(capsys: pytest.CaptureFixture[str]) -> None:
    Output(is_json=False).print({}, TITLE, table(("title", ">n"), [(TITLE, 7)]))
    kept = "[Re] Why [bold]square[/] brackets and :smile: stay \ufffd[2J as they are"
    assert capsys.readouterr().out.splitlines()[::2] == [kept, f"{kept}  7"]


def test_a_table_is_as_wide_as_it_needs_to_be() -> None:
    made = table(("name", ">count", "note"), [("a", 12, ""), ("longer", 3, "word " * 60)])
    assert made.splitlines() == [
        "name    count  note",
        "a          12",
        f"longer      3  {'word ' * 60}".rstrip(),
    ]


def test_a_pipe_gets_lines_as_long_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    long = "word " * 80
    Output(is_json=False).print({}, long)
    assert capsys.readouterr().out == f"{long}\n"


def test_line_ends_stay_and_other_control_characters_go() -> None:
    assert printable("a\nb\rc\x00d\x9b") == "a\nb\ufffdc\ufffdd\ufffd"


@pytest.mark.parametrize(("number", "shown_text"), [(0, "0 mails"), (1, "1 mail"), (2, "2 mails")])
def test_things_are_counted_in_english(number: int, shown_text: str) -> None:
    assert counted(number, "mail") == shown_text
