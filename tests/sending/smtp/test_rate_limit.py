"""One rate for all workers, and each its share while nobody counts for them."""

import socket
import threading
import time

import pytest
import redis

from service.platform.settings.settings import Settings
from service.sending.smtp.rate_limit import ASSUMED_WORKERS, SendRate, open_rate


def send_for(rate: SendRate, seconds: float, waiting: int = 10_000) -> int:
    """As many messages as the rate lets go, as the transport asks for them."""
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
        threading.Thread(target=lambda one=worker: sent.append(send_for(one, 2.0)))
        for worker in workers
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    for worker in workers:
        worker.close()
    # 200 are due; slots that were taken and not reached in time are the only loss.
    assert 100 <= sum(sent) <= 205
    assert min(sent) > 0


def test_nothing_is_saved_up_while_nobody_sends(redis_url: str) -> None:
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


def test_without_valkey_a_worker_sends_its_share_and_says_so(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rate = SendRate("redis://127.0.0.1:1/0", 40 * ASSUMED_WORKERS, ask_again_seconds=0.3)
    sent = send_for(rate, 1.0)
    assert 25 <= sent <= 42, "neither stopped nor unlimited"
    said = capsys.readouterr()
    assert (said.out + said.err).count("send_rate.own") == 1


def test_valkey_that_goes_away_leaves_the_share_of_the_workers_last_seen_and_comes_back(
    redis_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    rate, other = (SendRate(redis_url, 80, ask_again_seconds=0.3) for _ in range(2))
    for one in (other, rate):
        one.wait_seconds(1)
        one.spend()
    with redis.Redis.from_url(redis_url) as valkey:
        # A value of another type: every question fails until it is gone.
        valkey.set("paperboy:send_rate:workers", "broken")
        assert 20 <= send_for(rate, 1.0) <= 43, "half of the rate: two were sending"
        valkey.flushdb()
    time.sleep(0.35)
    assert send_for(rate, 1.0) >= 55
    said = capsys.readouterr()
    assert "send_rate.own" in said.out + said.err
    assert "send_rate.shared" in said.out + said.err
    for one in (rate, other):
        one.close()


def test_a_valkey_that_hangs_costs_a_timeout_and_not_the_mail() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        rate = SendRate(url, 40 * ASSUMED_WORKERS, timeout_seconds=0.2)
        assert send_for(rate, 1.5) >= 20
        rate.close()


def test_a_process_takes_its_part_only_where_a_rate_is_set(redis_url: str) -> None:
    settings = Settings(redis_url=redis_url)
    assert open_rate(settings) is None
    first, second = (open_rate(settings.model_copy(update={"send_rate": 0.5})) for _ in range(2))
    assert first is not None
    assert second is not None
    assert first.wait_seconds(1) == 0
    assert 1.5 < second.wait_seconds(1) <= 2.0
    for rate in (first, second):
        rate.close()
