"""Files that operators copy name only settings, commands, images and queues that exist."""

import importlib
import os
import re
import subprocess
import sys
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from service.papers.domain.source_names import SOURCE_NAMES
from service.platform.embedded.servers import POSTGRES_OPTIONS
from service.platform.queue import TASK_QUEUES, WORKER_QUEUES
from service.platform.settings.load import SECRETS, load_settings, setting_names

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = ROOT / "docker-compose.yml"
DOCKERFILE = ROOT / "Dockerfile"
EXAMPLE = ROOT / ".env.example"

_REFERENCE = re.compile(r"\$\{(?P<name>\w+)(?P<operator>:?[-?+])?(?P<rest>[^}]*)\}")
_SECRET_NAME = re.compile(r"PASSWORD|SECRET|_KEY$|TOKEN")
OWN_IMAGE = "paperboy"


def services() -> dict[str, dict[str, Any]]:
    loaded: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE.read_text())["services"]
    return loaded


def our_services() -> dict[str, dict[str, Any]]:
    return {n: s for n, s in services().items() if s["image"].split(":")[0] == OWN_IMAGE}


def run_of(service: dict[str, Any]) -> list[str]:
    """Return the program and its arguments; the image's own program is `paperboy`."""
    return [*service.get("entrypoint", ["paperboy"]), *service.get("command", [])]


def is_secret(name: str) -> bool:
    setting = name.removeprefix("PAPERBOY_").lower()
    return setting in SECRETS or bool(_SECRET_NAME.search(name))


def example_values() -> dict[str, str]:
    """Return every variable of `.env.example`, also those that are commented out."""
    pairs = re.findall(r"^(?:# )?([A-Z][A-Z0-9_]*)=(.*)$", EXAMPLE.read_text(), re.MULTILINE)
    return dict(pairs)


@pytest.mark.parametrize("path", [COMPOSE, DOCKERFILE, EXAMPLE], ids=lambda path: str(path.name))
def test_every_paperboy_variable_is_a_setting(path: Path) -> None:
    named = set(re.findall(r"\bPAPERBOY_\w+", path.read_text()))
    assert named
    assert named <= setting_names()


def test_no_secret_has_a_default_in_the_compose_file() -> None:
    references = list(_REFERENCE.finditer(COMPOSE.read_text()))
    secret = [found for found in references if is_secret(found["name"])]
    assert {"POSTGRES_PASSWORD", "REDIS_PASSWORD", "PAPERBOY_SECRET_KEY"} <= {
        found["name"] for found in secret
    }
    for found in secret:
        assert found["operator"] == ":?", f"{found[0]} must stop compose when it is empty"


def test_no_secret_is_in_the_compose_file_or_the_image() -> None:
    for name, service in services().items():
        for variable, value in service.get("environment", {}).items():
            if is_secret(variable) and value:
                is_address = re.fullmatch(r"\w+://[^@]+", value)
                assert is_address or "${" in value, f"{name} has {variable} written out"
    for line in DOCKERFILE.read_text().splitlines():
        assert not re.search(r"(PASSWORD|SECRET|TOKEN)\w*=", line), line


def test_the_example_leaves_every_secret_empty() -> None:
    for name, value in example_values().items():
        if is_secret(name):
            assert value == "", f"{name} has a value to copy"


def test_the_example_names_every_variable_that_compose_asks_for() -> None:
    variables = {found["name"] for found in _REFERENCE.finditer(COMPOSE.read_text())}
    assert variables <= set(example_values())


def test_a_filled_in_example_is_accepted_by_every_role(tmp_path: Path) -> None:
    given = example_values() | {
        "POSTGRES_PASSWORD": "e3b0c44298fc1c149afbf4c8",
        "REDIS_PASSWORD": "996fb92427ae41e4649b934c",
        "PAPERBOY_SECRET_KEY": "a-key-of-this-test-alone",
        "PAPERBOY_BASE_URL": "https://papers.example.org",
        "PAPERBOY_MAIL_FROM": "Paperboy <digest@example.org>",
        "PAPERBOY_SMTP_URL": "smtp://mailpit:1025?starttls=off",
    }
    for name, service in our_services().items():
        composed = {k: fill(v, given) for k, v in service["environment"].items() if v is not None}
        settings = load_settings(
            SOURCE_NAMES, given | composed | {"PAPERBOY_DATA_DIR": str(tmp_path)}
        )
        assert settings.database_url.endswith("postgres:5432/paperboy"), name
        assert settings.redis_url.endswith("redis:6379/0"), name


def test_the_sent_mark_is_kept_in_places_that_are_not_lost_together() -> None:
    for name in ("worker-send", "web"):
        service = our_services()[name]
        volumes = [fill(volume, {}).split(":") for volume in service["volumes"]]
        mounts = {target: volume for volume, target in volumes}
        places = [Path(service["environment"][f"PAPERBOY_{n}"]) for n in ("DATA_DIR", "SENT_MARK")]
        kept = {mounts.get(str(place)) or mounts[str(place.parent)] for place in places}
        (postgres,) = (volume.partition(":")[0] for volume in services()["postgres"]["volumes"])
        assert len(kept | {postgres}) == 3, name
        # And in Redis, which has no volume.
        assert service["environment"]["PAPERBOY_REDIS_URL"]
    assert "volumes" not in services()["redis"]
    assert "--owner=10001 /var/lib/paperboy-marks" in DOCKERFILE.read_text()


def fill(text: str, given: dict[str, str]) -> str:
    """Interpolate as compose does, in the two forms that we use."""

    def value_of(found: re.Match[str]) -> str:
        value = given.get(found["name"], "")
        if value:
            return value
        assert found["operator"] == ":-", f"{found['name']} is missing"
        return found["rest"]

    return _REFERENCE.sub(value_of, text)


def test_every_image_has_the_tag_of_one_release() -> None:
    images = [service["image"] for service in services().values()]
    images += re.findall(r"^ARG BASE=(\S+)", DOCKERFILE.read_text(), re.MULTILINE)
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE.read_text(), re.MULTILINE)) == {"${BASE}"}
    for image in images:
        tag = image.partition("@")[0].rpartition(":")[2]
        # Three numbers: 8.2 is another image next month.
        assert re.search(r"\d+\.\d+\.\d+", tag), image


def test_every_service_that_stays_has_a_health_check() -> None:
    for name, service in services().items():
        if service.get("restart") == "no":
            continue
        assert service["healthcheck"]["test"], name


def test_every_published_port_is_on_loopback_and_has_a_health_check() -> None:
    published = {n: s for n, s in services().items() if s.get("ports")}
    assert published
    for name, service in published.items():
        assert all(str(port).startswith("127.0.0.1:") for port in service["ports"]), name
        assert service["healthcheck"]["test"], name


def test_the_database_and_the_broker_are_on_a_network_without_a_way_out() -> None:
    networks = yaml.safe_load(COMPOSE.read_text())["networks"]
    assert networks["backend"]["internal"] is True
    for name in ("postgres", "redis"):
        assert services()[name]["networks"] == ["backend"]
        assert "ports" not in services()[name]


def test_the_web_site_trusts_the_gateway_of_its_fixed_network_and_nothing_else() -> None:
    network = yaml.safe_load(COMPOSE.read_text())["networks"]["outside"]
    (fixed,) = network["ipam"]["config"]
    assert ip_address(fixed["gateway"]) in ip_network(fixed["subnet"])
    web = services()["web"]
    trusted = fill(str(web["environment"]["PAPERBOY_TRUSTED_PROXIES"]), {})
    assert trusted == fixed["gateway"]
    # uvicorn's own rule, which believes everybody on loopback, is switched off there.
    assert run_of(web)[:3] == ["python", "-m", "service.web.serve"]
    assert "FORWARDED_ALLOW_IPS" not in COMPOSE.read_text()


def test_every_named_volume_and_network_is_declared() -> None:
    declared = yaml.safe_load(COMPOSE.read_text())
    for name, service in services().items():
        assert set(service.get("networks", [])) <= set(declared["networks"]), name
        mounted = {fill(volume, {}).split(":")[0] for volume in service.get("volumes", [])}
        assert {name for name in mounted if name[0] != "."} <= set(declared["volumes"]), name


def test_the_database_volume_is_where_this_release_of_the_image_keeps_its_data() -> None:
    postgres = services()["postgres"]
    assert postgres["image"].partition("@")[0].endswith("-pg18")
    # Up to 17 it was …/data; since 18 the image refuses to start with a volume there.
    assert postgres["volumes"] == ["postgres:/var/lib/postgresql"]


def test_the_database_has_the_options_of_the_measured_one() -> None:
    program, *words = services()["postgres"]["command"]
    assert (program, set(words[::2])) == ("postgres", {"-c"})
    options = set(words[1::2])
    # Of two gigabytes; the embedded server takes an eighth of the machine's memory.
    options.remove("shared_buffers=512MB")
    assert options <= set(POSTGRES_OPTIONS)
    assert {option.partition("=")[0] for option in options} == {
        "wal_buffers",
        "random_page_cost",
        "io_method",
        "jit",
        "autovacuum_naptime",
    }


def test_everything_of_ours_waits_for_healthy_servers_and_the_schema() -> None:
    for name, service in our_services().items():
        waits = {on: rule["condition"] for on, rule in service["depends_on"].items()}
        assert waits["postgres"] == "service_healthy", name
        if name != "migrate":
            assert waits["redis"] == "service_healthy", name
            assert waits["migrate"] == "service_completed_successfully", name
    assert services()["migrate"]["restart"] == "no"


def test_each_role_is_there() -> None:
    programs = {name: run_of(service)[0] for name, service in our_services().items()}
    assert programs == {
        "migrate": "paperboy",
        "web": "python",
        "worker-urgent": "python",
        "worker-send": "python",
        "worker-default": "python",
        "worker-learn": "python",
        "beat": "python",
    }
    for program in set(programs.values()):
        assert (Path(sys.executable).parent / program).exists(), program


def test_every_paperboy_command_of_the_compose_file_exists() -> None:
    from service.cli.main import app

    known = set(getattr(typer.main.get_command(app), "commands", {}))
    used = [run_of(service)[1] for service in our_services().values() if is_ours(service)]
    assert used == ["migrate"]
    assert set(used) <= known


def is_ours(service: dict[str, Any]) -> bool:
    return run_of(service)[0] == "paperboy"


def test_the_web_site_is_made_by_a_factory_that_exists() -> None:
    program = next(part for part in run_of(services()["web"]) if part.startswith("service."))
    module, _, function = importlib.import_module(program).FACTORY.partition(":")
    assert callable(getattr(importlib.import_module(module), function))


def test_the_workers_serve_every_queue_once_and_share_none() -> None:
    runs = {name: run_of(services()[name]) for name in WORKER_QUEUES}
    assert {name: run[run.index("-Q") + 1] for name, run in runs.items()} == WORKER_QUEUES
    served = [queue for queues in WORKER_QUEUES.values() for queue in queues.split(",")]
    assert sorted(served) == sorted(set(TASK_QUEUES.values()))


def test_sending_shares_no_worker_with_what_strangers_can_make_slow() -> None:
    assert tasks_of("worker-send") == {"paperboy.compose", "paperboy.deliver"}


def test_what_waits_for_no_edition_has_a_worker_of_its_own() -> None:
    own = {"open_editions", "settle_requests", "deliver_urgent", "sweep"}
    assert tasks_of("worker-urgent") == {f"paperboy.{task}" for task in own}
    # So that a relay that is silent to one run holds up nothing else.
    run = run_of(services()["worker-urgent"])
    assert int(fill(run[run.index("-c") + 1], {})) >= 2


def test_embedding_has_a_process_of_its_own() -> None:
    assert tasks_of("worker-learn") == {"paperboy.learn_meanings"}
    run = run_of(services()["worker-learn"])
    assert run[run.index("-c") + 1] == "1"


def tasks_of(worker: str) -> set[str]:
    queues = WORKER_QUEUES[worker].split(",")
    return {task for task, queue in TASK_QUEUES.items() if queue in queues}


def test_the_worker_may_finish_mails_that_are_being_sent() -> None:
    from service.sending.smtp.limits import SMTP_LIMITS

    for name in ("worker-send", "worker-urgent"):
        minutes = re.fullmatch(r"(\d+)m", services()[name]["stop_grace_period"])
        assert minutes
        assert int(minutes[1]) * 60 > SMTP_LIMITS.final_dot_seconds


def test_the_celery_application_is_found_under_the_name_that_compose_gives() -> None:
    checks = [" ".join(one["healthcheck"].get("test", [])) for one in our_services().values()]
    modules = {check.partition(" -A ")[2].split()[0] for check in checks if " -A " in check}
    assert modules == {"workers.app"}
    # In a process of its own, since importing it reads the environment. Nothing is connected to.
    script = "import sys; from celery.bin.celery import main; sys.exit(main())"
    environment = {
        "PATH": os.environ["PATH"],
        "PAPERBOY_DATABASE_URL": "postgresql://nobody@127.0.0.1:9/none",
        "PAPERBOY_REDIS_URL": "redis://127.0.0.1:9/0",
        "PAPERBOY_SECRET_KEY": "a-key-of-this-test-alone",
    }
    done = subprocess.run(
        [sys.executable, "-c", script, "-A", "workers.app", "report"],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "open-editions" in done.stdout


def test_the_image_is_built_from_the_pinned_hashes() -> None:
    text = DOCKERFILE.read_text()
    installs = re.findall(r"pip install ([^&\n]+)", text)
    assert len(installs) == 2
    assert all("--require-hashes" in line or "--no-deps" in line for line in installs)


def test_everything_the_image_copies_exists_and_is_not_ignored() -> None:
    allowed = {
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"
    }
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE.read_text(), re.MULTILINE)
    names = {name for line in copied for name in line.split()}
    assert names
    for name in names:
        assert (ROOT / name).exists(), name
    assert names == allowed
