"""django-post_office for `send.py`: run by the interpreter of its own environment.

Queues so many messages of one size in PostgreSQL, then sends them by `send_queued` with two
processes, and prints messages a second. Its own advice is followed: bulk creation, no log rows for
what went well, one connection a thread, and the best of several numbers of threads.

    python send_post_office.py DATABASE_URL SMTP_PORT MESSAGES HTML_BYTES
"""

from __future__ import annotations

import json
import multiprocessing
import sys
import time
from urllib.parse import parse_qs, urlsplit

import django
from django.conf import settings

THREADS = (2, 5, 10)
BATCH = 500
TRIED = 400


def configure(url: str, port: int) -> None:
    parts = urlsplit(url)
    host = parse_qs(parts.query).get("host", [parts.hostname or ""])[0]
    settings.configure(
        INSTALLED_APPS=["django.contrib.contenttypes", "post_office"],
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.postgresql",
                "NAME": parts.path.strip("/"),
                "USER": parts.username,
                "HOST": host,
            }
        },
        EMAIL_BACKEND="post_office.EmailBackend",
        EMAIL_HOST="127.0.0.1",
        EMAIL_PORT=port,
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        POST_OFFICE={
            "BACKENDS": {"default": "django.core.mail.backends.smtp.EmailBackend"},
            "BATCH_SIZE": BATCH,
            "CELERY_ENABLED": False,
        },
        TEMPLATES=[{"BACKEND": "post_office.template.backends.post_office.PostOfficeTemplates"}],
        USE_TZ=True,
        LOGGING={
            "version": 1,
            "handlers": {"none": {"class": "logging.NullHandler"}},
            "loggers": {"post_office": {"handlers": ["none"], "propagate": False}},
        },
    )
    django.setup()


def queue(count: int, html_bytes: int) -> None:
    from post_office.models import STATUS, Email

    line = "<p>An invented sentence about papers that nobody has written, of usual length.</p>\n"
    html = line * (html_bytes // len(line))
    text = "An invented sentence about papers.\n" * (html_bytes // 350)
    Email.objects.bulk_create(
        [
            Email(
                from_email="digest@papers.example.org",
                to=[f"reader{number}@example.org"],
                subject=f"{number} new papers",
                message=f"Dear reader {number}\n{text}",
                html_message=f"<p>Dear reader {number}</p>\n{html}",
                status=STATUS.queued,
                priority=2,
                message_id=f"<{number}.{time.time_ns()}@papers.example.org>",
            )
            for number in range(count)
        ],
        batch_size=500,
    )


def send(threads: int) -> float:
    """Seconds to send everything that is queued."""
    from django.db import connections
    from post_office.mail import send_queued

    settings.POST_OFFICE["THREADS_PER_PROCESS"] = threads
    connections.close_all()
    began = time.monotonic()
    _, failed, requeued = send_queued(processes=2, log_level=1)
    seconds = time.monotonic() - began
    # The forked processes have ended the connection that they had from here.
    connections.close_all()
    if failed or requeued:
        raise SystemExit(f"post_office: {failed} failed, {requeued} put off")
    return seconds


def drain(threads: int, count: int) -> float:
    """Messages a second; `send_queued` takes one batch a process and call."""
    from post_office.models import STATUS, Email

    seconds = 0.0
    while Email.objects.filter(status=STATUS.queued).exists():
        seconds += send(threads)
    return count / seconds


def main() -> int:
    url, port, count, html_bytes = sys.argv[1], *map(int, sys.argv[2:5])
    # Its pool of processes counts on being forked.
    multiprocessing.set_start_method("fork")
    configure(url, port)
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    rates = {}
    for threads in THREADS:
        queue(TRIED, html_bytes)
        rates[threads] = drain(threads, TRIED)
    best = max(rates, key=rates.__getitem__)
    queue(count, html_bytes)
    settings.POST_OFFICE["BATCH_SIZE"] = count
    rate = drain(best, count)
    print(json.dumps({"rate": rate, "threads": best, "tried": rates}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
