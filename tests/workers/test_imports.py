"""Importing the Celery application has no effects, and beat never loads modules for workers only."""

import json
import subprocess
import sys

import pytest
from support.rules import ROOT
from support.servers.processes import settings_environ

from service.platform.queue import TASK_QUEUES, WORKER_QUEUES
from service.platform.settings.settings import Settings

HEAVY = {
    "numpy", "tokenizers", "mjml", "jinja2", "aiosmtplib", "httpx2", "dkim", "cryptography.hazmat",
    "feedparser", "lxml", "pgvector", "sqlalchemy", "psycopg", "pydantic",
}  # fmt: skip
RENDERER = "service.messages.rendering.renderer"


def run(program: str, environ: dict[str, str]) -> dict[str, list[str]]:
    """Run a program in a process of its own; return its last line as JSON."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT, env=environ, capture_output=True, text=True, check=True,
    )  # fmt: skip
    result: dict[str, list[str]] = json.loads(done.stdout.splitlines()[-1])
    return result


WATCHED_IMPORT = """
import json, sys
touched = []
def watch(event, args):
    if event in ("socket.__new__", "socket.connect", "socket.bind", "subprocess.Popen", "os.mkdir"):
        touched.append(f"{event} {args}")
    if event == "open" and isinstance(args[0], str) and {folder!r} in args[0]:
        touched.append(f"open {args[0]}")
sys.addaudithook(watch)
import workers.app
print(json.dumps({"touched": touched, "modules": sorted(sys.modules)}))
"""


@pytest.mark.parametrize("is_set", [True, False])
def test_importing_the_application_has_no_effects(settings: Settings, *, is_set: bool) -> None:
    environ = settings_environ(settings, DATA_DIR=f"{settings.data_dir}-untouched")
    if not is_set:  # so that embedded servers would be started and a key made
        for name in ("DATABASE_URL", "REDIS_URL", "SECRET_KEY"):
            del environ[f"PAPERBOY_{name}"]
    result = run(
        WATCHED_IMPORT.replace("{folder!r}", repr(str(settings.data_dir))),
        environ | {"PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert result["touched"] == []
    assert HEAVY.isdisjoint(result["modules"])
    assert not settings.data_dir.with_name(f"{settings.data_dir.name}-untouched").exists()


def test_beat_loads_no_task_and_no_renderer_and_still_enqueues(settings: Settings) -> None:
    program = (
        "import json, sys; from celery.apps.beat import Beat; from workers.app import app;"
        "Beat(app=app).init_loader();"
        "print(json.dumps({'modules': sorted(sys.modules), 'schedule': sorted(app.conf.beat_schedule)}))"
    )
    result = run(program, settings_environ(settings))
    assert "deliver" in result["schedule"]
    assert not [name for name in result["modules"] if name in {"workers.tasks", "workers.runtime"}]
    assert not [name for name in result["modules"] if name.startswith("service.messages")]
    assert {"numpy", "jinja2", "mjml", "aiosmtplib", "sqlalchemy"}.isdisjoint(result["modules"])


# What a worker has when it is ready: of its queues all, and nothing of the others.
LOADED = {
    "worker-send": {RENDERER, "mjml", "service.editions.compose", "service.sending.deliver"},
    "worker-urgent": {RENDERER, "mjml", "service.editions.publish", "service.sending.deliver"},
    "worker-default": {"feedparser", "httpx2", "lxml", "service.bounces.record"},
    "worker-learn": {"service.similarity.embed_papers"},
}
# Of commands, pages, the sources, `like:` clauses and keys for DKIM, neither of which is set here.
NEVER_SENDING = {
    "PIL", "aiosmtpd", "cryptography.hazmat", "fastapi", "feedparser", "flufl.bounce", "httpx2", "imapclient",
    "lxml", "numpy", "onnxruntime", "prompt_toolkit", "safetensors", "tokenizers", "typer", "uvicorn",
}  # fmt: skip
READY = """
import json, sys
import workers.__main__
from workers.app import app, process
app.Worker(queues={queues!r}, pool="solo", quiet=True)
modules = sorted(sys.modules)
if "service.sending.deliver" in modules:
    process.runtime.sender, process.runtime.editions
print(json.dumps({{"modules": modules, "tasks": sorted(app.tasks), "sending": sorted(sys.modules)}}))
"""


@pytest.mark.parametrize("name", WORKER_QUEUES)
def test_a_worker_has_loaded_what_its_queues_need_and_a_sender_nothing_else(
    name: str, settings: Settings
) -> None:
    queues = WORKER_QUEUES[name].split(",")
    result = run(READY.format(queues=queues), settings_environ(settings))
    own = {task for task, queue in TASK_QUEUES.items() if queue in queues}
    assert {task for task in result["tasks"] if not task.startswith("celery.")} == own
    assert LOADED[name] <= set(result["modules"])
    if RENDERER in LOADED[name]:
        assert NEVER_SENDING & set(result["sending"]) == set()
    else:
        assert RENDERER not in result["modules"]


def test_a_worker_whose_tasks_cannot_be_imported_ends(settings: Settings) -> None:
    # Celery only logs an exception of a signal handler.
    program = (
        "import sys; from workers.app import app; sys.modules['workers.tasks'] = None;"
        "app.Worker(pool='solo', quiet=True)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT, env=settings_environ(settings), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "the tasks cannot be imported" in done.stderr
