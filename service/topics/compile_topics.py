"""The maintenance task of compiled topics, so that editions find them ready."""

from sqlalchemy.orm import Session, sessionmaker

from service.platform.database.engine import transaction
from service.topics.store.save_compiled import compile_missing, prune_compiled, recompile_outdated

# Compiled in one transaction: about half a second.
_AT_ONCE = 2_000


def compile_topics(sessions: sessionmaker[Session]) -> int:
    """Compile topics that have no current compiled form, and prune compiled topics without a topic.

    Returns how many distinct topics were compiled. An edition compiles its subscribers' topics
    itself where this was not run; it is only slower then.
    """
    compiled = 0
    for compile_some in (compile_missing, recompile_outdated):
        compiled_count = _AT_ONCE
        while compiled_count == _AT_ONCE:
            with transaction(sessions) as session:
                compiled_count = compile_some(session, _AT_ONCE)
            compiled += compiled_count
    with transaction(sessions) as session:
        prune_compiled(session)
    return compiled
