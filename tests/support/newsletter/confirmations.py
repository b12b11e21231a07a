"""Sign-ups by the form while an edition is being sent, and how long each waits for its mail."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2

from service.cli.processes import LOOPBACK, Stack, beat_schedule
from service.platform.settings.settings import Settings
from support.servers.processes import settings_environ
from support.smtp.smtp_sink import SmtpSink, free_port


@contextmanager
def running_service(settings: Settings, **changes: str) -> Iterator[str]:
    """Run the processes of `paperboy up`, with its queues and pools; yield the site's address."""
    port = free_port()
    url = f"http://{LOOPBACK}:{port}"
    environ = settings_environ(settings, BASE_URL=url, **changes)
    with Stack(settings, {}, stop_seconds=2, environ=environ) as stack:
        stack.start("web", "--host", LOOPBACK, "--port", str(port))
        stack.start_workers()
        stack.start("beat", *beat_schedule(settings.data_dir))
        stack.wait_for_web(url)
        yield url
        stack.check()


class Arrivals:
    """When the first mail of each recipient was accepted by a sink, by `time.monotonic`."""

    def __init__(self, sink: SmtpSink) -> None:
        self._times: dict[str, float] = {}
        self._changed = threading.Condition()
        sink.on_data = self._note

    def __len__(self) -> int:
        return len(self._times)

    def _note(self, recipient: str) -> None:
        with self._changed:
            self._times.setdefault(recipient, time.monotonic())
            self._changed.notify_all()

    def wait_for(self, recipient: str, seconds: float) -> float:
        """Return when a recipient's first mail came. Raises TimeoutError."""
        with self._changed:
            if not self._changed.wait_for(lambda: recipient in self._times, seconds):
                raise TimeoutError(f"no mail for {recipient} within {seconds} s")
            return self._times[recipient]

    def wait_for_count(self, count: int, seconds: float) -> None:
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._times) >= count, seconds):
                raise TimeoutError(f"{len(self._times)} of {count} mails after {seconds} s")


def sign_ups_until_mailed(
    url: str, arrivals: Arrivals, count: int, gap_seconds: float, most_seconds: float
) -> list[float]:
    """Sign `count` people up, one every some seconds; return how long each waited for its mail.

    Raises TimeoutError where one waits longer than `most_seconds`.
    """
    posted: dict[str, float] = {}
    for number in range(count):
        email = f"new{number}@site{number}.example"
        posted[email] = time.monotonic()
        httpx2.post(f"{url}/subscribe", data={"email": email}, timeout=30).raise_for_status()
        time.sleep(max(0.0, gap_seconds - (time.monotonic() - posted[email])))
    return [
        arrivals.wait_for(email, max(0.1, at + most_seconds - time.monotonic())) - at
        for email, at in posted.items()
    ]
