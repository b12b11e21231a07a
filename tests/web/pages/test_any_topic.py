"""Any text as a topic gets an answer or one clear refusal, also from the database."""

import random

import httpx2
import pytest
from sqlalchemy.orm import Session
from support.web.papers import make_announcement, store_papers

PIECES = [
    *"ab -()\"“”:*<>,;.\t\x00\u200b世é\\'%",
    *(
        "AND",
        "OR",
        "NOT",
        " ",
        " ",
        "ti:",
        "abs:",
        "cat:cs.CL",
        "cat:math",
        "au:",
        "au:li",
        "src:hf",
    ),
    *("like:", "like:2604.00001", "cross:no", "replaced:", "trend>", "90", "opt*", "cats", "the"),
]


def draw(chance: random.Random) -> str:
    return "".join(chance.choices(PIECES, k=chance.choice([2, 5, 9])))


@pytest.mark.parametrize("seed", range(4))
def test_random_topics_are_answered_or_refused_and_never_crash(
    web: httpx2.Client, session: Session, seed: int
) -> None:
    store_papers(session, [make_announcement(n, f"Cats opting {n}") for n in range(1, 6)])
    chance = random.Random(seed)
    statuses = [
        web.get(path, params={"q": draw(chance)}).status_code
        for path in ("/search", "/topics/preview", "/topics/preview/live", "/feeds/search.json")
        for _ in range(40)
    ]
    assert set(statuses) <= {200, 422}
    assert {200, 422} <= set(statuses)


@pytest.mark.parametrize(
    "topic", ["x" * 4097, "a " * 200 + "b", "(" * 51 + "a" + ")" * 51, 'like:"' + "ab" * 1001 + '"']
)
def test_a_topic_over_the_limits_is_refused_in_one_line(web: httpx2.Client, topic: str) -> None:
    answer = web.get("/feeds/search.json", params={"q": topic})
    assert answer.status_code == 422
    assert "at most" in answer.text
    assert len(answer.text.strip().splitlines()) == 1


def test_a_like_of_an_unknown_paper_is_refused_with_advice(web: httpx2.Client) -> None:
    answer = web.get("/feeds/search.json", params={"q": "like:2507.17189"})
    assert answer.status_code == 422
    assert (
        'There is no paper arxiv:2507.17189 here yet; describe it: like:"some words".'
        in answer.text
    )
