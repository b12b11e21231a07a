"""Names of topics: short, from the query alone, and never two alike."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.topics.domain.language import parse_query
from service.topics.domain.names import (
    LONGEST_DERIVED,
    derive_name,
    find_chosen_name,
    find_ready_name,
    name_topics,
)
from service.topics.domain.ready_made import READY_FIELDS

MODELS = READY_FIELDS[0].topics[0]


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ('"prompt tuning" OR "continual learning"', "Prompt tuning, continual learning"),
        ("diffusion policy", "Diffusion policy"),
        ('"prompt tuning" "language model"', "Prompt tuning with language model"),
        ("retrieval -survey -(cat:cs.CV OR dogs)", "Retrieval"),
        ('ti:"continual learning" replaced:yes', "Continual learning"),
        ('au:"Ada Lovelace"', "Ada Lovelace"),
        ('retrieval au:"Ada Lovelace" cat:cs.CL', "Retrieval by Ada Lovelace in cs.CL"),
        ("transformer cat:cs.CL", "Transformer in Computation and Language"),
        ("(robot OR drone) cat:cs.*", "Robot, drone in Computer Science"),
        ("privacy src:hf", "Privacy on Hugging Face Daily Papers"),
        ("speech trend>90", "Speech, trending above 90%"),
        ('like:"robots that learn"', "Robots that learn"),
        ("like:2508.00002,2507.17189", "Like arxiv:2507.17189, arxiv:2508.00002"),
        ("mRNA vaccine", "mRNA vaccine"),
        ("first OR second OR third OR fourth OR fifth OR sixth", "First, second, third, fourth, fifth…"),
        ("w" * 60, "W" + "w" * 38 + "…"),
        ("the (", "the ("),
    ],
)  # fmt: skip
def test_a_name_is_the_words_that_the_topic_wants(query: str, name: str) -> None:
    assert derive_name(query) == name
    assert len(name) <= LONGEST_DERIVED


def test_a_query_that_cannot_be_parsed_is_no_ready_made_topic() -> None:
    assert find_ready_name("the (") == ""
    assert find_ready_name(MODELS.query) == MODELS.name


def test_a_ready_made_topic_keeps_its_name_also_with_muted_words() -> None:
    assert MODELS.name == "Large language models"
    for query in (
        MODELS.query,
        f"({MODELS.query}) -survey",
        MODELS.query.upper().replace("TI:", "ti:"),
    ):
        assert derive_name(query) == MODELS.name
    names = [derive_name(topic.query) for field in READY_FIELDS for topic in field.topics]
    assert {topic.name for field in READY_FIELDS for topic in field.topics} >= set(names)


def test_no_two_topics_have_one_name_and_chosen_names_come_first() -> None:
    topics = [("cats", ""), ("cats -dogs", ""), ("x", "Cats"), ("y", "cats"), ("dogs", "")]
    assert name_topics([("x", "n" * 60), ("y", "N" * 60)])[1] == "N" * 56 + " (2)"
    assert name_topics(topics) == ["Cats (3)", "Cats (4)", "Cats", "cats (2)", "Dogs"]


def test_derived_and_chosen_names_are_distinguished() -> None:
    assert find_chosen_name("Cats", "cats -dogs") == find_chosen_name("Cats (2)", "cats") == ""
    assert find_chosen_name("Pets", "cats") == "Pets"
    # A ready-made topic's name stays when the topic is edited.
    assert find_chosen_name(MODELS.name, MODELS.query) == MODELS.name
    assert find_chosen_name(MODELS.name, f"{MODELS.query} OR agents") == MODELS.name


CLAUSES = (
    "word", '"two words"', "ti:Title", "pre*", 'au:"A. Name"', "cat:cs.CL", "cat:math.*",
    "src:biorxiv", "trend<50", 'like:"a long description of what it is"', "like:2507.17189",
    "-survey", "量子",
)  # fmt: skip


@given(st.lists(st.sampled_from(CLAUSES), min_size=1, max_size=12), st.sampled_from([" ", " OR "]))
def test_every_topic_has_a_short_name_on_one_line(clauses: list[str], joint: str) -> None:
    query = joint.join(["first", *clauses]).replace("OR -", "-")
    parse_query(query)
    name = derive_name(query)
    assert 0 < len(name) <= LONGEST_DERIVED
    assert name == " ".join(name.split())
    assert name_topics([(query, ""), (query, name.upper())])[0] != name
