"""One lane per test process: the servers, a filled template database, an empty queue."""

from collections.abc import Iterator

import pytest
from support.chaos.lane import Lane, fork_environment, open_lane
from support.servers.databases import TestServers, with_number


@pytest.fixture(scope="session")
def lane(servers: TestServers, template_database: str, worker: str) -> Iterator[Lane]:
    number = 0 if worker == "main" else 1 + int(worker.removeprefix("gw"))
    redis_url = with_number(servers.redis_url, number)
    with (
        fork_environment(servers),
        open_lane(servers, template_database, redis_url, f"chaos_{worker}") as lane,
    ):
        yield lane
