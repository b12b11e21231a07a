"""Suggestions for a topic: narrower, wider, spelling corrected."""

import pytest

from service.platform.work_budget import MOST_STEPS, WorkBudget, set_budget
from service.topics.domain.language import Query, canonical, parse_query
from service.topics.domain.language.syntax_tree import Leaf, Text
from service.topics.domain.refinements import (
    MOST_RESPELLED,
    MOST_SUGGESTIONS,
    MOST_WIDER,
    Companions,
    Suggestion,
    choose,
    name_categories,
    narrow,
    normalise_line,
    respell,
    widen,
)


def narrowed(text: str, **found: dict[str, int]) -> dict[str, str]:
    companions = Companions(found.get("categories", {}), found.get("title_words", {}), 100)
    proposed = narrow(text, parse_query(text), companions)
    for each in proposed:
        parse_query(each.topic)
    return {each.topic: each.says for each in proposed}


def test_neighbouring_bare_words_are_suggested_as_a_phrase() -> None:
    found = narrowed('prompt tuning cat:cs.CL "in context" -survey')
    assert found['"in context" "prompt tuning" cat:cs.CL -survey'] == 'as a phrase: "prompt tuning"'
    for lone in ("prompt", "prompt cat:cs.CL tuning", "prompt OR tuning", "cat:cs.CL au:x"):
        assert not any(says.startswith("as a phrase") for says in narrowed(lone).values()), lone


def test_only_wanted_words_are_moved_to_the_title() -> None:
    assert narrowed("cats OR abs:dogs") == {"abs:dogs OR ti:cats": "in the title only"}
    assert "ti:cats -dogs" in narrowed("cats -dogs")
    assert narrowed("ti:cats") == {}


def test_the_categories_nearest_to_half_are_suggested_unless_the_topic_has_them() -> None:
    counts = {"cs.CL": 100, "cs.CV": 45, "cs.LG": 60, "cs.RO": 3}
    found = narrowed("ti:cats cat:cs.CL", categories=counts)
    assert list(found) == ["ti:cats cat:cs.CL cat:cs.CV", "ti:cats cat:cs.CL cat:cs.LG"]
    assert found["ti:cats cat:cs.CL cat:cs.LG"] == "only in cs.LG, Machine Learning"
    whole = narrowed("cat:cs.*", categories=counts)
    assert "cat:cs.* cat:cs.CV" in whole


def test_alternatives_get_parentheses_before_a_clause_is_added() -> None:
    assert "(ti:a1 OR ti:b1) cat:cs.CV" in narrowed("ti:a1 OR ti:b1", categories={"cs.CV": 50})


def test_common_words_of_titles_are_required_or_excluded() -> None:
    words = {"cat": 90, "with": 80, "whiskers": 40, "milk": 30, "purring": 20, "rare": 1, "x2": 50}
    found = narrowed("ti:cat", title_words=words)
    assert list(found) == ["ti:cat ti:whiskers", "ti:cat ti:milk", "ti:cat -purring"]
    assert list(narrowed("ti:cat", title_words=words | {"survey": 5}))[-1] == "ti:cat -survey"


@pytest.mark.parametrize(
    ("count", "is_kept"), [(0, False), (1, False), (2, True), (85, True), (86, False)]
)
def test_only_suggestions_that_leave_a_useful_share_are_chosen(count: int, is_kept: bool) -> None:
    assert bool(choose([Suggestion("a", "b", count)], 100)) is is_kept


def test_the_number_of_suggestions_is_limited() -> None:
    many = [Suggestion(str(n), "", 50) for n in range(20)]
    assert choose(many, 100) == tuple(many[:MOST_SUGGESTIONS])


def widened(text: str, **found: int) -> dict[str, str]:
    """Widen a topic whose clauses find these papers, a bit each; paper 0 where nothing is given."""
    query = parse_query(text)
    return {
        each.topic: each.says for each in widen(query, lambda part: found.get(canonical(part), 1))
    }


def test_a_topic_is_widened_by_leaving_out_one_clause() -> None:
    assert widened("cats dogs -mice") == {
        "dogs -mice": "without cats",
        "cats -mice": "without dogs",
        "cats dogs": "without -mice",
    }
    assert list(widened("cats -mice")) == ["cats"]
    assert widened("cats OR dogs") == {}


def test_only_a_clause_that_alone_keeps_the_papers_away_is_left_out() -> None:
    assert list(widened("cats dogs birds", cats=0b011, dogs=0b100, birds=0b010)) == ["birds cats"]
    assert widened("cats dogs birds", cats=1, dogs=2, birds=4) == {}


def test_widening_asks_for_each_clause_once_and_writes_a_few_topics() -> None:
    """Two hundred topics of 199 clauses each once took minutes, where each clause was a text."""
    asked: list[str] = []

    def find(part: Query) -> int:
        asked.append(canonical(part))
        return 1

    query = parse_query(" ".join(f"like:text{n}" for n in range(200)))
    budget = WorkBudget()
    set_budget(budget)
    try:
        found = widen(query, find)
    finally:
        set_budget(None)
    assert len(asked) == len(set(asked)) == 200
    assert len(found) == MOST_WIDER
    assert MOST_STEPS - budget.steps <= MOST_WIDER * 200


def test_few_of_many_misspelt_words_are_compared() -> None:
    compared: list[str] = []
    query = parse_query(
        " ".join(f'"abc{chr(97 + n % 26)} xyz{chr(97 + n % 23)}"' for n in range(99))
    )

    def closest(word: str) -> list[str]:
        compared.append(word)
        return [f"{word}s"]

    respell(query, lambda _: False, closest)
    assert len(compared) == MOST_RESPELLED


def test_misspelt_words_are_corrected_together_and_alone() -> None:
    closest = {"difusion": ["diffusion"], "modl": ["model", "modal"], "rare": []}

    def is_found(leaf: Leaf) -> bool:
        return isinstance(leaf, Text) and leaf.text == "good"

    topic = parse_query("good difusion (ti:modl OR rare) -cat:cs.CL")
    found = respell(topic, is_found, lambda word: closest[word])
    assert [each.says for each in found] == [
        "diffusion instead of difusion and model instead of modl",
        "diffusion instead of difusion",
        "model instead of modl",
        "modal instead of modl",
    ]
    assert found[0].topic == canonical(parse_query("(ti:model OR rare) diffusion good -cat:cs.CL"))


def test_a_word_without_a_similar_one_is_not_corrected() -> None:
    assert respell(parse_query("cat:cs.CL au:x zzzz"), lambda _: False, lambda _: []) == []


def test_plain_words_are_the_wanted_words_without_a_field() -> None:
    assert normalise_line(parse_query('Computer "Vision" ti:x cat:cs.CL -y')) == "computer vision"
    assert normalise_line(parse_query("a OR b")) == ""
    (named,) = name_categories(["cs.CV"])
    assert named.topic == "cat:cs.CV"
    assert named.says == "everything in Computer Vision and Pattern Recognition"
