"""The doorbell rings with ids alone, and a bell that nobody hears is no error."""

from __future__ import annotations

import json
import time

import pytest
import redis
from structlog.testing import capture_logs
from support.smtp.smtp_sink import free_port

from service.platform.queue import TASK_QUEUES, make_ring
from service.platform.settings.settings import broker_url


@pytest.mark.parametrize(("task", "queue"), TASK_QUEUES.items())
def test_a_ring_is_one_message_with_ids_in_the_queue_of_its_task(
    redis_url: str, task: str, queue: str
) -> None:
    make_ring(broker_url(redis_url))(task, 17, "arxiv")
    with redis.Redis.from_url(redis_url) as client:
        (raw,) = client.lrange(queue, 0, -1)
    message = json.loads(raw)
    assert message["headers"]["task"] == task
    assert message["headers"]["argsrepr"] == "(17, 'arxiv')"


def test_an_unknown_task_is_a_mistake_of_the_caller(redis_url: str) -> None:
    with pytest.raises(KeyError, match="delivr"):
        make_ring(broker_url(redis_url))("delivr")


def test_a_bell_that_cannot_be_rung_is_logged_and_no_error() -> None:
    ring = make_ring(f"redis://127.0.0.1:{free_port()}/0")
    began = time.monotonic()
    with capture_logs() as logged:
        ring("deliver")
    assert time.monotonic() - began < 8
    assert [(line["event"], line["task"]) for line in logged] == [("ring.unheard", "deliver")]
