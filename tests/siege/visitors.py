"""Honest visitors: each comes from an address of its own, subscribes, confirms, looks around, and some leave.

    python -m siege.visitors URL SECONDS HOME

They use no script, as patient as a person: where the site asks them to wait or to press the button again,
they do, for two minutes. Prints one JSON object: requests, p95 in milliseconds, and what was refused.
"""

import json
import re
import statistics
import sys
import threading
import time
from collections import Counter
from email import message_from_bytes, policy
from itertools import count
from pathlib import Path

import httpx2
from support.web.link_walk import hidden_fields

EVERY_SECONDS = 1.0
FILL_IN_SECONDS = 3.0
PATIENCE_SECONDS = 120.0
MAIL_SECONDS = 90.0
TOPIC = '"continual learning" OR cat:cs.CL'


class Refused(Exception):
    """The visitor did not get what they came for."""


class Visitor:
    """One person. `milliseconds` are of every request."""

    def __init__(self, url: str, home: Path, number: int) -> None:
        self.name = f"visitor{number}"
        self.milliseconds: list[float] = []
        self._home = home
        self._number = number
        origin = f"127.0.{1 + number // 250}.{1 + number % 250}"
        self._client = httpx2.Client(
            base_url=url, timeout=30, transport=httpx2.HTTPTransport(local_address=origin)
        )

    def visit(self) -> None:
        """Do it all. Raises `Refused`, with the step."""
        with self._client:
            self.ask("GET", "/healthz")
            form = self.ask("GET", "/").text
            self.ask("GET", "/search?q=cat:cs.CL")
            self.ask("GET", f"/topics/preview?q={TOPIC}")
            time.sleep(FILL_IN_SECONDS)
            self.subscribe(form)
            link = self.link_in("/confirm/")
            self.ask("GET", link)
            self.ask("POST", link)
            if self._number % 2:
                leave = self.link_in("/unsubscribe/")
                self.ask("POST", leave, data={"List-Unsubscribe": "One-Click"})

    def subscribe(self, page: str) -> None:
        """Post the form; where the site asks for patience, wait and post what it shows then."""
        fields = {**hidden_fields(page), "email": f"{self.name}@example.net", "topic": TOPIC}
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            answer = self._timed("POST", "/subscribe", data=fields)
            if answer.status_code == 200 and 'name="email" type="hidden"' not in answer.text:
                return
            if answer.status_code not in {200, 429, 503} or time.monotonic() > deadline:
                raise Refused(f"POST /subscribe: {answer.status_code}")
            fields |= hidden_fields(answer.text)
            time.sleep(min(float(answer.headers.get("retry-after", 5)), 35.0))

    def link_in(self, part: str) -> str:
        """Return the path of a link with `part` in it, from the newest mail that has one."""
        deadline = time.monotonic() + MAIL_SECONDS
        while time.monotonic() < deadline:
            for path in sorted((self._home / "mails").glob(f"{self.name}.*"), reverse=True):
                message = message_from_bytes(path.read_bytes(), policy=policy.default)
                text = message.get_body(("plain",)).get_content()  # type: ignore[union-attr]
                found = re.search(
                    rf"https?://[^/\s]+({part}[^\s>]+)", f"{message['List-Unsubscribe']} {text}"
                )
                if found:
                    return found[1]
            time.sleep(0.5)
        raise Refused(f"no mail with {part} within {MAIL_SECONDS:.0f} s")

    def ask(self, method: str, path: str, **options: object) -> httpx2.Response:
        """Return the answer. Raises `Refused` unless it succeeds."""
        answer = self._timed(method, path, **options)
        if not answer.is_success:
            step = re.sub(r"(?<=/)[\w.=-]{20,}.*", "…", path.partition("?")[0])
            raise Refused(f"{method} {step}: {answer.status_code}")
        return answer

    def _timed(self, method: str, path: str, **options: object) -> httpx2.Response:
        began = time.monotonic()
        try:
            return self._client.request(method, path, **options)  # type: ignore[arg-type]
        except httpx2.HTTPError as error:
            raise Refused(f"{method} {path.split('/')[1]}: {type(error).__name__}") from error
        finally:
            self.milliseconds.append(1000 * (time.monotonic() - began))


def main() -> None:
    url, seconds, home = sys.argv[1], float(sys.argv[2]), Path(sys.argv[3])
    visitors: list[Visitor] = []
    refusals: Counter[str] = Counter()
    subscribed = count()
    done = [0]
    threads = []

    def run(visitor: Visitor) -> None:
        try:
            visitor.visit()
            done[0] = next(subscribed) + 1
        except Refused as refusal:
            refusals[str(refusal)] += 1

    ends_at = time.monotonic() + seconds - FILL_IN_SECONDS
    for number in count():
        if time.monotonic() > ends_at:
            break
        visitors.append(Visitor(url, home, number))
        threads.append(threading.Thread(target=run, args=(visitors[-1],), daemon=True))
        threads[-1].start()
        time.sleep(EVERY_SECONDS)
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
    times = [one for visitor in visitors for one in visitor.milliseconds]
    result = {
        "visitors": len(visitors),
        "subscribed": done[0],
        "requests": len(times),
        "p50_ms": round(statistics.median(times)),
        "p95_ms": round(statistics.quantiles(times, n=20)[-1]),
        "worst_ms": round(max(times)),
        "refused": sum(refusals.values()),
        "refusals": dict(refusals),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
