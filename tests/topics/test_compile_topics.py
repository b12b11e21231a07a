"""Compiled topics in an edition, however a topic was saved."""

from sqlalchemy import Engine, select, text, update
from support.newsletter.press import Press
from support.newsletter.stored import list_uncompiled

from service.deliveries.domain.states import DeliveryState
from service.editions.domain.compose import MatchedTopic
from service.editions.edition_cache import LoadedEdition, load_index
from service.editions.match_topics import load_matched_topics, match_stored_topics
from service.editions.store.editions import get_edition
from service.papers.store.models import Paper
from service.topics.compile_topics import compile_topics
from service.topics.domain.language import canonical, parse_query
from service.topics.store.models import Clause, CompiledTopic
from service.topics.store.save_compiled import save_compiled_topics
from service.topics.store.to_sql import to_sql

TOPICS = (
    "parsing",
    '"parsing number"',
    '"number 3"',
    "(3 OR 4 -parsing) number",
    "ti:pars* -5",
    "cat:cs.CL new:no",
    "cat:cs.* cross:no replaced:",
    "trend<99 src:arxiv",
    'au:"Ada Lovelace" OR 2',
    "absent",
)


def find_in_memory(press: Press, edition_id: int, topics: list[str]) -> dict[str, set[int]]:
    with press.sessions.begin() as session:
        edition = get_edition(session, edition_id)
        assert edition is not None
        index = LoadedEdition(session, edition).index
        numbers = save_compiled_topics(session, topics).values()
        match_stored_topics(session, press.settings, index, numbers)
        return {topic: set(index.ids_of(index.find(topic))) for topic in topics}


def test_an_edition_finds_the_same_papers_as_a_search(press: Press) -> None:
    papers = press.add_papers(1, 2, 3, 4, 5)
    press.add_subscribers("ada@example.org")
    edition_id = press.publish()
    topics = [canonical(parse_query(topic)) for topic in TOPICS]
    found = find_in_memory(press, edition_id, topics)
    with press.sessions() as session:
        searched = {
            topic: set(session.scalars(select(Paper.id).where(to_sql(parse_query(topic)))))
            for topic in topics
        }
    assert found == searched
    assert found["parsing"] == set(papers.values())
    assert 0 < len(found[topics[3]]) < 5


def test_topics_that_came_by_plain_sql_are_compiled_by_the_edition_itself(
    press: Press, engine: Engine
) -> None:
    press.add_papers(1, 2)
    press.add_subscribers("ada@example.org", topics=("nothing",))
    press.add_subscribers("grace@example.org", topics=('"number 2"',))
    with engine.begin() as connection:
        connection.execute(text("UPDATE topics SET canonical_id = NULL"))
        connection.execute(text("DELETE FROM canonicals"))
        connection.execute(text("DELETE FROM clauses"))
        connection.execute(
            text("UPDATE topics SET query = 'parsing', canonical = 'parsing'"
                 " WHERE canonical = 'nothing'")
        )  # fmt: skip
    press.publish()
    states = [row.state for row in press.rows()]
    assert states == [DeliveryState.QUEUED, DeliveryState.QUEUED]
    assert [len(row.paper_ids) for row in press.rows()] == [2, 1]
    assert list_uncompiled(engine) == []


def test_an_edition_never_uses_compiled_topics_of_another_version(
    press: Press, engine: Engine
) -> None:
    press.add_papers(1, 2)
    press.add_subscribers("ada@example.org", topics=("parsing (1 OR 2)",))
    with engine.begin() as connection:
        connection.execute(update(Clause).values(keys="spoilt", version=1))
        connection.execute(update(CompiledTopic).values(form=[0], version=1))
    press.publish()
    assert len(press.row().paper_ids) == 2


def test_an_unreadable_topic_brings_nothing_and_breaks_no_other(
    press: Press, engine: Engine
) -> None:
    press.add_papers(1)
    press.add_subscribers("ada@example.org", topics=("parsing",))
    press.add_subscribers("grace@example.org", topics=("spoilt",))
    with engine.begin() as connection:
        connection.execute(
            text("UPDATE topics SET canonical = 'nosuchfield:x' WHERE canonical = 'spoilt'")
        )
    edition_id = press.publish()
    assert press.states(edition_id) == {"queued": 1, "skipped: empty": 1}


def test_the_maintenance_task_compiles_all_topics_and_prunes_unused_ones(
    press: Press, engine: Engine
) -> None:
    press.add_subscribers("ada@example.org", topics=("one", "two (a OR b)"))
    press.add_subscribers("grace@example.org", topics=("one",))
    with engine.begin() as connection:
        connection.execute(text("UPDATE topics SET canonical_id = NULL WHERE canonical = 'one'"))
        connection.execute(
            update(CompiledTopic).where(CompiledTopic.text != "one").values(version=0)
        )
    with press.sessions.begin() as session:
        save_compiled_topics(session, ["nobody wants this"])
    assert compile_topics(press.sessions) == 2
    assert compile_topics(press.sessions) == 0
    assert list_uncompiled(engine) == []
    with press.sessions() as session:
        assert {*session.scalars(select(CompiledTopic.text))} == {"one", "(a OR b) two"}
        assert {*session.scalars(select(Clause.text))} == {"one", "(a OR b)", "a", "b", "two"}


def test_a_topic_is_looked_up_once_for_all_subscribers(press: Press) -> None:
    press.add_papers(1)
    ada, grace = press.add_subscribers(
        "ada@example.org", "grace@example.org", topics=("parsing", "x")
    )
    with press.sessions.begin() as session:
        ids = [*session.scalars(select(Paper.id))]
        index = load_index(session, ids, {})

        def load(*subscribers: int) -> dict[int, list[MatchedTopic]]:
            return load_matched_topics(session, press.settings, index, subscribers)

        topics = load(ada)
        assert [topic.canonical for topic in topics[ada]] == ["parsing", "x"]
        session.execute(update(Clause).values(keys="spoilt"))
        again = load(grace, ada)
        # The same string object, so that its cached result is found with a hash computed once.
        assert again[grace][0].canonical is topics[ada][0].canonical
        assert index.find(again[grace][0].canonical) == 1
        assert load(0) == {}
        session.rollback()
