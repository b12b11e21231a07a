"""Child processes of one command: they end with it, and one that ends by itself is reported."""

import json
import os
import re
import select
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import httpx2
import pytest
from support.newsletter.commands import Paperboy
from support.rules import ROOT
from support.servers.log_lines import assert_no_secret, named, read_lines
from support.smtp.smtp_sink import SmtpSink, free_port, wait_until

from service.cli.context import CommandError
from service.cli.processes import (
    DEFAULT_STOP_SECONDS,
    Stack,
    child_environment,
    ending_at_signals,
    find_gap,
    is_free,
    listening_port,
)
from service.platform.embedded.locks import is_held
from service.platform.settings.settings import Settings

# Workers that send may take the first.
_ENDING_SECONDS = DEFAULT_STOP_SECONDS + 30

STUBBORN = """
import signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(60)
"""
QUICK = "import sys; print('one'); print('the last words', flush=True); sys.exit(3)"


# With the logs of a real process, and an error that none expects.
BROKEN = "from service.platform.logs import configure_service; configure_service(); {}['the door']"

SCRIPTS = {
    "stubborn": ["-c", STUBBORN],
    "quick": ["-c", QUICK],
    "silent": ["-c", "import sys; sys.exit(3)"],
    "broken": ["-c", BROKEN],
    "killed": ["-c", "import os; print('here', flush=True); os.kill(os.getpid(), 9)"],
    "web": ["-c", STUBBORN],
}


def is_alive(pid: int) -> bool:
    """Return whether a process, or any process of its group, still runs."""
    for look in (os.kill, os.killpg):
        with suppress(ProcessLookupError):
            look(pid, 0)
            return True
    return False


def say_ready(settings: Settings) -> None:
    log = settings.data_dir / "logs" / "stubborn.log"
    wait_until(lambda: log.exists() and "ready" in log.read_text())


def test_a_child_that_does_not_end_is_killed_after_a_timeout(settings: Settings) -> None:
    with Stack(settings, {}, stop_seconds=0.2, commands=SCRIPTS) as stack:
        stack.start("stubborn")
        (pid,) = stack.pids().values()
        say_ready(settings)
        stack.check()
    assert not is_alive(pid)


def test_a_second_ctrl_c_ends_the_waiting(settings: Settings) -> None:
    main_thread = threading.main_thread().ident
    assert main_thread is not None
    began = time.monotonic()
    with Stack(settings, {}, stop_seconds=30, commands=SCRIPTS) as stack:
        stack.start("stubborn")
        (pid,) = stack.pids().values()
        say_ready(settings)
        threading.Timer(0.3, signal.pthread_kill, (main_thread, signal.SIGINT)).start()
    assert time.monotonic() - began < 10
    assert not is_alive(pid)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("quick", "quick ended by itself: the last words (see {})"),
        ("silent", "silent ended by itself (see {})"),
    ],
)
def test_a_child_that_ends_by_itself_is_reported_with_its_last_log_line(
    settings: Settings, name: str, line: str
) -> None:
    log = settings.data_dir / "logs" / f"{name}.log"
    with Stack(settings, {}, commands=SCRIPTS) as stack:
        stack.start(name)
        with pytest.raises(CommandError) as event:
            stack.stay_up()
    assert str(event.value) == line.format(log)


def test_an_error_that_nobody_caught_is_one_line_of_json_and_reported_plainly(
    settings: Settings,
) -> None:
    log = settings.data_dir / "logs" / "broken.log"
    with Stack(settings, {}, commands=SCRIPTS) as stack:
        stack.start("broken")
        with pytest.raises(CommandError) as event:
            stack.stay_up()
    (line,) = read_lines(log)
    assert (line["event"], line["level"]) == ("crashed", "critical")
    assert "Traceback (most recent call last)" in line["exception"]
    assert "KeyError: 'the door'" in str(event.value)


def test_a_child_that_keeps_dying_is_started_after_longer_and_longer_gaps(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    main_thread = threading.main_thread().ident
    assert main_thread is not None
    log = settings.data_dir / "logs" / "killed.log"

    def stop_at_the_third() -> None:
        wait_until(lambda: log.exists() and log.read_text().count("here") == 3, 30)
        signal.pthread_kill(main_thread, signal.SIGINT)

    stopper = threading.Thread(target=stop_at_the_third)
    with Stack(settings, {}, commands=SCRIPTS) as stack:
        stack.start("killed")
        stopper.start()
        stack.stay_up()
    stopper.join()
    line = f"paperboy: killed was ended by signal 9: here (see {log}); it starts again in {{}} s"
    assert capsys.readouterr().err.splitlines()[:2] == [line.format(1), line.format(2)]


def test_the_gap_before_a_restart_doubles_up_to_a_minute() -> None:
    assert [find_gap(deaths) for deaths in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]


def test_a_child_of_a_killed_parent_is_ended_by_its_lock_and_no_other_process_is(
    settings: Settings,
) -> None:
    """The parent is killed; a file that no process holds names a process that lives: this one."""
    program = (
        "import sys, time; from pathlib import Path; from service.cli.processes import Stack;"
        "from service.papers.domain.source_names import SOURCE_NAMES;"
        "from service.platform.settings.load import load_settings;"
        f"stack = Stack(load_settings(SOURCE_NAMES, {{'PAPERBOY_DATA_DIR': {str(settings.data_dir)!r}}}), {{}},"
        f" commands={{'stubborn': ['-c', {STUBBORN!r}]}});"
        "stack.__enter__(); stack.start('stubborn'); print(stack.pids()['stubborn'], flush=True);"
        "time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as parent:
        assert parent.stdout
        orphan = int(parent.stdout.readline())
        say_ready(settings)
        parent.kill()
    stale = settings.data_dir / "run" / "children" / "web.7"
    stale.write_text(str(os.getpid()))
    assert is_alive(orphan)
    with Stack(settings, {}, stop_seconds=0.2, commands=SCRIPTS):
        wait_until(lambda: not is_alive(orphan))  # It is reaped a moment later.
        assert not stale.exists()


def test_waiting_for_a_site_that_never_answers_ends(settings: Settings) -> None:
    with Stack(settings, {}, stop_seconds=0.1, commands=SCRIPTS) as stack:
        stack.start("web")
        with pytest.raises(CommandError, match="the site did not answer"):
            stack.wait_for_web(f"http://127.0.0.1:{free_port()}", seconds=0.3)


def test_signals_that_are_ignored_stay_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ending_at_signals():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            assert signal.getsignal(signal.SIGTERM) is signal.default_int_handler
        assert signal.getsignal(signal.SIGTERM) is not signal.default_int_handler
    finally:
        signal.signal(signal.SIGHUP, before)


def test_children_get_the_servers_that_were_found(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAPERBOY_DATABASE_URL_FILE", "/run/secrets/database")
    # Perhaps only root can read it.
    monkeypatch.setenv("PAPERBOY_ADMIN_PASSWORD_FILE", "/run/secrets/password")
    settings = settings.model_copy(update={"admin_password": "from the file"})
    environ = child_environment(settings, {"PAPERBOY_BASE_URL": "http://127.0.0.1:1"})
    assert environ["PAPERBOY_DATABASE_URL"] == settings.database_url
    assert environ["PAPERBOY_REDIS_URL"] == settings.redis_url
    assert environ["PAPERBOY_BASE_URL"] == "http://127.0.0.1:1"
    assert environ["PAPERBOY_ADMIN_PASSWORD"] == "from the file"
    assert "PAPERBOY_DATABASE_URL_FILE" not in environ
    assert "PAPERBOY_ADMIN_PASSWORD_FILE" not in environ
    assert environ["PATH"] == os.environ["PATH"]


@pytest.mark.parametrize(
    ("base_url", "port"),
    [
        ("http://127.0.0.1:8000", 8000),
        ("http://localhost", 80),
        ("https://papers.example.org", 8000),
        ("https://papers.example.org:8443", 8000),
    ],
)
def test_the_site_listens_where_its_address_says_or_behind_the_proxy(
    settings: Settings, base_url: str, port: int
) -> None:
    assert listening_port(settings.model_copy(update={"base_url": base_url})) == port


@contextmanager
def running(*arguments: str, changes: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    """Run a command that stays as a process of its own; kill it if it has not ended by then."""
    # Who runs the tests by `nohup` ignores SIGHUP, and so would the command, as it should.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    process = subprocess.Popen(
        [sys.executable, "-m", "service.cli", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, **changes},
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(timeout=60)
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        process.stderr.close()


def read_value(process: subprocess.Popen[str]) -> Any:
    """Return the JSON value that a command prints once it is up."""
    assert process.stdout
    assert select.select([process.stdout], [], [], 60)[0], "nothing came within a minute"
    line = process.stdout.readline()
    assert line, process.stderr and process.stderr.read()
    return json.loads(line)


@pytest.fixture
def address(environment: None) -> str:
    return f"http://127.0.0.1:{free_port()}"


def assert_no_root(data_dir: Path, pids: Iterable[int]) -> None:
    """Check that these processes and their children are neither root nor can become root."""
    for pid in pids:
        pools = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for each in (pid, *map(int, pools)):
            text = Path(f"/proc/{each}/status").read_text()
            status = dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)
            assert "0" not in status["Uid"].split()
            assert "0" not in status["Gid"].split()
            assert status["Groups"].split() == [] or os.geteuid() != 0
            assert int(status["CapPrm"], 16) == 0
            assert (status["NoNewPrivs"] == "1") == (os.geteuid() == 0)
    for log in (data_dir / "logs").iterdir():
        assert log.stat().st_mode & 0o777 == 0o640, log
    everything = [data_dir, *data_dir.rglob("*")]
    assert not [
        path for path in everything if path.lstat().st_mode & 0o002 and not path.is_symlink()
    ]


def assert_ends(
    process: subprocess.Popen[str], number: signal.Signals, pids: Iterable[int]
) -> None:
    """Send the signal; check that the command ends without a word, and its processes with it."""
    process.send_signal(number)
    out, err = process.communicate(timeout=_ENDING_SECONDS)
    assert (process.returncode, out, err) == (0, "", "")
    assert not any(map(is_alive, pids))


@pytest.mark.slow
def test_up_ends_with_everything_it_started(address: str, tmp_path: Path) -> None:
    """At Ctrl-C; the tests below end theirs by SIGHUP and SIGTERM, since a start is costly."""
    with running("--json", "up", changes={"PAPERBOY_BASE_URL": address}) as process:
        event = read_value(process)
        assert event["url"] == address
        assert set(event["processes"]) == {
            "web",
            "worker-urgent",
            "worker-send",
            "worker-default",
            "worker-learn",
            "beat",
        }
        assert all(map(is_alive, event["processes"].values()))
        assert httpx2.get(f"{address}/healthz").is_success
        assert_no_root(tmp_path / "data", event["processes"].values())
        assert_ends(process, signal.SIGINT, event["processes"].values())


@pytest.mark.slow
def test_a_signal_ends_up_in_order_while_it_starts(address: str, tmp_path: Path) -> None:
    with running("--json", "up", changes={"PAPERBOY_BASE_URL": address}) as process:
        wait_until((tmp_path / "data" / "logs" / "web.log").exists, 60)
        assert_ends(process, signal.SIGTERM, [])
    assert living_children(tmp_path / "data") == []


@pytest.mark.slow
def test_what_a_visitor_does_is_in_the_logs_of_all_processes_by_its_request_id(
    address: str, smtp_sink: SmtpSink, tmp_path: Path
) -> None:
    logs = tmp_path / "data" / "logs"
    with running("--json", "up", changes={"PAPERBOY_BASE_URL": address}) as process:
        event = read_value(process)
        assert httpx2.get(f"{address}/search?q=anne@example.org").is_success
        given = {"X-Request-ID": "given-by-a-proxy"}
        assert (
            httpx2.get(f"{address}/", headers=given).headers["X-Request-ID"]
            == given["X-Request-ID"]
        )
        answer = httpx2.post(f"{address}/subscribe", data={"email": "anne@example.org"})
        request_id = answer.headers["X-Request-ID"]
        (received,) = smtp_sink.wait_for(1, seconds=60)
        confirm = confirm_url(received.message)
        assert httpx2.get(confirm).is_success
        wait_until(lambda: has_line(logs / "beat.log", "Sending due task"), 60)
        wait_until(lambda: is_mail_logged(logs), 30)
        assert_ends(process, signal.SIGHUP, event["processes"].values())
    names = ("web", "worker-urgent", "worker-default", "beat")
    web, worker, default, beat = (read_lines(logs / f"{name}.log") for name in names)
    assert_no_secret(*logs.iterdir(), secrets=("a-key-that-is-only-used-in-tests",))

    requests = Counter((line["method"], line["path"]) for line in named(web, "request"))
    visits = {
        ("GET", "/search"): 1,
        ("GET", "/"): 1,
        ("POST", "/subscribe"): 1,
        ("GET", "/confirm/***"): 1,
    }
    assert visits.items() <= requests.items()
    assert len(named(web, "request", request_id="given-by-a-proxy")) == 1
    assert all("request_id" in line for line in named(web, "request"))

    # From the request to its mail: the row, the two tasks, the delivery that the second sent.
    (settling,) = named(web, "enqueue", request_id=request_id)
    assert settling["enqueued"] == "paperboy.settle_requests"
    (queued,) = named(worker, "mail.queued")
    enqueued = next(
        line
        for line in named(worker, "enqueue", enqueued="paperboy.deliver_urgent")
        if line["task_id"] == queued["task_id"]
    )
    task = [line for line in worker if line.get("task_id") == enqueued["enqueued_id"]]
    assert all(line["task"] == "paperboy.deliver_urgent" for line in task)
    (sent,) = [
        line for line in named(worker, "delivery") if queued["delivery_id"] in line["delivery_ids"]
    ]
    assert sent["state"] == "sent"
    assert named(task, "delivery") or sent["task_id"] != enqueued["enqueued_id"]
    # Beat settles as well; where its task came first, no line has the request's id.
    if queued["task_id"] == settling["enqueued_id"]:
        assert queued["request_id"] == request_id
        assert all(
            line["request_id"] == request_id
            for line in task
            if line["logger"].startswith("service.")
        )

    assert named(beat, "beat: Starting...")
    assert named(worker, "worker.stopping")
    assert named(default, "worker.stopping")
    assert has_line(logs / "web.log", "Uvicorn running")
    assert has_line(logs / "web.log", "Finished server process")


def has_line(path: Path, text: str) -> bool:
    return any(text in line["event"] for line in read_lines(path))


def is_mail_logged(logs: Path) -> bool:
    return bool(named(read_lines(logs / "worker-urgent.log"), "delivery", state="sent"))


def confirm_url(message: EmailMessage) -> str:
    body = message.get_body(("plain",))
    assert body is not None
    found = re.search(r"http://\S+/confirm/\S+", body.get_content())
    assert found is not None
    return found[0]


@pytest.mark.slow
def test_up_starts_again_what_dies_and_mail_still_goes(
    address: str, smtp_sink: SmtpSink, tmp_path: Path
) -> None:
    with running("--json", "up", changes={"PAPERBOY_BASE_URL": address}) as process:
        first = read_value(process)["processes"]
        for name in ("web", "beat", "worker-urgent"):
            os.kill(first[name], signal.SIGKILL)
            line = read_complaint(process)
            log = tmp_path / "data" / "logs" / f"{name}.log"
            assert line.startswith(f"paperboy: {name} was ended by signal 9")
            assert line.endswith(f"(see {log}); it starts again in 1 s\n")
        wait_until(lambda: is_up(address), 60)
        httpx2.post(f"{address}/subscribe", data={"email": "anne@example.org"}).raise_for_status()
        smtp_sink.wait_for(1, seconds=60)
        # Each is there once, and the dead have left nothing behind.
        wait_until(lambda: len(living_children(tmp_path / "data")) == 6, 60)
        assert not any(is_alive(first[name]) for name in ("web", "beat", "worker-urgent"))
        assert_ends(process, signal.SIGTERM, first.values())
    assert living_children(tmp_path / "data") == []


def is_up(address: str) -> bool:
    try:
        return httpx2.get(f"{address}/readyz", timeout=2).is_success
    except httpx2.HTTPError:
        return False


def read_complaint(process: subprocess.Popen[str]) -> str:
    assert process.stderr
    assert select.select([process.stderr], [], [], 60)[0], "no complaint came within a minute"
    return process.stderr.readline()


def living_children(data_dir: Path) -> list[str]:
    """Return the children whose lock is held, by any process."""
    folder = data_dir / "run" / "children"
    return sorted(path.name for path in folder.iterdir() if is_held(path))


@pytest.mark.slow
def test_up_takes_over_from_one_that_was_killed_and_refuses_a_second_one(
    address: str, tmp_path: Path
) -> None:
    changes = {"PAPERBOY_BASE_URL": address}
    with running("--json", "up", changes=changes) as killed:
        left = read_value(killed)["processes"]
        killed.kill()
        killed.wait()
        assert all(map(is_alive, left.values()))
        with running("--json", "up", changes=changes) as process:
            now = read_value(process)["processes"]
            wait_until(lambda: not any(map(is_alive, left.values())))
            assert all(map(is_alive, now.values()))
            assert len(living_children(tmp_path / "data")) == len(now) == 6
            second = subprocess.run(
                [sys.executable, "-m", "service.cli", "up", "--port", str(free_port())],
                check=False, capture_output=True, text=True, cwd=ROOT,
                env={**os.environ, **changes}, timeout=60,
            )  # fmt: skip
            assert (second.returncode, second.stdout) == (1, "")
            assert second.stderr.startswith(
                f"paperboy: process {process.pid} runs the service of {tmp_path / 'data'} already:"
            )
            assert second.stderr.count("\n") == 1
            process.send_signal(signal.SIGTERM)
            out, err = process.communicate(timeout=_ENDING_SECONDS)
        assert (process.returncode, out) == (0, "")
        ending = "of an `up` that was killed still runs (process {}): ending it first"
        assert sorted(err.splitlines()) == sorted(
            f"paperboy: {name} {ending.format(pid)}" for name, pid in left.items()
        )
    assert living_children(tmp_path / "data") == []


@pytest.mark.slow
def test_up_prints_the_addresses(
    address: str, paperboy: Paperboy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PAPERBOY_BASE_URL", address)
    monkeypatch.delenv("PAPERBOY_SMTP_URL")
    beat_log = tmp_path / "data" / "logs" / "beat.log"

    def stop_when_up() -> None:
        wait_until(lambda: beat_log.exists() and not is_free(listening_port_of(address)), 60)
        wait_until(lambda: httpx2.get(f"{address}/readyz").is_success, 60)
        time.sleep(1)
        os.kill(os.getpid(), signal.SIGTERM)

    stopper = threading.Thread(target=stop_when_up)
    stopper.start()
    result = paperboy("up")
    stopper.join()
    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines() == [
        f"Paperboy: {address}",
        f"Mailbox:  {address}/mailbox",
        f"Settings: {os.devnull}, and the environment",
        f"Logs:     {beat_log.parent}",
        "Before others can use it, set:",
        "  PAPERBOY_SMTP_URL: now mails stay in the mailbox on this machine",
        "  PAPERBOY_BASE_URL: now links in mails work only on this machine",
        "  PAPERBOY_ADMIN_PASSWORD: now the operator's pages are closed",
        "  PAPERBOY_CONTACT: now sources cannot reach you before they block you",
        "`paperboy init` writes a settings file, `paperboy doctor` checks everything.",
        "Ctrl-C stops it after the mails that are being sent; a second Ctrl-C stops it at once.",
    ]


def listening_port_of(address: str) -> int:
    return int(address.rpartition(":")[2])


def test_up_refuses_a_password_that_can_be_guessed(
    paperboy: Paperboy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAPERBOY_ADMIN_PASSWORD", "letmein2026")
    result = paperboy("up")
    assert result.code == 2
    assert result.complaint.startswith("PAPERBOY_ADMIN_PASSWORD: the password is easy to guess")


def test_up_does_not_take_a_port_that_is_in_use(
    paperboy: Paperboy, monkeypatch: pytest.MonkeyPatch, loopback_http: Any
) -> None:
    monkeypatch.setenv("PAPERBOY_BASE_URL", loopback_http.url)
    result = paperboy("up")
    assert (result.code, result.out) == (1, "")
    assert result.complaint == (
        f"port {loopback_http.port} is taken; choose another one with --port"
    )


def test_up_listens_only_on_an_address_of_this_machine(paperboy: Paperboy) -> None:
    result = paperboy("up", "--host", "192.0.2.1")
    assert (result.code, result.out) == (1, "")
    hint = "leave it out, or use 0.0.0.0"
    assert result.complaint == f"--host 192.0.2.1 is no address of this machine; {hint}"


@pytest.mark.slow
def test_up_and_doctor_read_the_settings_file_in_the_working_directory(
    environment: None, tmp_path: Path
) -> None:
    """Every setting is in the file; `--port` moves the site, and links in mails with it."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PAPERBOY_")}
    file = tmp_path / ".env"
    settings = {
        **{k: v for k, v in os.environ.items() if k.startswith("PAPERBOY_")},
        "PAPERBOY_ADMIN_PASSWORD": "a password of the file",
        "PAPERBOY_CONTACT": "me@example.org",
    }
    del settings["PAPERBOY_ENV_FILE"]
    file.write_text("".join(f"{name}='{value}'\n" for name, value in settings.items()))
    port = free_port()
    command = [sys.executable, "-m", "service.cli", "--json"]
    with subprocess.Popen(
        [*command, "up", "--host", "0.0.0.0", "--port", str(port)],  # noqa: S104  # closed again soon
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env=kept,
    ) as process:
        event = read_value(process)
        assert event["url"] == f"http://127.0.0.1:{port}"
        assert event["settings_file"] == str(file)
        assert event["missing"] == ["PAPERBOY_BASE_URL"]
        answer = httpx2.get(f"{event['url']}/admin", auth=("me", "a password of the file"))
        assert answer.is_success
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=_ENDING_SECONDS)
    assert (process.returncode, out, err) == (0, "", "")

    file.write_text(file.read_text() + "\nthis is no setting\n")
    for name in ("doctor", "up"):
        done = subprocess.run(
            [*command, name], check=False, capture_output=True, text=True, cwd=tmp_path, env=kept
        )
        line = len(file.read_text().splitlines())
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(f"paperboy: {file}, line {line}: this is no setting. ")
        assert done.stderr.count("\n") == 1
