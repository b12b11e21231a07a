"""Keeping what topics are compiled to in order, apart from editions, so that none waits for it."""

from sqlalchemy.orm import Session, sessionmaker

from service.platform.database.engine import transaction
from service.topics.store.save_compiled import compile_missing, prune_compiled, recompile_outdated

# Compiled in one transaction: about half a second.
_AT_ONCE = 2_000


def compile_topics(sessions: sessionmaker[Session]) -> int:
    """Compile saved topics that are not, or not as of today, and drop what no reader has any more.

    Returns how many distinct topics were compiled. An edition does the same for its own readers'
    topics, so nothing is lost when this was not run; it is only slower then.
    """
    compiled = 0
    for compile_some in (compile_missing, recompile_outdated):
        some = _AT_ONCE
        while some == _AT_ONCE:
            with transaction(sessions) as session:
                some = compile_some(session, _AT_ONCE)
            compiled += some
    with transaction(sessions) as session:
        prune_compiled(session)
    return compiled
