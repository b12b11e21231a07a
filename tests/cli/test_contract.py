"""The names that scripts outside rely on: commands, options, arguments."""

import re
import subprocess
import sys
from typing import Any

import pytest
from support.newsletter.commands import NOW, Paperboy
from support.rules import ROOT
from typer.main import get_command

from service.cli.main import app

CONTRACT = {
    "up": ["--host", "--port"],
    "demo": ["--once", "--days"],
    "init": ["--base-url", "--mail-from", "--smtp-url", "--categories", "--timezone", "--contact"],
    "migrate": [],
    "ingest": ["--since", "--date", "sources"],
    "publish": ["--cadence", "--date", "--force"],
    "deliver": ["--edition"],
    "sweep": [],
    "meanings": [],
    "status": ["--date"],
    "resolve": ["edition", "--in-doubt"],
    "subscribers add": ["email", "--topic", "--timezone", "--hour", "--cadence", "--confirmed"],
    "subscribers list": [],
    "subscribers show": ["email"],
    "subscribers search": ["text", "--state", "--limit"],
    "subscribers edit": ["email", "--topic", "--timezone", "--hour", "--cadence"],
    "subscribers pause": ["email", "--until"],
    "subscribers resume": ["email"],
    "subscribers unsubscribe": ["email"],
    "subscribers import": [
        "file",
        "--confirmed",
        "--unconfirmed",
        "--dry-run",
        "--report",
        "--topic",
    ],
    "backup": ["directory"],
    "restore": ["directory"],
    "restored": ["--until"],
    "subscribers export": ["email"],
    "subscribers erase": ["email"],
    "topics test": ["query", "--days"],
    "preview": ["email", "--date", "--out"],
    "why": ["email", "date"],
    "bounces read": ["files"],
    "bounces fetch": [],
    "bounces listen": ["--host", "--port", "--lmtp"],
    "bounces report": ["--days"],
    "reopen": ["host"],
    "pause": [],
    "resume": [],
    "suppress": ["email", "--why"],
    "release": ["email", "--because", "--yes"],
    "doctor": ["--probe"],
    "mcp": ["--reader"],
}


def find_command(name: str) -> Any:
    command: Any = get_command(app)
    for word in name.split():
        command = command.commands[word]
    return command


@pytest.mark.parametrize(("name", "wanted"), CONTRACT.items())
def test_every_command_takes_what_the_contract_promises(name: str, wanted: list[str]) -> None:
    taken = {
        spelling
        for parameter in find_command(name).params
        for spelling in (*parameter.opts, *parameter.secondary_opts)
    }
    assert taken >= {*wanted, "--json"}


@pytest.mark.parametrize("name", CONTRACT)
def test_every_command_has_a_short_help_of_one_line(name: str) -> None:
    words = find_command(name).get_short_help_str(limit=61)
    assert words
    assert not words.endswith("...")


@pytest.mark.parametrize("name", CONTRACT)
def test_the_help_of_a_command_explains_itself(bare: Paperboy, name: str) -> None:
    result = bare(*name.split(), "--help")
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith(f"Usage: paperboy {name} ")
    assert not re.search(r"--\w+ <", result.out), "an option without a name for its value"


def test_the_bare_program_shows_its_commands_and_is_wrong_use(bare: Paperboy) -> None:
    result = bare()
    assert (result.code, result.err) == (2, "")
    assert all(f"\n  {name.split()[0]} " in result.out for name in CONTRACT)
    assert result.out == bare("--help").out


READING = [
    ["status"],
    ["subscribers", "list"],
    ["subscribers", "export"],
    ["topics", "test", "graph"],
    ["deliver"],
    ["sweep"],
    ["migrate"],
]


@pytest.mark.parametrize("typed", READING)
def test_json_is_one_value_before_and_behind_the_command(
    paperboy: Paperboy, typed: list[str]
) -> None:
    before, behind = paperboy(*NOW, "--json", *typed), paperboy(*NOW, *typed, "--json")
    assert (before.code, before.err) == (0, "")
    assert before.value == behind.value
    assert before.out.count("\n") == 1


@pytest.mark.parametrize("typed", READING)
def test_text_output_contains_no_json(paperboy: Paperboy, typed: list[str]) -> None:
    result = paperboy(*NOW, *typed)
    assert (result.code, result.err) == (0, "")
    assert not result.out.startswith(("{", "["))


HEAVY = {"sqlalchemy", "alembic", "httpx2", "celery", "pydantic", "redis", "jinja2", "mjml"}
ASK_FOR_HELP = """
import sys
from service.cli.main import main
code = main(["--help"])
print(" ".join(sorted({name.partition(".")[0] for name in sys.modules})), file=sys.stderr)
sys.exit(code)
"""


def test_help_loads_no_database_no_queue_and_no_web() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ASK_FOR_HELP], check=True, capture_output=True, text=True, cwd=ROOT
    )
    assert "publish" in done.stdout
    assert "typer" in done.stderr.split()
    assert HEAVY.isdisjoint(done.stderr.split())


def test_a_closed_output_pipe_is_no_error() -> None:
    script = f"{sys.executable} -m service.cli --help | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", script], check=True, capture_output=True, text=True, cwd=ROOT
    )
    assert (done.stdout, done.stderr) == ("0\n", "")
