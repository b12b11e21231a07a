"""The sentence of a digest without papers, for subscribers of categories that could not be read."""

import pytest

from service.editions.domain.coverage import Coverage, Gap, GapKind
from service.editions.domain.silence import explain_silence, find_limit
from service.topics.domain.language import parse_query

WATCHED = ("cs.CL", "cs.LG", "cs.CV")
LOST = Coverage(announced=9, checked=9, is_complete=False, gaps=(Gap("cs.CL", GapKind.UNREACHED),))
ALL_LOST = Coverage(
    announced=0,
    checked=0,
    is_complete=False,
    gaps=tuple(Gap(name, GapKind.UNREACHED) for name in WATCHED),
)
SENTENCE = "cs.CL could not be reached today; what it announced will come late, marked."


@pytest.mark.parametrize(
    ("topics", "sentence"),
    [
        (["cat:cs.CL"], SENTENCE),
        (["cat:cs.CL parsing", "cat:cs.CL -survey"], SENTENCE),
        (["cat:cs.CL OR cat:cs.LG"], ""),
        (["cat:cs.CL", "parsing"], ""),
        (["parsing -cat:cs.LG"], ""),
        (["cat:cs.LG"], ""),
        ([], ""),
    ],
)
def test_only_subscribers_of_missing_categories_are_sent_the_sentence(
    topics: list[str], sentence: str
) -> None:
    assert explain_silence(LOST, topics, WATCHED, "today") == sentence


@pytest.mark.parametrize("topics", [[], ["parsing"], ["cat:cs.*"]])
def test_where_everything_is_missing_everybody_is(topics: list[str]) -> None:
    assert explain_silence(ALL_LOST, topics, WATCHED, "this week") == (
        "Nothing could be checked for your topics this week."
    )


def test_a_complete_day_has_no_such_sentence() -> None:
    assert explain_silence(Coverage(announced=1, checked=1), ["cat:cs.CL"], WATCHED, "today") == ""


def test_a_limit_is_what_every_match_must_have() -> None:
    assert find_limit(parse_query("cat:cs.CL parsing")) == frozenset({"cs.CL", "cmp-lg"})
    assert find_limit(parse_query("cat:cs.CL OR parsing")) is None


def test_a_source_without_categories_is_missing_to_nobody_who_wants_a_category() -> None:
    lost = Coverage(
        announced=0, checked=0, is_complete=False, gaps=(Gap("a journal", GapKind.UNREACHED),)
    )
    assert explain_silence(lost, ["cat:cs.CL"], (), "today") == ""
    assert explain_silence(lost, ["parsing"], (), "today") == (
        "a journal could not be reached today; what it announced will come late, marked."
    )
