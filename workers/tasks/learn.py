"""Tasks of the queue that compares texts, which takes minutes of processor time."""

from service.similarity.embed_papers import count_lexemes
from service.similarity.embed_papers import learn_meanings as learn_some
from service.topics.compile_topics import compile_topics
from service.topics.like_clauses import prepare_like_queries
from service.topics.like_queries import renew_like_queries
from workers.app import app, process

# A new archive is learned in several tasks, each within its time limit at ten papers a second.
LEARNED_AT_ONCE = 10_000


@app.task(name="paperboy.learn_meanings")
def learn_meanings() -> None:
    """Compute vectors of new papers, and recompile topics and like queries that depend on them."""
    here = process.runtime
    learned = learn_some(here.sessions, here.settings, LEARNED_AT_ONCE)
    count_lexemes(here.sessions, here.settings)
    compile_topics(here.sessions)
    prepare_like_queries(here.sessions, here.settings)
    is_more_to_do = renew_like_queries(here.sessions, here.settings) or learned == LEARNED_AT_ONCE
    if is_more_to_do:
        here.enqueue("learn_meanings")
