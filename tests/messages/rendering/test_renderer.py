"""Every email renders, with any text in its papers, and stays below its size limit."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.mail.fixtures import name_queries
from support.mail.read_html import ALLOWED_TAGS, Page, letters, paragraphs

from service.deliveries.domain.recipients import Cadence
from service.deliveries.domain.states import DeliveryKind
from service.editions.domain.coverage import Coverage
from service.messages.contexts.base import Brand
from service.messages.contexts.digest import (
    DigestContext,
    DigestPaper,
    DigestSection,
    DigestUpdate,
    PaperLinks,
)
from service.messages.contexts.transactional import (
    MailContext,
    TopicsChangedContext,
    WelcomeContext,
)
from service.messages.domain.errors import RenderError
from service.messages.rendering.renderer import Renderer, keep_first
from service.papers.domain.types import PaperEventKind
from service.presentation.sanitize import clean, safe_url
from service.topics.domain.types import Reason

MakeEntry = Callable[..., DigestPaper]
MakeDigest = Callable[..., DigestContext]


HOSTILE = {
    "tex": "$a<b$ and $x>y$ & $\\mathcal{O}(n)$",
    "closing": "</mj-text></mj-column></mj-section></mjml> after",
    "entity": "&amp; &lt;b&gt; &bogus; &#0;",
    "comment": "<!-- [if mso]> --> <![CDATA[ x ]]>",
    "controls": "a\x00b\x0bc\x1fd\x7fe\x85f\ufffeg\ud800h",
    "script": "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "template": "{{ mail.links }} {% raw %} {# x #}",
    "rtl": "\u202eשיטה חדשה\u2066 الشبكات",
    "cjk": "連続学習のためのプロンプト調整",
    "emoji": "Agents 🤖 and 👩‍🔬 \U0001f3f4",
    "quotes": "\"double\" 'single' ` \\ `",
    "line": "a title\u2028Unsubscribe: https://evil.example\n\nAbstract: https://evil.example",
}


@pytest.mark.parametrize("kind", list(DeliveryKind))
def test_each_email_renders_in_both_parts(
    renderer: Renderer, every_mail: dict[DeliveryKind, MailContext], kind: DeliveryKind
) -> None:
    mail = renderer.render(kind, every_mail[kind])
    page = Page(mail.html)
    assert mail.subject
    assert "\n" not in mail.subject
    assert mail.html.startswith("<!doctype html>")
    assert 'lang="en"' in mail.html
    assert f"<title>{mail.subject}</title>" in mail.html
    assert '<meta name="color-scheme" content="light dark"' in mail.html
    assert page.tags.count("h1") == 1
    assert set(page.tags) <= ALLOWED_TAGS
    assert "Example Institute, 1 Sample Street, 12345 Sampletown" in page.shown_text
    assert "Example Institute, 1 Sample Street, 12345 Sampletown" in paragraphs(mail.text)


@pytest.mark.parametrize("kind", list(DeliveryKind))
def test_the_text_part_has_every_address_of_the_html(
    renderer: Renderer, every_mail: dict[DeliveryKind, MailContext], kind: DeliveryKind
) -> None:
    mail = renderer.render(kind, every_mail[kind])
    addresses = set(Page(mail.html).addresses)
    assert addresses
    assert all(f" {address} " in f" {paragraphs(mail.text)} " for address in addresses)


@pytest.mark.parametrize("kind", list(DeliveryKind))
def test_text_lines_have_at_most_78_columns_unless_they_contain_an_address(
    renderer: Renderer, every_mail: dict[DeliveryKind, MailContext], kind: DeliveryKind
) -> None:
    lines = renderer.render(kind, every_mail[kind]).text.splitlines()
    assert [line for line in lines if len(line) > 78 and "://" not in line] == []


def test_a_digest_says_date_coverage_papers_and_reasons_in_both_parts(
    renderer: Renderer, make_entry: MakeEntry, make_digest: MakeDigest
) -> None:
    note = "arXiv deferred today's announcement."
    coverage = Coverage(announced=412, checked=380, late=3, is_complete=False, note=note)
    entry = make_entry(upvotes=4, github_url="https://github.com/example/code", maybe_seen=True)
    mail = renderer.render(DeliveryKind.DIGEST, make_digest(entry, coverage=coverage, cut_count=23))
    assert mail.subject == "24 new on Prompt tuning · Tue 21 Apr"
    for shown_text in (Page(mail.html).shown_text, paragraphs(mail.text)):
        assert "Tuesday 21 April 2026 · 24 papers for you" in shown_text
        assert "380 of 412 announced papers checked · 3 late" in shown_text
        assert note in shown_text
        assert "Efficient Prompt Tuning by Invented Means" in shown_text
        assert "cs.CL Computation and Language · cs.LG Machine Learning" in shown_text
        assert "cs.CL, cs.LG · you may have seen this · ▲ 4 · code" in shown_text
        assert "It attaches a soft prompt to the input." in shown_text
        assert "And 23 more papers" in shown_text
        assert "You asked for this on 3 March 2026 with topic “Prompt tuning”" in shown_text
        assert "every weekday" in shown_text
    assert "<mark>Prompt Tuning</mark> by Invented Means" in mail.html
    assert "the title says “prompt tuning”." in mail.text


def test_the_subject_counts_papers_where_it_cannot_name_a_topic(
    renderer: Renderer, make_entry: MakeEntry, make_digest: MakeDigest
) -> None:
    groups = (DigestSection(title="x" * 70, papers=(make_entry(1), make_entry(2))),)
    subject = renderer.render(DeliveryKind.DIGEST, make_digest(groups=groups)).subject
    assert subject == "2 new papers · Tue 21 Apr"


def test_a_digest_without_papers_says_so(renderer: Renderer, make_digest: MakeDigest) -> None:
    mail = renderer.render(DeliveryKind.DIGEST, make_digest(topics=()))
    assert mail.subject == "No new papers · Tue 21 Apr"
    for shown_text in (Page(mail.html).shown_text, paragraphs(mail.text)):
        assert "Nothing new today." in shown_text
        assert "You asked for this on 3 March 2026. It comes every weekday." in shown_text


def test_papers_beyond_the_full_cards_are_lines(
    renderer: Renderer, make_entry: MakeEntry, make_digest: MakeDigest
) -> None:
    nine = make_digest(*(make_entry(number) for number in range(9)), full_cards=8)
    eight = renderer.render(DeliveryKind.DIGEST, keep_first(nine, 8))
    mail = renderer.render(DeliveryKind.DIGEST, nine)
    assert "In brief" not in eight.html + eight.text
    assert "In brief\n--------\n" in mail.text
    assert mail.html.count('<p class="b"') == 1
    assert mail.text.count("Prompt tuning is a promising method.") == 8


def test_a_welcome_without_topics_promises_trending_papers(
    renderer: Renderer, every_mail: dict[DeliveryKind, MailContext]
) -> None:
    welcome = every_mail[DeliveryKind.WELCOME]
    assert isinstance(welcome, WelcomeContext)
    context = replace(welcome, topics=())
    mail = renderer.render(DeliveryKind.WELCOME, context)
    assert "You chose no topics yet" in Page(mail.html).shown_text
    assert "You chose no topics yet" in mail.text


def test_a_weekly_welcome_names_the_day_and_the_hour(
    renderer: Renderer, every_mail: dict[DeliveryKind, MailContext]
) -> None:
    welcome = every_mail[DeliveryKind.WELCOME]
    assert isinstance(welcome, WelcomeContext)
    mail = renderer.render(DeliveryKind.WELCOME, replace(welcome, cadence=Cadence.WEEKLY))
    assert "every Monday at 07:00, Berlin time" in mail.text


@pytest.mark.parametrize("kind", [DeliveryKind.WELCOME, DeliveryKind.TOPICS_CHANGED])
def test_a_mail_with_many_topics_counts_the_rest(
    renderer: Renderer, every_mail: dict[DeliveryKind, MailContext], kind: DeliveryKind
) -> None:
    topics = name_queries(*(f"topic{number}" for number in range(23)))
    context = every_mail[kind]
    assert isinstance(context, WelcomeContext | TopicsChangedContext)
    mail = renderer.render(kind, replace(context, topics=topics))
    assert "and 3 more" in mail.text
    assert "and 3 more" in Page(mail.html).shown_text


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_paper_is_escaped(
    renderer: Renderer, make_entry: MakeEntry, make_digest: MakeDigest, name: str
) -> None:
    value = HOSTILE[name]
    entry = make_entry(
        title=value,
        abstract=f"{value} " * 20,
        authors=(value, "Ada Example"),
        categories=(value,),
        primary_category=value,
        github_url=value,
        reasons=(Reason(value, "title", (value,)), Reason("x", "category", (value,))),
    )
    context = make_digest(
        groups=(DigestSection(title=value, papers=(entry, make_entry(2))),),
        topics=(value,),
        coverage=Coverage(announced=1, checked=1, note=value),
        operator_address=value,
        brand=Brand(value, footer=value),
    )
    mail = renderer.render(DeliveryKind.DIGEST, context)
    page = Page(mail.html)
    assert set(page.tags) <= ALLOWED_TAGS
    assert not [name for name in page.attributes if name.startswith("on")]
    assert letters(value) in letters(page.shown_text)
    assert letters(value) in letters(mail.text)
    assert "Efficient Prompt Tuning by Invented Means" in page.shown_text
    assert clean(mail.html) == mail.html
    assert clean(mail.text) == mail.text
    assert "\n" not in mail.subject
    # One line for each of the two papers, and none from the hostile text.
    assert sum(line.startswith("Abstract:") for line in mail.text.splitlines()) == 2
    assert sum(line.startswith("Unsubscribe:") for line in mail.text.splitlines()) == 1
    mail.html.encode()
    mail.text.encode()


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)", "JAVASCRIPT:alert(1)", " javascript:alert(1)", "java\nscript:x",
        "data:text/html,x", "//evil.example/x", "http:", "https://", "ftp://x.example", "",
        "https://[::1", "https://x.example/a b", 'https://x.example/"onclick=', "https://x<y",
        "https://x.example/\u202egpj", "https://x.example/" + "a" * 2_000, "\x01https://x.example",
        "mailto:a@example.org", "https://x\\@evil.example",
    ],
)  # fmt: skip
def test_only_http_addresses_become_links(
    renderer: Renderer, make_entry: MakeEntry, make_digest: MakeDigest, address: str
) -> None:
    assert safe_url(address) == ""
    links = PaperLinks(abstract=address, pdf=address)
    nine = [make_entry(number, links=links, github_url=address) for number in range(9)]
    mail = renderer.render(DeliveryKind.DIGEST, make_digest(*nine))
    addresses = Page(mail.html).addresses
    assert all(found.startswith(("https://papers.example.org", "#p")) for found in addresses)
    assert "Abstract:" not in mail.text
    assert "Efficient Prompt Tuning by Invented Means" in mail.html.replace("<mark>", "").replace(
        "</mark>", ""
    )


@pytest.mark.parametrize("address", ["http://127.0.0.1:8000/x?a=1&b=2", "https://x.example/é#y"])
def test_http_addresses_stay_as_they_are(address: str) -> None:
    assert safe_url(address) == address


@pytest.mark.parametrize("name", ["unsubscribe", "preferences", "pause", "home"])
def test_a_digest_with_an_unsafe_footer_link_is_refused(
    renderer: Renderer, make_digest: MakeDigest, name: str
) -> None:
    context = make_digest()
    context = replace(context, links=replace(context.links, **{name: "javascript:x"}))
    with pytest.raises(RenderError, match="PAPERBOY_BASE_URL"):
        renderer.render(DeliveryKind.DIGEST, context)


def test_a_confirmation_contains_no_text_of_the_visitor(
    every_mail: dict[DeliveryKind, MailContext],
) -> None:
    names = set(type(every_mail[DeliveryKind.CONFIRMATION]).__dataclass_fields__)
    assert names == {
        "confirm_url", "never_url", "home", "operator_address", "expires_days", "on", "brand"
    }  # fmt: skip


def test_a_wrong_context_is_an_error_with_its_name(
    renderer: Renderer, every_mail: dict[DeliveryKind, MailContext]
) -> None:
    with pytest.raises(RenderError, match="farewell email cannot be made of a DigestContext"):
        renderer.render(DeliveryKind.FAREWELL, every_mail[DeliveryKind.DIGEST])


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("{{ mail.nothing }}", "nothing"),
        ("<mjml><p></mjml>", "unexpected element"),
        ("{% if %}", ""),
    ],
)
def test_a_broken_template_is_a_render_error_with_its_reason(
    tmp_path: Path, every_mail: dict[DeliveryKind, MailContext], body: str, reason: str
) -> None:
    for name in ("paper.mjml", "paper.txt", "brief.mjml", "brief.txt"):
        path = tmp_path / "_base" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("{% macro card() %}{% endmacro %}{% macro brief() %}{% endmacro %}")
    folder = tmp_path / "farewell"
    folder.mkdir()
    (folder / "subject.txt").write_text("Subject")
    (folder / "body.mjml").write_text(body)
    (folder / "body.txt").write_text("Text")
    with pytest.raises(RenderError, match=f"the farewell email cannot be rendered: .*{reason}"):
        Renderer(tmp_path).render(DeliveryKind.FAREWELL, every_mail[DeliveryKind.FAREWELL])


ANY_TEXT = st.text(max_size=80) | st.text("<>&\"'/{}%#$ab\x00\n-", max_size=40)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(title=ANY_TEXT, author=ANY_TEXT, abstract=ANY_TEXT, words=ANY_TEXT)
def test_no_text_ever_breaks_a_digest_or_appears_unescaped(
    renderer: Renderer,
    make_entry: MakeEntry,
    make_digest: MakeDigest,
    *,
    title: str,
    author: str,
    abstract: str,
    words: str,
) -> None:
    entry = make_entry(
        title=f"[{title}]",
        authors=(author,),
        abstract=abstract,
        reasons=(Reason(words, "title", (words,)),),
    )
    mail = renderer.render(DeliveryKind.DIGEST, make_digest(entry, make_entry(2)))
    page = Page(mail.html)
    assert set(page.tags) <= ALLOWED_TAGS
    assert set(page.addresses) == set(
        Page(
            renderer.render(DeliveryKind.DIGEST, make_digest(make_entry(1), make_entry(2))).html
        ).addresses
    )
    assert letters(f"[{title}]") in letters(page.shown_text)
    assert letters(f"[{title}]") in letters(mail.text)
    assert mail.text.splitlines()[0] == "Paperboy"


ANY_ADDRESS = (
    st.sampled_from(
        ["javascript:alert(1)", "JaVaScRiPt:alert(1)", "data:text/html,<script>", "vbscript:x",
         'https://evil.example/"onmouseover=', "https://arxiv.org\\@evil.example", "//evil.example",
         "https://arxiv.org/abs/1\nBcc: x", "file:///etc/passwd", "https://[", " https://x.example"]
    )
    | st.text(max_size=60)
    | st.builds("{}:{}".format, st.text("abcJAVASCRIPTscript\t\n:", max_size=12), ANY_TEXT)
)  # fmt: skip


@settings(max_examples=1_000 if os.environ.get("PAPERBOY_TEST_WHOLE") else 100, deadline=None,
          suppress_health_check=[HealthCheck.too_slow])  # fmt: skip
@given(abstract=ANY_ADDRESS, pdf=ANY_ADDRESS, code=ANY_ADDRESS, happened=ANY_ADDRESS)
def test_an_untrusted_address_becomes_a_link_only_if_it_is_plain_http(
    renderer: Renderer,
    make_entry: MakeEntry,
    make_digest: MakeDigest,
    *,
    abstract: str,
    pdf: str,
    code: str,
    happened: str,
) -> None:
    links = PaperLinks(abstract=abstract, pdf=pdf)
    update = DigestUpdate(title="A paper", url=happened, kind=PaperEventKind.CODE, detail=happened)
    context = make_digest(make_entry(links=links, github_url=code), updates=(update,))
    mail = renderer.render(DeliveryKind.DIGEST, context)
    page = Page(mail.html)
    given_addresses = {abstract, pdf, code, happened}
    for address in page.addresses:
        if address.startswith(("https://papers.example.org", "#p")):
            continue
        assert address in given_addresses
        assert urlsplit(address).scheme in {"http", "https"}
        assert urlsplit(address).hostname
        assert not set(address) & set(' \t\r\n"<>\\')
    assert set(page.tags) <= ALLOWED_TAGS
    assert not [name for name in page.attributes if name.startswith("on")]
    for line in mail.text.splitlines():
        label, _, address = line.partition(": ")
        if label in {"Abstract", "PDF"}:
            assert address.startswith(("http://", "https://"))
