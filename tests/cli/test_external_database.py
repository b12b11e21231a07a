"""A database server of the operator's own, with a role that owns nothing but its database."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import psycopg
import pytest
from support.newsletter.commands import LATER, NOW, Paperboy
from support.servers.embedded_using import postgres_of
from support.smtp.smtp_sink import SmtpSink

from service.similarity.availability import NOT_HERE

pytestmark = pytest.mark.slow

COMMAND = "psql -d news -c 'CREATE EXTENSION vector'"


@pytest.fixture
def superuser_url(
    environment: None, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """Point the settings to a database of an ordinary role; return a superuser's URL of it."""
    with postgres_of(data_dir) as services:
        superuser = services.database_url.replace("//paperboy@", "//postgres@")
        with psycopg.connect(superuser, autocommit=True) as admin:
            admin.execute("CREATE ROLE editor LOGIN")
            # The server's own template has the extension; an operator's has not.
            admin.execute("CREATE DATABASE news OWNER editor TEMPLATE template0")
        server = services.database_url.partition("?")[2]
        monkeypatch.setenv("PAPERBOY_DATABASE_URL", f"postgresql://editor@/news?{server}")
        yield superuser.replace("/paperboy?", "/news?")


def test_a_role_that_owns_only_its_database_goes_without_vectors_and_may_add_them_later(
    superuser_url: str, paperboy: Paperboy, sample_day: date, smtp_sink: SmtpSink
) -> None:
    findings = {each["subject"]: each for each in paperboy("doctor", "--json").value}
    assert findings["database"]["hint"] == "Run: paperboy migrate"
    assert COMMAND in findings["model"]["hint"], "the command is known before migrating"

    made = paperboy("migrate")
    assert made.code == 0, made.err
    assert "like: and similar papers are off" in made.out
    assert COMMAND in made.out

    refused = paperboy(*NOW, "topics", "test", 'like:"robots that learn"')
    assert refused.code == 2
    assert NOT_HERE in refused.complaint
    added = paperboy(
        *NOW, "subscribers", "add", "a@a.example", "--topic", "cat:cs.CL", "--confirmed"
    )
    assert added.code == 0, added.err
    assert paperboy(*NOW, "ingest").code == 0
    published = paperboy(*LATER, "publish", "--force")
    assert published.code == 0, published.err
    subjects = [mail.message["Subject"] for mail in smtp_sink.wait_for(1)]
    assert "10 new" in subjects[-1], published.out

    with psycopg.connect(superuser_url, autocommit=True) as admin:
        admin.execute("CREATE EXTENSION vector")
    assert paperboy("migrate", "--json").value == {"revision": "0001", "like": True}
    learned = paperboy(*NOW, "meanings", "--json").value
    assert learned["papers"] > 10
    assert paperboy(*NOW, "topics", "test", 'like:"robots that learn"').code == 0
