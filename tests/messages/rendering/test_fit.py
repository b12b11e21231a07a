"""Mails stay below their size limit: excerpts get shorter, then papers are cut, footers never."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.mail.read_html import Page, letters, paragraphs

from service.deliveries.domain.states import DeliveryKind
from service.editions.domain.coverage import Coverage
from service.messages.contexts.digest import DigestContext, DigestPaper, DigestSection, DigestUpdate
from service.messages.domain.errors import MailTooLarge
from service.messages.rendering.renderer import Renderer, keep_first
from service.papers.domain.types import PaperEventKind

MakeEntry = Callable[..., DigestPaper]


MakeDigest = Callable[..., DigestContext]


def hard_entries(make_entry: MakeEntry, count: int) -> Iterator[DigestPaper]:
    for number in range(count):
        yield make_entry(
            number,
            title=f"{number} " + "An Unusually Long Title about $x<y$ & Prompt Tuning " * 30,
            abstract="Prompt tuning <is> & stays a promising méthode. " * 200,
            authors=tuple(f"Firstname{n} Ünusually-Long-Surname" for n in range(3000)),
        )


def test_sixty_hard_papers_stay_within_the_limit_with_their_footer(
    renderer: Renderer, make_entry: MakeEntry, make_digest: MakeDigest
) -> None:
    context = make_digest(*hard_entries(make_entry, 60), cut_count=5)
    mail = renderer.fit(context, 90_000)
    assert 80_000 < mail.wire_size <= 90_000
    shown = mail.text.count("Abstract: ")
    assert 0 < shown < 60
    for shown_text in (Page(mail.html).shown_text, paragraphs(mail.text)):
        assert f"And {65 - shown} more papers" in shown_text
        assert context.links.unsubscribe in mail.text
    assert context.links.unsubscribe in Page(mail.html).addresses
    assert renderer.fit(context, 90_000) == mail


def test_twenty_five_ordinary_papers_are_not_touched(
    renderer: Renderer, make_entry: MakeEntry, make_digest: MakeDigest
) -> None:
    abstract = "An ordinary sentence of an ordinary abstract about prompt tuning. " * 20
    context = make_digest(*(make_entry(number, abstract=abstract) for number in range(25)))
    assert renderer.fit(context) == renderer.render(DeliveryKind.DIGEST, context)


def test_excerpts_get_shorter_before_papers_go(
    renderer: Renderer, make_entry: MakeEntry, make_digest: MakeDigest
) -> None:
    abstract = "An ordinary sentence of an ordinary abstract about prompt tuning. " * 20
    context = make_digest(*(make_entry(number, abstract=abstract) for number in range(20)))
    whole = renderer.render(DeliveryKind.DIGEST, context)
    mail = renderer.fit(context, whole.wire_size - 1)
    assert mail.text.count("Abstract: ") == 20
    assert mail.text.count("ordinary sentence") < whole.text.count("ordinary sentence")


def test_a_limit_below_the_footer_is_an_error_and_one_at_it_drops_all_papers(
    renderer: Renderer, make_entry: MakeEntry, make_digest: MakeDigest
) -> None:
    context = make_digest(make_entry(), make_entry(2), excerpt_characters=0)
    empty = renderer.render(DeliveryKind.DIGEST, keep_first(context, 0))
    least = empty.wire_size
    with pytest.raises(MailTooLarge):
        renderer.fit(context, least - 1)
    assert renderer.fit(context, least) == empty


def test_every_topic_keeps_its_best_paper_longest(
    make_entry: MakeEntry, make_digest: MakeDigest
) -> None:
    groups = (
        DigestSection(title="a", papers=tuple(make_entry(number) for number in range(5))),
        DigestSection(title="b", papers=tuple(make_entry(number) for number in range(5, 7))),
    )
    kept = keep_first(make_digest(groups=groups, cut_count=1), 3)
    assert [[entry.paper.id for entry in group.papers] for group in kept.groups] == [[0, 1], [5]]
    assert kept.cut_count == 5
    assert keep_first(kept, 1).cut_count == 7
    assert [group.title for group in keep_first(kept, 1).groups] == ["a"]


def test_any_digest_is_small_and_ends_with_its_footer(
    renderer: Renderer, make_entry: MakeEntry, make_digest: MakeDigest
) -> None:
    updates = tuple(
        DigestUpdate(
            title=f"{n} " + "A title without an end " * 50,
            url=f"https://arxiv.org/abs/2604.{n:05d}",
            kind=PaperEventKind.REVISED,
            detail="v3",
        )
        for n in range(3_000)
    )
    groups = tuple(
        DigestSection(title="topic " * 700, papers=tuple(hard_entries(make_entry, 9)), topic_id=n)
        for n in range(20)
    )
    context = make_digest(
        groups=groups,
        updates=updates,
        also=tuple(hard_entries(make_entry, 3)),
        topics=("topic " * 700,) * 20,
        cut_count=9_999,
        coverage=Coverage(
            announced=10**9,
            checked=1,
            is_complete=False,
            note="Not complete yet: " + ", ".join(f"cs.X{n}" for n in range(150)) + ".",
        ),
    )
    mail = renderer.fit(context)
    assert mail.wire_size <= 90_000
    page = Page(mail.html)
    for address in (context.links.unsubscribe, context.links.preferences, context.links.pause):
        assert address in page.addresses
        assert address in mail.text
    assert "and 2,980 more papers" in page.shown_text
    assert "and 2,980 more papers" in mail.text


@pytest.mark.real
def test_real_papers_with_raw_tex_render_and_fit(
    renderer: Renderer, make_entry: MakeEntry, make_digest: MakeDigest, real_data: Path
) -> None:
    lines = (real_data / "seed" / "daily_papers_page.jsonl").read_text().splitlines()
    papers = [json.loads(line) for line in lines]
    assert len(papers) == 90
    entries = [
        make_entry(number, title=paper["title"], abstract=paper["abstract"])
        for number, paper in enumerate(papers)
    ]
    for start in range(0, 90, 25):
        mail = renderer.fit(make_digest(*entries[start : start + 25]))
        shown_text = letters(Page(mail.html).shown_text)
        assert all(
            letters(entry.paper.title) in shown_text for entry in entries[start : start + 25]
        )
    assert 0 < renderer.fit(make_digest(*entries, *entries)).text.count("Abstract: ") < 180
