"""Tasks: each calls one action and rings for what comes next. Longer than twelve lines is wrong."""

from datetime import timedelta

from service.bounces.inbound.mailbox import MailboxUnavailable
from service.bounces.record import read_bounce_mailbox, settle_bounces
from service.deliveries.alerts import report_mailbox
from service.editions.catch_up import compose_catch_ups
from service.editions.compose import compose_chunk
from service.editions.publish import finish_open_editions, open_due_editions, pending_chunks
from service.operations.monitoring import report_troubles as report_all
from service.papers.arxiv_backfill import forget_changes, heal_arxiv
from service.papers.complete_stubs import complete_stubs
from service.papers.ingest import ingest_source, refresh_lists
from service.papers.listing_check import close_overdue
from service.papers.trends import refresh_recent_trends
from service.sending.deliver import deliver as deliver_due
from service.sending.deliver import sweep as sweep_left
from service.sending.restore_guard import alerting_restored, refuse_restored
from service.similarity.embed_papers import count_lexemes
from service.similarity.embed_papers import learn_meanings as learn_some
from service.topics.compile_topics import compile_topics
from service.topics.like_clauses import prepare_like_queries
from service.topics.like_queries import renew_like_queries
from workers.app import app, process

# A warm shutdown waits for the running task, so it must come to an end while an edition does not.
LONGEST_DELIVER = timedelta(seconds=60)
# A newcomer's archive is learned in several turns, so that ingest is not kept waiting behind it.
LEARNED_AT_ONCE = 20_000


@app.task(name="ingest")
def ingest(source_name: str) -> None:
    """Read a source's day (`journal`: all journals), if it is set and the day is not in yet."""
    here = process.runtime
    for source in here.sources:
        if source_name in {source.name, source.name.partition(".")[0]}:
            ingest_source(here.sessions, here.settings, source, None, here.clock())
            here.enqueue("learn_meanings")
            here.enqueue("open_editions")


@app.task(name="heal")
def heal() -> None:
    """Read the last days again: what was missed comes late, what people think has moved on."""
    here = process.runtime
    if here.oai is not None and "arxiv" in here.settings.sources:
        heal_arxiv(here.sessions, here.settings, here.oai, here.clock())
    if here.api is not None:
        complete_stubs(here.sessions, here.api, here.clock())
    refresh_lists(here.sessions, here.settings, here.sources, here.clock())
    refresh_recent_trends(here.sessions, here.clock())
    forget_changes(here.sessions)


@app.task(name="learn_meanings")
def learn_meanings() -> None:
    """Learn what new papers are about, and bring topics and `like:` clauses up to date with it."""
    here = process.runtime
    learn_some(here.sessions, here.settings, LEARNED_AT_ONCE)
    count_lexemes(here.sessions, here.settings)
    compile_topics(here.sessions)
    prepare_like_queries(here.sessions, here.settings)
    if renew_like_queries(here.sessions, here.settings):
        here.enqueue("learn_meanings")


@app.task(name="open_editions")
def open_editions() -> None:
    """Open the editions that are due, ring for each chunk that nobody has composed, and see to
    readers who are back from a pause."""
    here = process.runtime
    close_overdue(here.sessions, here.clock())
    open_due_editions(here.sessions, here.settings, here.clock(), here.opening)
    finish_open_editions(here.sessions, here.clock())
    if compose_catch_ups(here.sessions, here.settings, here.clock()):
        here.enqueue("deliver")
    for chunk_id in pending_chunks(here.sessions):
        here.enqueue("compose", chunk_id)


@app.task(name="compose")
def compose(chunk_id: int) -> None:
    """Compose one chunk of readers, and ring for the sending."""
    here = process.runtime
    if compose_chunk(here.sessions, here.settings, chunk_id, here.clock(), here.editions):
        here.enqueue("deliver")


@app.task(name="deliver")
def deliver() -> None:
    """Send what is due for a minute; if there was something to send, ring for the rest."""
    here = process.runtime
    with alerting_restored(here.sessions, here.settings, here.clock(), here.enqueue):
        if deliver_due(here.sender, longest=LONGEST_DELIVER).total:
            here.enqueue("deliver")


@app.task(name="sweep")
def sweep() -> None:
    """Heal what dead senders left, and ring if there is something to send again."""
    here = process.runtime
    with alerting_restored(here.sessions, here.settings, here.clock(), here.enqueue):
        refuse_restored(here.sessions, here.settings)  # what a backup left is no new work
        requeued, _ = sweep_left(here.sessions, here.clock())
        if requeued:
            here.enqueue("deliver")


@app.task(name="bounces")
def bounces() -> None:
    """Settle bounces that were faster than our own records, and read the bounce mailbox."""
    here = process.runtime
    settle_bounces(here.sessions, here.clock())
    try:
        read_bounce_mailbox(here.sessions, here.settings, here.clock)
    except MailboxUnavailable as error:
        report_mailbox(here.sessions, here.settings, str(error), here.clock())


@app.task(name="report_troubles")
def report_troubles() -> None:
    """Mail the operator what is wrong, once each; ring for the mail."""
    here = process.runtime
    if report_all(here.sessions, here.settings, here.clock()):
        here.enqueue("deliver")
