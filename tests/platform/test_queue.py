"""Wake-up tasks: ids in the queue of their task, and no error without a broker."""

import json
import time

import pytest
import redis
from structlog.testing import capture_logs
from support.smtp.smtp_sink import free_port

from service.platform.queue import PREFIX, TASK_QUEUES, make_enqueue
from service.platform.settings.settings import broker_url


def test_a_wake_up_task_is_in_its_queue(redis_url: str) -> None:
    enqueue = make_enqueue(broker_url(redis_url))
    enqueue("compose", 17)
    enqueue("deliver")
    with redis.Redis.from_url(redis_url) as client:
        assert client.llen("paperboy.compose") == 1
        assert client.llen("paperboy.send") == 1
        (letter,) = client.lrange("paperboy.compose", 0, -1)
    assert b'"task": "paperboy.compose"' in letter


def test_an_unknown_task_raises(redis_url: str) -> None:
    with pytest.raises(KeyError):
        make_enqueue(broker_url(redis_url))("no_such_task")


def test_a_broker_that_is_down_is_given_up_within_seconds_and_without_an_error(
    tmp_path: object,
) -> None:
    for address in (
        f"redis://127.0.0.1:{free_port()}/0",
        f"redis+socket://{tmp_path}/no.sock",
        f"amqp://127.0.0.1:{free_port()}//",
    ):
        enqueue = make_enqueue(address)
        began = time.monotonic()
        enqueue("deliver")
        assert time.monotonic() - began < 5


def test_tasks_are_queued_again_when_the_broker_is_back(redis_url: str) -> None:
    away = make_enqueue(f"redis://127.0.0.1:{free_port()}/0")
    away("deliver")
    make_enqueue(broker_url(redis_url))("deliver")
    with redis.Redis.from_url(redis_url) as client:
        assert client.llen(TASK_QUEUES["paperboy.deliver"]) == 1


@pytest.mark.parametrize(("task", "queue"), TASK_QUEUES.items())
def test_a_wake_up_task_is_one_message_with_ids(redis_url: str, task: str, queue: str) -> None:
    make_enqueue(broker_url(redis_url))(task.removeprefix(PREFIX), 17, "arxiv")
    with redis.Redis.from_url(redis_url) as client:
        (raw,) = client.lrange(queue, 0, -1)
    message = json.loads(raw)
    assert message["headers"]["task"] == task
    assert message["headers"]["argsrepr"] == "(17, 'arxiv')"


def test_an_unknown_task_is_a_mistake_of_the_caller(redis_url: str) -> None:
    with pytest.raises(KeyError, match="delivr"):
        make_enqueue(broker_url(redis_url))("delivr")


def test_a_task_that_cannot_be_queued_is_logged_and_no_error() -> None:
    enqueue = make_enqueue(f"redis://127.0.0.1:{free_port()}/0")
    began = time.monotonic()
    with capture_logs() as logged:
        enqueue("deliver")
    assert time.monotonic() - began < 8
    assert [(line["event"], line["task"]) for line in logged] == [("enqueue.failed", "deliver")]
