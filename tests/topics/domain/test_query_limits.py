"""Topics of visitors have limits and an estimated cost; those of the operator have neither."""

import pytest

from service.topics.domain.language import QueryError, parse_query
from service.topics.domain.query_limits import MOST_COST, check_size, estimate_cost, is_public_size

WORDS = " ".join(f"word{n}" for n in range(60))


def refusal(text: str) -> str:
    with pytest.raises(QueryError) as caught:
        check_size(text, parse_query(text))
    return caught.value.message


def test_sixty_clauses_with_three_texts_among_them_are_admitted() -> None:
    likes = " ".join(f'like:"text {n}"' for n in range(3))
    words = " ".join(f"word{n}" for n in range(57))
    for text in (WORDS, f"{likes} {words}", f"{WORDS} new:only replaced:no"):
        check_size(text, parse_query(text))
        assert is_public_size(text)


def test_one_clause_more_is_refused_in_one_sentence() -> None:
    message = "A topic has at most 60 words, phrases and fields; this one has 61"
    assert refusal(f"{WORDS} more") == message
    assert refusal(" OR ".join(f"(a{n} -b{n})" for n in range(31))).endswith("this one has 62")
    assert not is_public_size(f"{WORDS} more")


def test_a_fourth_text_is_refused_where_it_stands() -> None:
    text = "like:one OR like:two OR LIKE:three OR like:four"
    with pytest.raises(QueryError) as caught:
        check_size(text, parse_query(text))
    assert caught.value.message == "A topic has at most 3 like: clauses"
    assert text[caught.value.position :] == "like:four"
    # Equal clauses count each time: whether they are equal is known only after work.
    assert "at most 3" in refusal("like:one like:one like:one like:one")


def test_the_cost_is_known_before_anything_is_looked_up() -> None:
    assert estimate_cost("cats") == 1
    assert estimate_cost("cats like:dogs") == 21
    assert estimate_cost(WORDS) < MOST_COST / 10
    stars = " ".join(f"ab{chr(97 + n % 26)}{chr(97 + n // 26)}*" for n in range(50))
    assert refusal(stars).startswith("This topic is too much work")
