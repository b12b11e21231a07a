"""django-post_office for `send.py`: run by the interpreter of its own environment.

Sends the digests of a folder (`peer_rows.py`) in two ways. `written`: a row holds a template and
a context and is rendered at delivery (`render_on_delivery`), as our rows hold papers and reasons.
`rendered`: a row holds finished texts, rendered before. Each way is timed with two processes at its
own best number of threads.

Its documentation is followed: bulk creation, no log rows for successes (set only in the settings,
which its processes read), everything in one batch, one connection per thread for all its messages.
`EmailTemplate` compiles its texts again for every message, so here they only include a file, which
Django's cached loader compiles once per process.

    python bench/sending/peer_post_office.py DATABASE_URL SMTP_PORT FOLDER MESSAGES
"""

import json
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

# As in the other scripts, modules are imported relative to `bench/`.
sys.path[0] = str(Path(__file__).resolve().parents[1])

import django  # noqa: E402  # the path must come first
from django.conf import settings  # noqa: E402

from sending.words import read_words  # noqa: E402

WAYS = ("written", "rendered")
THREADS = (2, 5, 10)
TRIED = 400
COMPARED = 200


def configure(url: str, port: int, folder: Path) -> None:
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
            "CELERY_ENABLED": False,
            "LOG_LEVEL": 1,
        },
        # With `DIRS` alone, files are read by the cached loader.
        TEMPLATES=[
            {"BACKEND": "django.template.backends.django.DjangoTemplates", "DIRS": [str(folder)]}
        ],
        USE_TZ=True,
        LOGGING={
            "version": 1,
            "handlers": {"none": {"class": "logging.NullHandler"}},
            "loggers": {"post_office": {"handlers": ["none"], "propagate": False}},
        },
    )
    django.setup()


def parse_rows(folder: Path, count: int) -> Iterator[dict[str, Any]]:
    with (folder / "rows.jsonl").open() as lines:
        yield from map(json.loads, islice(lines, count))


def store_template() -> Any:
    from post_office.models import EmailTemplate

    return EmailTemplate.objects.create(
        name="digest",
        subject="{{ subject|safe }}",
        content='{% autoescape off %}{% include "body.txt" %}{% endautoescape %}',
        html_content='{% include "body.html" %}',
    )


def make_email(row: dict[str, Any], template: Any | None) -> Any:
    """Return one of its rows: with a template and a context, or with finished texts."""
    from post_office.models import STATUS, Email

    written = {"template": template, "context": row["context"]}
    rendered = {"subject": row["subject"], "message": row["text"], "html_message": row["html"]}
    return Email(
        from_email=row["sender"],
        to=[row["to"]],
        headers=row["headers"],
        message_id=row["message_id"],
        status=STATUS.queued,
        priority=2,
        **(written if template else rendered),
    )


def queue(folder: Path, count: int, template: Any | None) -> None:
    """Insert `count` rows into the emptied queue."""
    from django.db import connection
    from post_office.models import Email

    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE post_office_email CASCADE")
    rows = parse_rows(folder, count)
    while chunk := [make_email(row, template) for row in islice(rows, 500)]:
        Email.objects.bulk_create(chunk)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM (ANALYZE) post_office_email")


def send(threads: int, count: int) -> tuple[float, float]:
    """Send the queue; return messages per second, and microseconds of processor time per message."""
    from django.db import connections
    from post_office.mail import send_queued

    settings.POST_OFFICE |= {"THREADS_PER_PROCESS": threads, "BATCH_SIZE": count}
    connections.close_all()
    began, used = time.monotonic(), used_seconds()
    sent, failed, requeued = send_queued(processes=2)
    seconds, used = time.monotonic() - began, used_seconds() - used
    # The forked processes have closed the connection that they inherited.
    connections.close_all()
    if sent != count:
        raise SystemExit(f"post_office: {sent} sent, {failed} failed, {requeued} put off")
    return count / seconds, used / count * 1e6


def used_seconds() -> float:
    """Return the processor time of this process and of its ended children."""
    return sum(os.times()[:4])


def measure(folder: Path, count: int, template: Any | None) -> dict[str, Any]:
    tried: dict[int, float] = {}
    few = min(TRIED, count)
    for threads in THREADS:
        queue(folder, few, template)
        tried[threads], _ = send(threads, few)
    best = max(tried, key=tried.__getitem__)
    queue(folder, count, template)
    rate, cpu_us = send(best, count)
    return {"rate": rate, "threads": best, "cpu_us": cpu_us, "tried": tried}


def compare(folder: Path, template: Any) -> None:
    """Check that mails rendered at delivery have the same words and links as ours."""
    from post_office.models import Email

    queue(folder, COMPARED, template)
    stored = Email.objects.order_by("id").select_related("template")
    for row, email in zip(parse_rows(folder, COMPARED), stored, strict=True):
        message = email.email_message()
        parts = (message.subject, message.body.split(), read_words(message.alternatives[0][0]))
        if parts != (row["subject"], row["text"].split(), read_words(row["html"])):
            raise SystemExit(f"post_office: another mail than ours for {row['to']}")


def main() -> int:
    url, port, folder, count = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])
    # Its process pool requires the start method fork.
    multiprocessing.set_start_method("fork")
    configure(url, port, folder)
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    template = store_template()
    compare(folder, template)
    ways = dict(zip(WAYS, (template, None), strict=True))
    print(json.dumps({way: measure(folder, count, one) for way, one in ways.items()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
