"""The broker of the workers' tests: Valkey or Redis, or RabbitMQ where PAPERBOY_TEST_SERVERS names it."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator

import pytest
from kombu.connection import Connection
from kombu.exceptions import OperationalError
from support.servers.versions import broker_version, note_version, wanted_servers
from support.smtp.smtp_sink import free_port, wait_until

from service.platform.queue import TASK_QUEUES, ping_broker
from service.platform.settings.settings import Settings

# Not the one on PATH, which only root and the account `rabbitmq` may run.
PROGRAM = "/usr/lib/rabbitmq/bin/rabbitmq-server"


def answers(url: str) -> Callable[[], bool]:
    def ask() -> bool:
        try:
            ping_broker(url, 1)
        except OperationalError:
            return False
        return True

    return ask


@pytest.fixture(scope="session")
def amqp_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a RabbitMQ node of this process's own, with a daemon for names on a port of its own."""
    home, port, epmd_port = tmp_path_factory.mktemp("rabbitmq"), free_port(), free_port()
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "RABBITMQ_MNESIA_BASE": str(home / "data"),
        "RABBITMQ_LOG_BASE": str(home / "log"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "plugins"),
        "RABBITMQ_CONF_ENV_FILE": os.devnull,
        "RABBITMQ_NODENAME": f"paperboy{port}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(free_port()),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_EPMD_PORT": str(epmd_port),
    }
    url = f"amqp://guest:guest@127.0.0.1:{port}//"
    with (home / "out").open("wb") as out:
        process = subprocess.Popen([PROGRAM], env=environ, stdout=out, stderr=out)
        try:
            wait_until(answers(url), 90)
            note_version(broker_version(url))
            yield url
        finally:
            process.terminate()
            process.wait(60)
            epmd = shutil.which("epmd")
            assert epmd
            subprocess.run([epmd, "-kill"], env=environ, check=False, capture_output=True)


@pytest.fixture
def settings(request: pytest.FixtureRequest, settings: Settings) -> Settings:
    if not any(part.startswith("RabbitMQ") for part in wanted_servers()):
        return settings
    url: str = request.getfixturevalue("amqp_url")
    with Connection(url) as connection:  # type: ignore[no-untyped-call]  # kombu has no annotations
        for queue in set(TASK_QUEUES.values()):
            # Emptied and not deleted: this process remembers that it declared the queue.
            connection.default_channel.queue_declare(queue, durable=True, auto_delete=False)
            connection.default_channel.queue_purge(queue)
    return settings.model_copy(update={"broker_url": url})
