"""A digest of 25 papers: short on a phone, and whole in both parts."""

import html
import re
from collections.abc import Iterator
from dataclasses import replace
from shutil import which

import pytest
from playwright.sync_api import Page, sync_playwright
from support.mail.digest_of_25 import digest_of_25
from support.mail.invented_digests import make_digest, make_entry
from support.mail.reading_mail import addresses, parse_strictly, unflow

from service.deliveries.domain.states import DeliveryKind
from service.messages.contexts.digest import DigestContext, DigestSection, split_sections
from service.messages.rendering.renderer import RenderedMail, Renderer
from service.messages.rendering.text_part import text_because

TALLEST = 9_000
MOST_LINKS = 140
MOST_BYTES = 70_000


@pytest.fixture(scope="module")
def context() -> DigestContext:
    return digest_of_25()


@pytest.fixture(scope="module")
def mail(context: DigestContext) -> RenderedMail:
    return Renderer().fit(context)


@pytest.fixture(scope="module")
def phone() -> Iterator[Page]:
    """Yield a page of Chromium, 320 pixels wide."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=which("chromium") or which("google-chrome"), args=["--no-sandbox"]
        )
        page = browser.new_page(viewport={"width": 320, "height": 600})
        page.route("**/*", lambda route: route.abort())
        yield page
        browser.close()


def test_it_is_short_on_a_phone_and_has_few_links(mail: RenderedMail, phone: Page) -> None:
    phone.set_content(mail.html)
    assert phone.evaluate("document.documentElement.scrollWidth") == 320
    assert phone.evaluate("document.documentElement.scrollHeight") <= TALLEST
    assert len(addresses(parse_strictly(mail.html))) <= MOST_LINKS
    assert mail.wire_size <= MOST_BYTES


def test_nothing_is_lost_in_the_text_part(context: DigestContext, mail: RenderedMail) -> None:
    flowing = unflow(mail.text)
    entries = iter(re.split(r"\n(?=\d+\. )", flowing)[1:])
    for section in (*context.cards, *context.briefs):
        for entry in section.papers:
            written = next(entries)
            assert entry.paper.title in written
            assert text_because(entry.reasons) in written
            assert f"Abstract: {entry.links.abstract}\n" in written
            assert f"{entry.links.more}&topic={section.topic_id}\n" in f"{written}\n"
    assert next(entries, None) is None


def test_both_parts_show_each_paper_once_in_one_numbering(
    context: DigestContext, mail: RenderedMail
) -> None:
    shown = [
        entry for part in (context.cards, context.briefs) for one in part for entry in one.papers
    ]
    assert {entry.paper.id for entry in shown} == {entry.paper.id for entry in context.papers}
    bare = html.unescape(re.sub("<[^>]+>", "", mail.html))
    flowing = unflow(mail.text)
    for number, entry in enumerate(shown, 1):
        assert len(re.findall(rf"(?m)^{number}\. {re.escape(entry.paper.title)}", bare)) == 1
        assert f"\n{number}. {entry.paper.title}\n" in flowing


def test_lines_are_grouped_by_topic_and_keep_their_whole_titles() -> None:
    long = "A Title That Does Not End " * 12
    groups = tuple(
        DigestSection(
            title=f"topic {topic}",
            papers=tuple(make_entry(n, title=f"{long}{n}") for n in range(topic, topic + 3)),
            topic_id=topic,
        )
        for topic in (10, 20, 30)
    )
    mail = Renderer().render(DeliveryKind.DIGEST, make_digest(*groups, full_cards=4))
    cards, _, brief = mail.html.partition("<h2>In brief</h2>")
    assert re.findall(r">(topic \d+)</h2>", cards) == ["topic 10", "topic 20", "topic 30"]
    found = re.findall(r">(topic \d+)</h3>|>(\d+)\.</span> <a [^>]*>[^<]* (\d+)</a>", brief)
    assert ["".join(each) for each in found] == [
        "topic 10", "512", "topic 20", "621", "722", "topic 30", "831", "932",
    ]  # fmt: skip
    assert brief.count(long.strip()) == 5


def test_the_best_of_each_topic_is_a_card_before_the_second_best_of_any() -> None:
    sections = [
        DigestSection(title=title, papers=tuple(make_entry(n) for n in numbers))
        for title, numbers in (("a", range(5)), ("b", range(5, 6)), ("c", range(6, 9)))
    ]
    cards, lines = split_sections(sections, 5)
    assert [len(section.papers) for section in cards] == [2, 1, 2]
    assert [(section.title, len(section.papers)) for section in lines] == [("a", 3), ("c", 1)]
    assert split_sections(sections, 0) == ((), tuple(sections))


@pytest.mark.parametrize("full_cards", [0, 3, 25, 100])
def test_the_reader_says_how_many_are_cards(context: DigestContext, full_cards: int) -> None:
    mail = Renderer().render(DeliveryKind.DIGEST, replace(context, full_cards=full_cards))
    assert mail.html.count(">Save</a>") == min(full_cards, 25)
    assert mail.html.count('<p class="b"') == 25 - min(full_cards, 25)


def test_each_category_is_named_once_in_a_part_where_it_is_first(mail: RenderedMail) -> None:
    bare = re.sub("<[^>]+>", "", mail.html).replace("\xa0", " ")
    for shown in (bare, unflow(mail.text)):
        assert shown.count("cs.LG Machine Learning") == 1
        assert shown.index("cs.LG Machine Learning") < shown.index(", cs.LG")


def test_a_card_does_not_repeat_its_heading(context: DigestContext, mail: RenderedMail) -> None:
    said = [entry for section in context.cards for entry in section.papers if entry.is_in_heading]
    assert len(said) == 8
    assert mail.html.count('<p class="why">') == 2
