"""Compiled topics and clauses: stored once, recompiled on use, pruned when unused."""

import threading
from datetime import UTC, datetime

from sqlalchemy import Engine, func, select, text, update
from sqlalchemy.orm import Session

from service.deliveries.domain.recipients import Cadence
from service.platform.database.engine import make_sessions, transaction
from service.subscribers.domain.sign_up import Preferences, ValidSignUp
from service.subscribers.store.insert_subscribers import insert_subscribers
from service.subscribers.store.subscribers import replace_topics
from service.topics.domain.language import canonical, parse_query
from service.topics.domain.types import ClauseKind
from service.topics.store.models import Clause, CompiledTopic, Topic
from service.topics.store.read_compiled import get_stored_clauses, get_stored_topics, list_likes
from service.topics.store.save_compiled import (
    compile_missing,
    prune_compiled,
    recompile_outdated,
    save_compiled_topics,
)
from service.topics.store.topics import append_topic, change_topic, list_topics

NOW = datetime(2026, 9, 18, 5, 0, tzinfo=UTC)


def add_subscriber(session: Session, name: str, *topics: str) -> int:
    address = f"{name}@example.org"
    written = tuple((topic, topic) for topic in topics)
    chosen = Preferences(Cadence.DAILY, 7, "UTC", topics=written)
    new = [ValidSignUp(address, address, chosen)]
    return insert_subscribers(session, new, NOW, is_confirmed=True)[0]


def spell(session: Session, topic: str) -> list[str]:
    """Return the stored form of a topic with the texts of its clauses instead of their ids."""
    row = session.execute(select(CompiledTopic).where(CompiledTopic.text == topic)).scalar_one()
    session.refresh(row)
    texts = {clause.id: clause.text for clause in session.scalars(select(Clause))}
    return [("-" if n < 0 else "") + texts[abs(n)] if n else "" for n in row.form]


def count(session: Session, table: type[CompiledTopic | Clause | Topic]) -> int:
    return session.execute(select(func.count()).select_from(table)).scalar_one()


def test_equal_topics_of_many_subscribers_are_stored_once(session: Session) -> None:
    add_subscriber(session, "ada", "graph -survey", "cats")
    add_subscriber(session, "grace", "graph -survey", "cats survey")
    assert count(session, Topic) == 4
    assert sorted(session.scalars(select(CompiledTopic.text))) == [
        "cats", "cats survey", "graph -survey"
    ]  # fmt: skip
    assert sorted(session.scalars(select(Clause.text))) == ["cats", "graph", "survey"]
    assert spell(session, "graph -survey") == ["", "graph", "-survey"]


def test_a_clause_stores_the_lexemes_of_postgres(session: Session) -> None:
    save_compiled_topics(session, ['"state of the arts"', "models", 'ti:"pre-trained models"'])
    found = {row.text: (row.kind, row.keys) for row in session.scalars(select(Clause))}
    assert found == {
        '"state of the arts"': (ClauseKind.PHRASE, "any\tstate\t0\tart\t3"),
        "models": (ClauseKind.WORD, "model"),
        'ti:"pre-trained models"': (
            ClauseKind.PHRASE, "title\tpre-train\t0\tpre\t1\ttrain\t2\tmodel\t3"
        ),
    }  # fmt: skip


def test_a_group_is_stored_with_its_inner_clauses(session: Session) -> None:
    topic = "(cats OR dogs -(birds fish)) graph"
    wanted = canonical(parse_query(topic))
    save_compiled_topics(session, [wanted])
    group = session.execute(select(Clause).where(Clause.kind == ClauseKind.GROUP)).scalar_one()
    assert spell(session, wanted) == ["", group.text, "graph"]
    numbers = {row.text: str(row.id) for row in session.scalars(select(Clause))}
    shape = ["(", "cats", "OR", "dogs", "(", "-birds", "OR", "-fish", ")", ")"]
    assert wanted == "(cats OR dogs (-birds OR -fish)) graph"
    assert group.keys.split("\t") == [
        f"-{numbers[part[1:]]}" if part.startswith("-") else numbers.get(part, part)
        for part in shape
    ]


def test_saving_again_keeps_the_row(session: Session) -> None:
    first = save_compiled_topics(session, ["cats", "dogs"])
    again = save_compiled_topics(session, ["dogs", "cats", "birds"])
    assert again == first | {"birds": again["birds"]}
    assert len(set(again.values())) == 3
    assert save_compiled_topics(session, []) == {}


def test_every_way_to_save_a_topic_compiles_it(session: Session) -> None:
    subscriber = add_subscriber(session, "ada", "imported")
    replace_topics(session, subscriber, [("imported", "imported"), ("set", "set")], NOW)
    appended = append_topic(session, subscriber, "appended", "appended", NOW)
    change_topic(session, appended, "Changed", "changed")
    texts = dict(session.execute(select(CompiledTopic.id, CompiledTopic.text)).all())
    topics = list_topics(session, subscriber)
    assert [topic.canonical for topic in topics] == ["imported", "set", "changed"]
    assert [texts[topic.canonical_id or 0] for topic in topics] == ["imported", "set", "changed"]


def test_a_text_changed_by_plain_sql_is_unlinked_and_recompiled(session: Session) -> None:
    subscriber = add_subscriber(session, "ada", "cats", "dogs")
    session.execute(
        update(Topic).where(Topic.canonical == "cats").values(query="birds", canonical="birds")
    )
    session.execute(update(Topic).values(position=Topic.position + 1))
    topics = {topic.canonical: topic.canonical_id for topic in list_topics(session, subscriber)}
    assert topics["birds"] is None
    assert topics["dogs"] is not None
    assert compile_missing(session) == 1
    session.expire_all()
    assert all(topic.canonical_id for topic in list_topics(session, subscriber))
    assert spell(session, "birds") == ["", "birds"]
    assert compile_missing(session) == 0


def test_rows_of_plain_sql_are_compiled_in_batches_or_for_some_subscribers(
    session: Session,
) -> None:
    ada = add_subscriber(session, "ada", "a1", "shared")
    grace = add_subscriber(session, "grace", "g1", "g2", "shared")
    session.execute(update(Topic).values(canonical_id=None))
    session.execute(text("DELETE FROM canonicals"))
    assert compile_missing(session, subscriber_ids=[ada]) == 2
    session.expire_all()
    assert all(topic.canonical_id for topic in list_topics(session, ada))
    assert not any(topic.canonical_id for topic in list_topics(session, grace))
    assert [
        compile_missing(session, 2),
        compile_missing(session, 2),
        compile_missing(session, 2),
    ] == [2, 1, 0]
    session.expire_all()
    shared = {t.canonical_id for t in session.scalars(select(Topic)) if t.canonical == "shared"}
    assert len(shared) == 1
    assert None not in shared


def test_compiled_topics_of_another_version_are_recompiled_on_use(session: Session) -> None:
    numbers = save_compiled_topics(session, ["cats", "dogs graph"])
    session.execute(update(Clause).values(keys="spoilt", kind=ClauseKind.WORD, version=1))
    session.execute(update(CompiledTopic).values(form=[0], version=1))
    (some,) = get_stored_topics(session, [numbers["dogs graph"]])
    assert (some.ids, some.texts) == ([numbers["dogs graph"]], ["dogs graph"])
    found = {
        keys
        for clauses in get_stored_clauses(session, [column[0] for column in some.columns])
        for keys in clauses.keys
    }
    assert found == {"dog", "graph"}
    # Other outdated rows are recompiled by the maintenance task and keep their ids.
    assert spell(session, "cats") == [""]
    assert recompile_outdated(session, 10) == 1
    assert spell(session, "cats") == ["", "cats"]
    assert recompile_outdated(session, 10) == 0
    assert save_compiled_topics(session, ["cats", "dogs graph"]) == numbers


def test_an_unreadable_topic_finds_nothing_and_breaks_no_other(session: Session) -> None:
    numbers = save_compiled_topics(session, ["nosuchfield:x cats", "cats"])
    assert spell(session, "nosuchfield:x cats") == ["", "?"]
    (nothing,) = [
        some for some in get_stored_clauses(session, range(1, 10)) if some.kind is ClauseKind.PHRASE
    ]
    assert (nothing.texts, nothing.keys) == (["?"], ["any"])
    assert numbers.keys() == {"nosuchfield:x cats", "cats"}


def test_a_topic_of_the_greatest_length_can_be_stored(session: Session) -> None:
    words = " ".join(f"w{number:05x}{number * 7919:08x}" for number in range(199))
    assert save_compiled_topics(session, [words]).keys() == {words}
    assert len(spell(session, words)) == 200


def test_like_clauses_of_all_topics_are_listed(session: Session) -> None:
    save_compiled_topics(
        session, ['like:"soft prompts" -survey', "(cats OR like:arxiv:2507.17189)"]
    )
    assert list_likes(session) == {
        'like:"soft prompts"': "soft prompts",
        "like:arxiv:2507.17189": "arxiv:2507.17189",
    }


def test_only_unused_compiled_topics_and_clauses_are_pruned(session: Session) -> None:
    subscriber = add_subscriber(session, "ada", "cats -dogs", "(birds OR fish) graph")
    save_compiled_topics(session, ["dogs horses", "(fish OR snails)"])
    session.commit()
    assert prune_compiled(session) == 5  # two topics, horses, snails and the group with them
    assert {*session.scalars(select(Clause.text))} == {
        *("cats", "dogs", "birds", "fish", "graph", "(birds OR fish)")
    }
    replace_topics(session, subscriber, [], NOW)
    session.commit()
    assert prune_compiled(session) == 8
    assert count(session, Clause) == count(session, CompiledTopic) == 0


def test_nothing_is_pruned_while_another_transaction_saves(
    session: Session, engine: Engine
) -> None:
    save_compiled_topics(session, ["cats"])
    session.commit()
    sessions = make_sessions(engine)
    with transaction(sessions) as saver:
        save_compiled_topics(saver, ["dogs"])
        assert prune_compiled(session) == 0
    session.commit()
    assert prune_compiled(session) == 4


def test_concurrent_saves_of_the_same_topic_share_one_row(engine: Engine) -> None:
    sessions = make_sessions(engine)
    texts = [f"w{number} x{number}" for number in range(200)]
    found: list[dict[str, int]] = []
    gate = threading.Barrier(4)

    def save(order: int) -> None:
        with transaction(sessions) as own:
            gate.wait()
            found.append(save_compiled_topics(own, texts[order:] + texts[:order]))

    threads = [threading.Thread(target=save, args=(n * 50,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert all(ids == found[0] for ids in found)
    assert len(set(found[0].values())) == 200
