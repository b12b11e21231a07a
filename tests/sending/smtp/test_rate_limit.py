"""One rate limit for all workers, and a share for each while Valkey is unavailable."""

import socket
import threading
import time

import pytest
import redis

from service.platform.settings.settings import Settings
from service.sending.smtp.rate_limit import ASSUMED_WORKERS, SendRate, open_rate


def send_for(rate: SendRate, seconds: float, waiting: int = 10_000) -> int:
    """Spend slots for some seconds as the transport does; return how many messages that allows."""
    count, ends = 0, time.monotonic() + seconds
    while (left := ends - time.monotonic()) > 0:
        pause = rate.wait_seconds(waiting)
        if pause > 0:
            time.sleep(min(pause, left))
        else:
            rate.spend()
            count += 1
    return count


def test_workers_share_one_rate(redis_url: str) -> None:
    workers = [SendRate(redis_url, 100) for _ in range(4)]
    sent: list[int] = []
    threads = [
        threading.Thread(target=lambda rate=worker: sent.append(send_for(rate, 2.0)))
        for worker in workers
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    for worker in workers:
        worker.close()
    # 200 are due; only slots that were taken and not reached in time are lost.
    assert 100 <= sum(sent) <= 205
    assert min(sent) > 0


def test_unused_slots_expire(redis_url: str) -> None:
    rate = SendRate(redis_url, 50)
    assert send_for(rate, 0.4) <= 21
    time.sleep(1.0)
    assert send_for(rate, 0.4, waiting=10_000) <= 21 + 13, "at most the slots in hand on top"
    rate.close()


def test_a_single_message_takes_a_single_slot(redis_url: str) -> None:
    first, second = SendRate(redis_url, 1), SendRate(redis_url, 1)
    assert first.wait_seconds(1) == 0
    first.spend()
    assert 0.5 < second.wait_seconds(1) <= 1.0
    for rate in (first, second):
        rate.close()


def test_without_valkey_a_worker_sends_its_share_and_logs_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rate = SendRate("redis://127.0.0.1:1/0", 40 * ASSUMED_WORKERS, ask_again_seconds=0.3)
    sent = send_for(rate, 1.0)
    assert 25 <= sent <= 42, "neither stopped nor unlimited"
    output = capsys.readouterr()
    assert (output.out + output.err).count("send_rate.own") == 1


def test_without_valkey_the_share_follows_the_workers_last_seen_until_it_is_back(
    redis_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    rate, other = (SendRate(redis_url, 80, ask_again_seconds=0.3) for _ in range(2))
    for limiter in (other, rate):
        limiter.wait_seconds(1)
        limiter.spend()
    with redis.Redis.from_url(redis_url) as valkey:
        # A value of another type makes every request fail until it is deleted.
        valkey.set("paperboy:send_rate:workers", "broken")
        assert 20 <= send_for(rate, 1.0) <= 43, "half of the rate: two were sending"
        valkey.flushdb()
    time.sleep(0.35)
    assert send_for(rate, 1.0) >= 55
    output = capsys.readouterr()
    assert "send_rate.own" in output.out + output.err
    assert "send_rate.shared" in output.out + output.err
    for limiter in (rate, other):
        limiter.close()


def test_a_valkey_that_hangs_costs_a_timeout_and_not_the_mail() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        rate = SendRate(url, 40 * ASSUMED_WORKERS, timeout_seconds=0.2)
        assert send_for(rate, 1.5) >= 20
        rate.close()


def test_a_process_has_a_rate_limit_only_if_one_is_set(redis_url: str) -> None:
    settings = Settings(redis_url=redis_url)
    assert open_rate(settings) is None
    first, second = (open_rate(settings.model_copy(update={"send_rate": 0.5})) for _ in range(2))
    assert first is not None
    assert second is not None
    assert first.wait_seconds(1) == 0
    assert 1.5 < second.wait_seconds(1) <= 2.0
    for rate in (first, second):
        rate.close()
