"""*Start from papers you have*: the upload, the proposal, what is saved, and what is kept: nothing."""

import re

import httpx2
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.orm import Session
from support.web.papers import make_announcement, store_papers

from service.platform.database.engine import make_sessions
from service.platform.settings.settings import Settings
from service.similarity.embed_papers import learn_meanings
from service.subscribers.store.models import Subscriber
from service.topics.store.topics import list_topics

CATS = [f"Sleeping cats in long winters, part {n}" for n in "abcde"]
DOGS = [f"Barking dogs at night, volume {n}" for n in "abcde"]


@pytest.fixture
def papers(session: Session, engine: Engine, settings: Settings) -> list[str]:
    """Store ten invented papers of two kinds, embedded; return their titles."""
    titles = [*CATS, *DOGS]
    store_papers(session, [make_announcement(n, title) for n, title in enumerate(titles, 1)])
    learn_meanings(make_sessions(engine), settings)
    return titles


def bibtex(*titles: str) -> bytes:
    return "\n".join(
        f"@misc{{k{n}, title = {{{title.upper()}}}, author = {{Ada Lovelace}}}}"
        for n, title in enumerate(titles)
    ).encode()


def saved(session: Session, subscriber: Subscriber) -> list[tuple[str, str]]:
    session.rollback()
    return [(topic.query, topic.name) for topic in list_topics(session, subscriber.id)]


def form_of(page: httpx2.Response) -> dict[str, list[str]]:
    """Return what the browser would send of the proposal as it is."""
    found = {
        name: [value.replace("&#34;", '"') for value in re.findall(pattern, page.text)]
        for name, pattern in {
            "topic": r'name="topic" value="([^"]*)"',
            "name": r'name="name" value="([^"]*)"',
            "pick": r'name="pick" value="(\d+)" checked',
        }.items()
    }
    assert len(found["topic"]) == len(found["name"]) > 0
    return found


def test_a_file_becomes_topics_by_one_click(
    web: httpx2.Client, session: Session, papers: list[str], link: str, subscriber: Subscriber
) -> None:
    assert 'enctype="multipart/form-data"' in web.get(f"{link}/start").text
    before = session.execute(text("SELECT count(*) FROM topics")).scalar_one()
    file = bibtex(*CATS, *DOGS[:3], "A Paper that Nobody Here Has") + b"\n@misc{bad, title = {x"
    page = web.post(f"{link}/start", files={"file": ("my.bib", file)})
    assert page.status_code == 200
    assert "10 references in your BibTeX: 8 are known here, 1 not, 1 could not be read" in page.text
    assert "Entry 10, line 10: its braces or commas are broken" in page.text
    assert "A PAPER THAT NOBODY HERE HAS" in page.text
    assert "au:&#34;Ada Lovelace&#34;" in page.text
    assert "10 papers</span>" in page.text or "10 papers in 30 days" in page.text
    session.rollback()
    assert session.execute(text("SELECT count(*) FROM topics")).scalar_one() == before
    form = form_of(page)
    assert form["pick"] == ["0", "1"]
    cats, dogs = form["topic"][:2]
    assert {*cats.removeprefix("like:").split(",")} >= {f"2609.0000{n}" for n in range(1, 6)}
    assert {*dogs.removeprefix("like:").split(",")} >= {f"2609.0000{n}" for n in range(6, 9)}
    for _ in range(2):
        done = web.post(f"{link}/start/save", data=form)
        assert "Topics saved" in done.text
        assert "looks for 3 topics, among them:" in done.text
        assert saved(session, subscriber) == [
            ("cats", "Cats"),
            (cats, form["name"][0]),
            (dogs, form["name"][1]),
        ]
    # What was saved is previewed and matched as any topic.
    preview = web.get("/topics/preview", params={"q": cats})
    assert preview.status_code == 200


@pytest.mark.usefixtures("papers")
def test_the_first_topics_of_a_reader_are_all_that_the_next_digest_looks_for(
    web: httpx2.Client, session: Session, papers: list[str], link: str
) -> None:
    session.execute(text("DELETE FROM topics"))
    session.commit()
    page = web.post(f"{link}/start", files={"file": ("my.bib", bibtex(*CATS, *DOGS))})
    assert "looks for 2 topics:<" in web.post(f"{link}/start/save", data=form_of(page)).text


def test_topics_from_a_file_change_nothing_that_the_reader_has_set(
    web: httpx2.Client, session: Session, link: str, subscriber: Subscriber
) -> None:
    own = {"topic": "cats", "name": "Felines", "comes": "weekly, at least 3", "full_cards": "4"}
    set_before = own | {"max_papers": "7", "weekly_topics_on": "thursday", "cadence": "weekdays"}
    assert web.post(link, data=set_before).status_code == 200

    def read() -> tuple[object, ...]:
        session.rollback()
        row = session.execute(
            text(
                "SELECT max_papers, weekly_topics_on, cadence::text, full_cards, name, query, is_weekly, at_least"
                " FROM subscribers JOIN topics ON subscriber_id = subscribers.id WHERE query = 'cats'"
            )
        ).one()
        return tuple(row)

    before = read()
    assert before[:6] == (7, 3, "weekdays", 4, "Felines", "cats")
    page = web.post(f"{link}/start", files={"file": ("my.bib", bibtex(*CATS, *DOGS))})
    assert "Topics saved" in web.post(f"{link}/start/save", data=form_of(page)).text
    assert read() == before
    assert len(saved(session, subscriber)) == 3


def test_pasted_identifiers_and_faults(
    web: httpx2.Client, session: Session, papers: list[str], link: str, subscriber: Subscriber
) -> None:
    page = web.post(
        f"{link}/start", data={"text": "2609.00001\nhttps://arxiv.org/abs/2609.00002v3"}
    )
    assert "2 references in your list: 2 are known here." in page.text
    form = form_of(page)
    assert form["topic"][0] == "like:2609.00001,2609.00002"
    for body in (b"", b"%PDF-1.7 a", b"\xff\xfe\x00", b"[" * 900_000):
        refused = web.post(f"{link}/start", files={"file": ("x", body)})
        assert refused.status_code == 422
        assert 'role="alert"' in refused.text
    assert web.post(f"{link}/start", files={"file": ("x", b"x" * 2_097_153)}).status_code == 422
    assert web.post(f"{link}/start", files={"file": ("x", b"x" * 2_400_000)}).status_code == 413
    assert web.post(
        f"{link}/start", content=b"--", headers={"content-type": "multipart/form-data; boundary=x"}
    ).status_code in {400, 422}
    nothing = web.post(f"{link}/start/save", data={**form, "pick": ["x", "99", "-1"]})
    assert nothing.status_code == 422
    assert "Nothing is ticked" in nothing.text
    many = {
        "topic": [f"cats{n}" for n in range(25)],
        "name": ["N"] * 25,
        "pick": [str(n) for n in range(25)],
    }
    refused = web.post(f"{link}/start/save", data=many)
    assert refused.status_code == 422
    assert "At most 20 topics" in refused.text
    bad = web.post(f"{link}/start/save", data={"topic": ["(("], "name": ["x"], "pick": ["0"]})
    assert bad.status_code == 422
    assert saved(session, subscriber) == [("cats", "Cats")]
    assert web.get("/preferences/x/start").status_code in {403, 404, 410}
    assert web.post("/preferences/x/start/save").status_code in {403, 404, 410}


def test_a_large_file_is_within_the_budget_of_a_request(
    web: httpx2.Client, papers: list[str], link: str
) -> None:
    titles = [f"{title} {n}" for n in range(190) for title in (*CATS, *DOGS)] + papers
    page = web.post(f"{link}/start", files={"file": ("large.bib", bibtex(*titles))})
    assert page.status_code == 200
    assert "1,910 references in your BibTeX: 10 are known here, 1900 not" in page.text


def test_many_papers_that_are_known_here_are_within_the_budget_of_a_request(
    web: httpx2.Client, session: Session, engine: Engine, settings: Settings, link: str
) -> None:
    kinds = ("Sleeping cats in winter", "Galaxies with bars", "Proofs of lemmas", "Rusty bridges")
    titles = [f"{kind}, part {n}" for kind in kinds for n in range(20)]
    store_papers(session, [make_announcement(n, title) for n, title in enumerate(titles, 1)])
    learn_meanings(make_sessions(engine), settings)
    page = web.post(f"{link}/start", data={"text": "\n".join(titles)})
    assert page.status_code == 200
    assert page.text.count('name="topic" value="like:') >= 4


@pytest.mark.settings(embedder="none")
def test_without_a_model_words_are_compared(
    web: httpx2.Client, papers: list[str], link: str
) -> None:
    page = web.post(f"{link}/start", data={"text": "\n".join(papers)})
    assert page.status_code == 200
    assert len(form_of(page)["topic"]) > 1


def test_links_lead_there(web: httpx2.Client, link: str) -> None:
    assert f"{link}/start" in web.get(link).text


def test_papers_that_are_not_here_still_help(
    web: httpx2.Client, papers: list[str], link: str
) -> None:
    entries = [
        f"@misc{{u{n}, title = {{Sleeping cats of the {word} kind}},"
        f" abstract = {{Sleeping cats dream of winters {word}.}}}}"
        for n, word in enumerate(("large", "small", "brown", "quick"))
    ]
    page = web.post(f"{link}/start", data={"text": "\n".join(entries)})
    assert "4 references in your BibTeX: 0 are known here, 4 not" in page.text
    topic = form_of(page)["topic"][0]
    assert topic.startswith('like:"')
    assert {"sleeping", "cats"} <= {*topic[6:-1].split()}
    assert web.get("/topics/preview", params={"q": topic}).status_code == 200
