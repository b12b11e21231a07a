"""The bell: heard where there is a broker, and never a reason to fail where there is none."""

from __future__ import annotations

import time

import pytest
import redis
from support.smtp.smtp_sink import free_port

from service.platform.queue import TASK_QUEUES, make_ring
from service.platform.settings.settings import broker_url


def test_a_bell_lies_in_the_queue_of_its_task(redis_url: str) -> None:
    ring = make_ring(broker_url(redis_url))
    ring("compose", 17)
    ring("deliver")
    with redis.Redis.from_url(redis_url) as client:
        assert client.llen("compose") == 1
        assert client.llen("send") == 1
        (letter,) = client.lrange("compose", 0, -1)
    assert b'"task": "compose"' in letter


def test_an_unknown_task_is_a_fault_of_ours(redis_url: str) -> None:
    with pytest.raises(KeyError):
        make_ring(broker_url(redis_url))("no_such_task")


def test_a_broker_that_is_away_is_given_up_within_seconds_and_without_an_error(
    tmp_path: object,
) -> None:
    for address in (f"redis://127.0.0.1:{free_port()}/0", f"redis+socket://{tmp_path}/no.sock"):
        ring = make_ring(address)
        began = time.monotonic()
        ring("deliver")
        assert time.monotonic() - began < 5


def test_the_bell_rings_again_when_the_broker_is_back(redis_url: str) -> None:
    away = make_ring(f"redis://127.0.0.1:{free_port()}/0")
    away("deliver")
    make_ring(broker_url(redis_url))("deliver")
    with redis.Redis.from_url(redis_url) as client:
        assert client.llen(TASK_QUEUES["deliver"]) == 1
