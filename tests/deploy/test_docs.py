"""The documents are right about commands, settings, files and targets."""

import importlib.util
import re
import subprocess
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer.main

from service.platform.settings.env_file import ENV_FILE
from service.platform.settings.load import SECRETS, setting_names
from service.platform.settings.settings import Settings
from service.topics.domain.language import parse_query

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = (ROOT, ROOT / "bench", ROOT / "tests" / "support")
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), *(p for f in FOLDERS for p in f.glob("*.md"))])
PAGE_NAMES = [str(page.relative_to(ROOT)) for page in PAGES]

# Concatenated here, so that this file does not contain the text that it searches for.
REGISTRY_HOSTS = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("python" + "hosted", "org"),
        ("registry", "npmjs", "org"),
        ("npmjs", "com"),
        ("deb", "debian", "org"),
        ("proxy", "golang", "org"),
        ("crates", "io"),
        ("hub", "docker", "com"),
        ("ghcr", "io"),
        ("quay", "io"),
    )
]
# A path of the development machine, as the start of a path and not as a part of one.
MACHINE_PATHS = re.compile(r"(?<![\w./-])/(?:work|opt/wheels|opt/pypi|root/\.pyenv)(?=/|\b)")
# Variables of the test suite, which are no settings of the service.
SUITE_VARIABLES = ("PAPERBOY_REAL_DATA", "PAPERBOY_REQUIRE_", "PAPERBOY_TEST_")


def code_of(text: str) -> list[str]:
    """Return every line of a fenced block and every inline code span."""
    fences = re.findall(r"^```[^\n]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    rest = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    lines = [line for fence in fences for line in fence.splitlines()]
    return lines + [span.replace("\n", " ") for span in re.findall(r"`([^`]+)`", rest)]


def prose_of(text: str) -> str:
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


def anchor_of(heading: str) -> str:
    """Return the URL fragment that a Markdown heading gets."""
    kept = re.sub(r"[^\w\- ]", "", heading.strip().lower())
    return kept.replace(" ", "-")


@cache
def commands() -> dict[str, Any]:
    from service.cli.main import app

    found: dict[str, Any] = getattr(typer.main.get_command(app), "commands", {})
    return found


def calls_in(page: Path) -> list[list[str]]:
    """Return every use of the program on a page, as the words after its name."""
    lines = code_of(page.read_text())
    calls = [re.findall(r"(?:^|[\s/])paperboy ([a-z][^#|;&]*)", line) for line in lines]
    # The database, its role and the service account have the program's name too.
    return [call.split() for found in calls for call in found if call.split()[0] != "paperboy"]


@pytest.mark.parametrize("name", PAGE_NAMES)
def test_every_command_of_a_page_exists_with_its_options(name: str) -> None:
    for words in calls_in(ROOT / name):
        command = commands().get(words[0])
        assert command is not None, f"there is no `paperboy {words[0]}`"
        for sub in getattr(command, "commands", {}) and words[1:2]:
            assert sub in command.commands, f"there is no `paperboy {words[0]} {sub}`"
            command = command.commands[sub]
        options = {option for parameter in command.params for option in parameter.opts}
        used = {word for word in words if word.startswith("--")}
        assert used <= options, f"`paperboy {' '.join(words)}`"


def test_the_readme_and_the_handbook_contain_commands() -> None:
    named = {words[0] for page in PAGES for words in calls_in(page)}
    assert named >= {"status", "why", "resolve", "doctor", "up", "subscribers"}


@pytest.mark.parametrize("name", PAGE_NAMES)
def test_every_relative_link_leads_somewhere(name: str) -> None:
    page = ROOT / name
    for target in re.findall(r"\]\(([^)\s]+)\)", prose_of(page.read_text())):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, fragment = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{target} is not there"
        if fragment:
            headings = re.findall(r"^#+ (.+)$", file.read_text(), re.MULTILINE)
            assert fragment in {anchor_of(heading) for heading in headings}, target


@pytest.mark.parametrize("name", PAGE_NAMES)
def test_every_make_target_of_a_page_exists(name: str) -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    for line in code_of((ROOT / name).read_text()):
        for call in re.findall(r"(?:^|&& )make ((?:[a-z-]+ ?)+)", line):
            assert set(call.split()) <= targets, line


def test_the_workflows_use_targets_that_exist_and_run_every_folder_of_tests() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    text = "".join(path.read_text() for path in ROOT.glob(".github/workflows/*.yml"))
    used = {
        word for call in re.findall(r"\bmake ((?:[a-z-]+\b ?)+)", text) for word in call.split()
    }
    assert used <= targets
    assert used >= {
        "lint",
        "types",
        "imports",
        "test",
        "test-fast",
        "test-service",
        "docs",
        "chaos",
    }
    service = re.search(r"^SERVICE_TESTS := \$\(addprefix tests/,([^)]*)\)", makefile, re.MULTILINE)
    assert service
    named = re.findall(r"\btests/(\w+)", text) + service[1].replace("\\", "").split()
    # Each folder in one job; tests of pure code are in rooms, too.
    folders = {
        path.parent.relative_to(ROOT / "tests").parts[0]
        for path in ROOT.glob("tests/*/**/test_*.py")
    }
    assert sorted(named) == sorted(folders)


@pytest.mark.parametrize("name", PAGE_NAMES)
def test_every_file_named_in_code_exists(name: str) -> None:
    pattern = r"(?:service|workers|tests|docs|migrations|requirements|bench)/[\w./-]*"
    for span in code_of((ROOT / name).read_text()):
        if re.fullmatch(pattern, span):
            assert (ROOT / span).exists(), span


@pytest.mark.parametrize("name", PAGE_NAMES)
def test_every_variable_of_a_page_is_a_setting(name: str) -> None:
    for variable in re.findall(r"\bPAPERBOY_[A-Z_]*[A-Z]8?", (ROOT / name).read_text()):
        if not variable.startswith(SUITE_VARIABLES):
            assert variable in setting_names() | {ENV_FILE}, variable


def settings_rows() -> dict[str, tuple[str, str]]:
    """Return setting -> (default, meaning) of the settings page."""
    rows = re.findall(
        r"^\| `PAPERBOY_(\w+)` \| (.+?) \| (.+) \|$",
        (ROOT / "docs/settings.md").read_text(),
        re.MULTILINE,
    )
    assert len(rows) == len({row[0] for row in rows}), "a setting is listed twice"
    return {name.lower(): (default, meaning) for name, default, meaning in rows}


def test_every_setting_is_listed_once_and_no_other() -> None:
    assert set(settings_rows()) == set(Settings.model_fields)


def spellings_of(default: object) -> set[str]:
    if isinstance(default, tuple):
        return {f"`{separator.join(default)}`" for separator in (" ", ",")}
    return {f"`{default}`"}


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_the_default_of_a_setting_is_the_one_listed(name: str) -> None:
    default = Settings.model_fields[name].default
    listed, meaning = settings_rows()[name]
    assert len(meaning) > 20
    if default in {"", (), None}:
        # What happens then is said in words.
        assert "`" not in listed
    else:
        assert listed in spellings_of(default)


def test_exactly_the_secrets_are_marked_as_such() -> None:
    marked = {name for name, (_, meaning) in settings_rows().items() if "**secret**" in meaning}
    assert marked == SECRETS


def test_the_topics_of_the_readme_can_be_read() -> None:
    blocks = re.findall(
        r"^```topic\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL
    )
    topics = [line for block in blocks for line in block.splitlines()]
    assert topics
    for topic in topics:
        parse_query(topic)


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / f".ci/{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_of_commands_is_what_the_program_says() -> None:
    page = script("commands_page")
    assert page.commands_page() == page.PAGE.read_text(), f"run .ci/{page.__name__}.py"
    sections = re.findall(r"^## paperboy (\w+)", page.commands_page(), re.MULTILINE)
    assert set(sections) == set(commands())


@pytest.mark.parametrize(
    ("own", "link", "expected"),
    [
        ("README.md", "[a](docs/topics.md#x)", "[a](topics.md#x)"),
        ("README.md", "![a](docs/gallery/a.png)", "![a](gallery/a.png)"),
        ("README.md", "[MIT](LICENSE)", "MIT"),
        ("bench/README.md", "[a](../docs/ranking.md)", "[a](../ranking.md)"),
        ("ranking.md", "[a](../bench/README.md)", "[a](bench/README.md)"),
        ("deploy/README.md", "[a](../../CONTRIBUTING.md)", "[a](../CONTRIBUTING.md)"),
        ("gallery/mails/README.md", "[![a](b.png)](b.html)", "[![a](b.png)](b.html)"),
        ("topics.md", "[a](https://example.org/x) [b](#c)", "[a](https://example.org/x) [b](#c)"),
    ],
)
def test_a_link_of_a_page_leads_to_the_same_file_on_the_site(
    own: str, link: str, expected: str
) -> None:
    assert script("site_hooks").with_site_links(link, own) == expected


def tracked_files() -> list[Path]:
    """Return every file that is or would be committed."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    files = [ROOT / name for name in listing.stdout.split("\0") if name]
    # Git also lists deleted files whose deletion is not staged.
    return [file for file in files if file.is_file()]


def test_no_file_names_a_registry_host_or_a_path_of_a_machine() -> None:
    looked_at, found = 0, []
    for file in tracked_files():
        try:
            text = file.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        looked_at += 1
        hosts = [host for host in REGISTRY_HOSTS if host in text]
        paths = [match[0] for match in MACHINE_PATHS.finditer(text)]
        if hosts or paths:
            found.append((str(file.relative_to(ROOT)), hosts, paths))
    assert looked_at > 50
    assert found == []


def test_a_path_of_a_machine_would_be_found() -> None:
    assert MACHINE_PATHS.search("see /" + "work/main for it")
    assert not MACHINE_PATHS.search("https://example.org/work/1 and home/work/")
