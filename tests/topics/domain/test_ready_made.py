"""The ready-made topics are valid, distinct, and cover every category."""

from service.papers.domain.categories import expand
from service.papers.domain.category_names import CATEGORY_NAMES
from service.topics.domain.language import canonical, parse_query
from service.topics.domain.language.syntax_tree import Category, iterate_leaves
from service.topics.domain.ready_made import READY_FIELDS

TOPICS = [topic for field in READY_FIELDS for topic in field.topics]


def test_there_are_many_topics_and_each_is_valid_and_distinct() -> None:
    assert len(TOPICS) >= 80
    assert len({canonical(parse_query(topic.query)) for topic in TOPICS}) == len(TOPICS)
    assert len({topic.name for topic in TOPICS}) == len(TOPICS)
    assert len({field.name for field in READY_FIELDS}) == len(READY_FIELDS)


def test_names_and_lines_are_short_and_without_stray_bars() -> None:
    for topic in TOPICS:
        assert 0 < len(topic.name) <= 45, topic
        assert 0 < len(topic.line) <= 60, topic
        assert "|" not in topic.name + topic.line + topic.query, topic


def test_every_category_of_arxiv_is_in_a_ready_made_topic() -> None:
    leaves = [leaf for topic in TOPICS for leaf in iterate_leaves(parse_query(topic.query))]
    covered = {
        code for leaf in leaves if isinstance(leaf, Category) for code in expand(leaf.pattern)
    }
    assert set(CATEGORY_NAMES) - covered == set()
