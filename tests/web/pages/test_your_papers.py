"""*Your papers*: tags, notes, search, adding by address, files; each form twice is once."""

import json
import re

import httpx2
import pytest
import rispy
from bibtexparser.entrypoint import parse_string
from sqlalchemy import select, text
from sqlalchemy.orm import Session
from support.web.papers import make_announcement, store_papers
from support.web.site import count_rows

from service.subscribers.domain.saved import MOST_SAVED
from service.subscribers.domain.types import Feedback
from service.subscribers.feedback import rate_paper
from service.subscribers.store.models import PaperFeedback, Subscriber

TITLES = ("Cats Sleep", "Dogs <b>Bark</b>", "Müller’s Mice")


@pytest.fixture
def papers(session: Session) -> list[int]:
    announcements = [make_announcement(number, title) for number, title in enumerate(TITLES, 1)]
    announcements[2] = make_announcement(
        3, TITLES[2], authors=("Jürgen Müller",), doi="10.1000/mice"
    )
    ids = store_papers(session, announcements)
    return [ids[paper.key] for paper in announcements]


@pytest.fixture
def kept(link: str) -> str:
    return f"{link}/kept"


def titles(page: httpx2.Response) -> list[str]:
    return re.findall(r'<h2 dir="auto"><a href="/papers/[^"]*">([^<]*)</a>', page.text)


def written(session: Session) -> list[tuple[list[str], str]]:
    session.rollback()
    rows = session.execute(
        select(PaperFeedback.tags, PaperFeedback.note).order_by(PaperFeedback.paper_id)
    )
    return [(tags, note) for tags, note in rows]


def test_a_paper_is_saved_with_tags_from_the_mails_link(
    web: httpx2.Client, session: Session, papers: list[int], change: str
) -> None:
    question = web.get(change, params={"keep": str(papers[0])})
    assert '<input id="tags" name="tags"' in question.text
    for tags in ("To Read, #cats", "cats", "", "new"):
        assert web.post(change, data={"keep": str(papers[0]), "tags": tags}).status_code == 200
    assert written(session) == [(["cats", "new", "to read"], "")]
    refused = web.post(change, data={"keep": str(papers[1]), "tags": "x" * 41})
    assert refused.status_code == 409
    assert "A tag has at most 40 characters" in refused.text
    assert f'value="{"x" * 41}"' in refused.text
    assert len(written(session)) == 1
    # The weaker link shows none of them.
    assert "to read" not in web.get(change, params={"keep": str(papers[0])}).text


def test_tags_and_note_are_set_shown_escaped_and_cleared(
    web: httpx2.Client, session: Session, papers: list[int], change: str, kept: str
) -> None:
    web.post(change, data={"keep": str(papers[0])})
    edit = f"{kept}/{papers[0]}"
    form = {"tags": "B, a, a", "note": "<script>alert(1)</script>\r\nשלום\r\n"}
    for _ in range(2):
        answer = web.post(edit, data=form)
        assert answer.status_code == 200
        assert "Saved." in answer.text
        assert written(session) == [(["a", "b"], "<script>alert(1)</script>\nשלום")]
    assert 'value="a, b"' in answer.text
    page = web.get(kept).text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\nשלום</p>" in page
    assert '<p class="own-note" dir="auto">' in page
    assert "<script>alert" not in page
    long = web.post(edit, data={"tags": "", "note": "x" * 2_001})
    assert long.status_code == 422
    assert "A note has at most 2,000 characters; this one has 2,001." in long.text
    assert "x" * 2_001 in long.text
    many = web.post(edit, data={"tags": ",".join(map(str, range(21))), "note": ""})
    assert (many.status_code, "these are 21" in many.text) == (422, True)
    assert len(written(session)[0][0]) == 2
    web.post(edit, data={"tags": "", "note": ""})
    assert written(session) == [([], "")]


@pytest.mark.parametrize("paper", ["777", "x", "0", "-1", "9" * 30])
def test_only_a_saved_paper_has_a_page_of_its_own(
    web: httpx2.Client, papers: list[int], kept: str, paper: str
) -> None:
    assert web.get(f"{kept}/{paper}").status_code == 404
    assert web.post(f"{kept}/{paper}", data={"tags": "a"}).status_code == 404
    assert web.get(f"{kept}/{papers[0]}").status_code == 404


def test_saved_papers_are_found_by_words_and_tags(
    web: httpx2.Client, papers: list[int], change: str, kept: str
) -> None:
    for paper, tags in zip(papers, ("pets, 50%", "pets", "to read"), strict=True):
        web.post(change, data={"keep": str(paper), "tags": tags})
    web.post(f"{kept}/{papers[2]}", data={"tags": "to read", "note": "A remark on cheese"})

    def find(**query: str) -> list[str]:
        return titles(web.get(kept, params=query))

    assert find() == ["Müller’s Mice", "Dogs &lt;b&gt;Bark&lt;/b&gt;", "Cats Sleep"]
    assert find(tag="pets") == ["Dogs &lt;b&gt;Bark&lt;/b&gt;", "Cats Sleep"]
    assert find(tag="PETS", q="sleep") == ["Cats Sleep"]
    assert find(q="CHEESE remark") == ["Müller’s Mice"]
    assert find(q="muller") == find(q="Jürgen") == ["Müller’s Mice"]
    assert find(q="50%") == ["Cats Sleep"]
    assert find(q="%") == ["Cats Sleep"]
    assert find(q="nothing") == find(tag="pet") == []
    page = web.get(kept, params={"q": "nothing"}).text
    assert "0 papers with “nothing”" in page
    assert re.findall(r'\?tag=[^"]*" dir="auto">(.*?)</a>', page) == [
        "pets <span>2</span>", "50% <span>1</span>", "to read <span>1</span>"
    ]  # fmt: skip
    assert web.get(kept, params={"page": "99"}).status_code == 200
    assert web.get(kept, params={"page": "9999"}).status_code == 404


@pytest.mark.parametrize(
    "address",
    [
        "2609.00003",
        "arXiv:2609.00003v2",
        "https://arxiv.org/pdf/2609.00003",
        "10.1000/MICE",
        "https://doi.org/10.1000/mice",
        "http://127.0.0.1:8000/papers/arxiv:2609.00003",
        " arxiv:2609.00003 ",
    ],
)
def test_a_paper_is_saved_by_its_address_once(
    web: httpx2.Client, session: Session, papers: list[int], kept: str, address: str
) -> None:
    for _ in range(2):
        answer = web.post(f"{kept}/add", data={"address": address, "tags": "mice"})
        assert answer.status_code == 200
        assert "Saved: Müller’s Mice" in answer.text
    assert written(session) == [(["mice"], "")]


@pytest.mark.parametrize(
    "address", ["", "2609.99999", "no paper", "x" * 5_000, "https://x.example/"]
)
def test_an_address_of_no_paper_here_is_said_in_one_line(
    web: httpx2.Client, session: Session, papers: list[int], kept: str, address: str
) -> None:
    answer = web.post(f"{kept}/add", data={"address": address, "tags": "a"})
    assert answer.status_code == 422
    assert "No paper here has this address." in answer.text
    assert written(session) == []
    bad = web.post(f"{kept}/add", data={"address": "2609.00001", "tags": "x" * 41})
    assert (bad.status_code, written(session)) == (422, [])


def test_files_have_what_the_page_shows(
    web: httpx2.Client, papers: list[int], change: str, kept: str
) -> None:
    for paper, tags in zip(papers, ("a", "a, b", ""), strict=True):
        web.post(change, data={"keep": str(paper), "tags": tags})
    page = web.get(kept, params={"tag": "a"}).text
    links = re.findall(r'href="(/preferences/[^"]*/export\.[^"]*)"', page)
    assert [link.rpartition("export.")[2] for link in links] == [
        "bib?tag=a", "ris?tag=a", "csv?tag=a", "json?tag=a"
    ]  # fmt: skip
    bib, ris, table, items = (web.get(link) for link in links)
    assert [entry["keywords"] for entry in parse_string(bib.text).entries] == ["a", "a, b"]
    assert bib.headers["content-disposition"] == 'attachment; filename="saved-papers.bib"'
    assert len(rispy.loads(ris.text)) == len(json.loads(items.text)) == 2
    assert table.headers["content-type"] == "text/csv; charset=utf-8"
    assert len(json.loads(web.get(f"{kept}/export.json").text)) == 3
    assert web.get(f"{kept}/export.bib").content == web.get(f"{kept}/export.bib").content
    assert web.get(f"{kept}/export.pdf").status_code == 404
    for answer in (bib, ris, table, items):
        assert answer.headers["cache-control"] == "no-store"


def test_an_undo_of_less_like_this_gives_tags_and_note_back(
    web: httpx2.Client, session: Session, papers: list[int], change: str, kept: str
) -> None:
    web.post(change, data={"keep": str(papers[0]), "tags": "a"})
    web.post(f"{kept}/{papers[0]}", data={"tags": "a", "note": "Mine"})
    web.post(change, data={"less": str(papers[0]), "over": "kept"})
    assert titles(web.get(kept)) == []
    undo = {"paper": str(papers[0]), "rating": "dismissed", "was": "kept"}
    assert web.post(f"{change}/undo", data=undo).status_code == 200
    assert titles(web.get(kept)) == ["Cats Sleep"]
    assert written(session) == [(["a"], "Mine")]


def test_tags_and_notes_are_exported_and_erased(
    web: httpx2.Client, session: Session, papers: list[int], change: str, kept: str
) -> None:
    preferences = kept.removesuffix("/kept")
    web.post(change, data={"keep": str(papers[0]), "tags": "a"})
    web.post(f"{kept}/{papers[0]}", data={"tags": "a", "note": "Mine"})
    web.post(f"{preferences}/feed", data={"action": "make"})
    export = json.loads(web.get(f"{preferences}/export").content)
    (opinion,) = export["opinions"]
    assert (opinion["tags"], opinion["note"]) == (["a"], "Mine")
    (key,) = export["feed_keys"]
    assert key.keys() == {"subscriber_id", "created_at"}
    web.post(preferences, data={"action": "erase", "sure": "yes"})
    counts = count_rows(session)
    assert (counts["opinions"], counts["feed_keys"]) == (0, 0)


def test_there_is_a_last_saved_paper(
    web: httpx2.Client, session: Session, subscriber: Subscriber, papers: list[int], change: str
) -> None:
    # All but one of the most there can be, of as many invented papers.
    session.execute(
        text("""
        WITH made AS (
            INSERT INTO papers (key, source, identifier, version, title, title_raw, abstract,
                abstract_raw, authors, author_keys, categories, created_at, updated_at)
            SELECT 'x:' || n, 'x', n, 1, '', '', '', '', '{}', '{}', '{}', now(), now()
            FROM generate_series(2, :most) AS n RETURNING id
        )
        INSERT INTO opinions (subscriber_id, paper_id, kind, created_at)
        SELECT :subscriber, id, 'kept', now() FROM made
        """),
        {"most": MOST_SAVED, "subscriber": subscriber.id},
    )
    session.commit()
    assert web.post(change, data={"keep": str(papers[0])}).status_code == 200
    answer = web.post(change, data={"keep": str(papers[1])})
    assert answer.status_code == 409
    assert "You have 5,000 saved papers, and there can be no more." in answer.text
    assert web.post(change, data={"keep": str(papers[0])}).status_code == 200
    assert len(written(session)) == MOST_SAVED


def test_pages_of_many_papers_stay_small(
    web: httpx2.Client, session: Session, subscriber: Subscriber, kept: str
) -> None:
    announcements = [make_announcement(number, f"Cats, part {number}") for number in range(1, 46)]
    for paper_id in store_papers(session, announcements).values():
        rate_paper(session, subscriber, paper_id, Feedback.KEPT, subscriber.created_at)
    session.commit()
    for row in session.scalars(select(PaperFeedback)):
        row.tags, row.note = (
            [f"tag {n} of paper {row.paper_id} 漢字漢字" for n in range(20)],
            "漢" * 2_000,
        )
    session.commit()
    first = web.get(kept)
    assert len(first.content) < 100_000
    assert len(titles(first)) == 20
    assert 'rel="next"' in first.text
    assert len(titles(web.get(kept, params={"page": "3"}))) == 5
