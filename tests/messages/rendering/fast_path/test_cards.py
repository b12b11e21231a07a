"""A paper's card is rendered once for all topics, and equals the card that its macro writes alone."""

import gc
import quopri
from collections.abc import Iterable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs
from support.mail.invented_digests import make_digest, make_entry
from support.mail.stored_copies import store_parts

from service.deliveries.domain.states import DeliveryKind
from service.messages.contexts.digest import DigestContext, DigestPaper, DigestSection
from service.messages.mime.archive_copy import copy_mail, restore_copy
from service.messages.rendering.fragments import Fragment
from service.messages.rendering.renderer import RenderedMail, Renderer
from service.platform.caches import list_caches
from service.topics.domain.types import Reason

# Pieces of titles and abstracts that are hard to cut, to mark or to encode.
PIECES = (
    "prompt", "tuning", "Tuned", "prompts", "soft-prompt", "Prompt’s", "networks", "e.g.", "et al.",
    ". ", ".", "? ", "!” ", ".) ", "。", "！", " ", "  ", "\n", "-", "—", "/", ", ", ": ", "Code: ", "<b>",
    "&amp;", '"', "'", "=", "=\n", ".\n.", "...", "$\\alpha_{i}$", "\\mathbb{R}^n", "x²", "é", "e\u0301",
    "مرحبا بالعالم", "שלום", "\u200f", "\u202e", "連続学習", "の研究", "\u2028", "\x85", "\x1c", "\ufdd2", "\ufdd5",
    "w" * 74, "w" * 200, "From ", ">", "a", "12", "N_eff", "f^(a/2)", "10⁻¹²", "a_prompt", "\\foo{tuning}",
)  # fmt: skip
TEXTS = st.lists(st.sampled_from(PIECES), max_size=60).map(" ".join) | st.lists(
    st.sampled_from(PIECES), max_size=60
).map("".join)
WORDS = st.sampled_from(
    [
        "prompt",
        "prompt tuning",
        "tuning prompts",
        "学習",
        "w" * 74,
        "مرحبا",
        "x",
        "a",
        "é",
        "<b>",
        "eff",
        "10",
        "",
        "!",
    ]
)
REASONS = st.lists(
    st.builds(
        Reason,
        st.sampled_from(["prompt", '"prompt tuning"', "cat:cs.CL", 'ti:"a <b>"', "au:x", ""]),
        st.sampled_from(["title", "abstract", "author", "category", "meaning", "source", "trend"]),
        st.lists(WORDS, min_size=1, max_size=3).map(tuple),
        st.booleans(),
    ),
    max_size=5,
).map(tuple)


@st.composite
def entries(draw: st.DrawFn, number: int) -> DigestPaper:
    return make_entry(
        number,
        title=draw(TEXTS),
        abstract=draw(TEXTS),
        summary=draw(st.just("") | TEXTS),
        authors=("Ada Example", *draw(st.lists(st.sampled_from(PIECES), max_size=3))),
        url=draw(st.sampled_from(["https://arxiv.org/abs/1", "javascript:x", ""])),
        github_url=draw(st.sampled_from(["https://github.com/a/b", ""])),
        is_late=draw(st.booleans()),
        maybe_seen=draw(st.booleans()),
        revision=draw(st.sampled_from([0, 2])),
        reasons=draw(REASONS),
        is_in_heading=draw(st.booleans()),
    )


@st.composite
def digests(draw: st.DrawFn) -> DigestContext:
    """Return a digest in which several topics bring the same papers."""
    papers = [draw(entries(number)) for number in range(draw(st.integers(1, 3)))]
    groups = tuple(
        DigestSection(
            title=f"topic {topic}",
            papers=tuple(paper._replace(reasons=draw(REASONS)) for paper in papers),
            topic_id=topic,
        )
        for topic in range(draw(st.integers(1, 3)))
    )
    digest = make_digest(
        *groups,
        also=(papers[0],),
        excerpt_characters=draw(st.sampled_from([0, 120, 350])),
        full_cards=draw(st.integers(0, 9)),
    )
    has_links = draw(st.booleans())
    return digest if has_links else replace(digest, links=replace(digest.links, change=""))


ONE, WHOLE = Renderer(), Renderer(is_fast=False)


def assert_equal(mail: RenderedMail, whole: RenderedMail) -> None:
    assert (mail.subject, mail.html, mail.text) == (whole.subject, whole.html, whole.text)
    for part in (mail.html_part, mail.text_part):
        assert quopri.decodestring(part.wire) == part.body
        lines = part.wire.split(b"\r\n")
        assert max(map(len, lines)) <= 76
        assert not any(line.startswith(b".") or line.endswith((b" ", b"\t")) for line in lines)
        assert part.wire.isascii()
    copy = copy_mail(mail)
    restored = restore_copy(*store_parts(copy))
    assert restored.body == whole.html_part.body
    assert sha256(restored.wire).digest()[:16] == copy.content_hash


@given(digests())
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
def test_cards_of_many_topics_equal_those_rendered_whole(context: DigestContext) -> None:
    assert_equal(ONE.render(context.kind, context), WHOLE.render(context.kind, context))


OWN = {
    "marks and changes": "{{ entry.paper.title | mark(entry.reasons | marked_words) | upper }}",
    "marks twice": "{{ entry.paper.title | mark(entry.reasons[1:] | marked_words) }}"
    "{{ entry.paper.abstract | shorten(99) | mark(entry.reasons | marked_words) }}",
    "looks": "{{ entry.reasons[0].words | join('/') if entry.reasons else '' }}",
    "counts": "{% if entry.reasons | length > 1 %}many{% else %}few{% endif %}",
    "writes everything": "{{ entry.reasons ~ '' }} {{ entry.reasons[:1] }}",
    "marks lines": "<pre>{{ entry.paper.abstract | mark(entry.reasons | marked_words) }}</pre>",
    "blanks": "<p> {{ entry.reasons[-1].clause if entry.reasons }} </p>",
    "asks more of some": "{{ 'why' if entry.reasons }}"
    "{% if entry.paper.id == 1 %}{{ 'told' if entry.is_in_heading else 'not told' }}{% endif %}",
    "writes the answer": "<p>{{ entry.is_in_heading }}</p>",
    "an address": "{{ '?all=1' | changed(in_topic=True) }}{% for reason in entry.reasons %}{{ ('?mute=' ~ reason.clause) | changed }}{% endfor %}",
}


@pytest.mark.parametrize("name", OWN)
def test_an_operators_card_may_do_what_no_skeleton_can_hold(tmp_path: Path, name: str) -> None:
    (tmp_path / "_base").mkdir()
    macros = "{%% macro card(entry, limit, can_change, has_topic) %%}\n%s\n{%% endmacro %%}"
    for file in ("paper.mjml", "paper.txt"):
        (tmp_path / "_base" / file).write_text(macros % OWN[name])
    ours, whole = (Renderer(own_dir=tmp_path, is_fast=is_fast) for is_fast in (True, False))
    words = ("prompt", "tuning", "budget", "invented", " ", "")
    for number in range(60):
        reasons = tuple(Reason(f"{one}{number}", "title", (one,)) for one in words[: number % 5])
        is_said = number % 7 > 2
        entry = make_entry(number % 3, reasons=reasons, is_in_heading=is_said)
        digest = make_digest(DigestSection(title="a", papers=(entry,), topic_id=number))
        assert_equal(ours.render(digest.kind, digest), whole.render(digest.kind, digest))


def test_a_card_that_no_skeleton_can_hold_is_logged_once(tmp_path: Path) -> None:
    (tmp_path / "_base").mkdir()
    card = "{% macro card(entry, limit, can_change, has_topic) %}{{ entry.reasons ~ '' }}{% endmacro %}"
    (tmp_path / "_base" / "paper.txt").write_text(card)
    renderer = Renderer(own_dir=tmp_path)
    with capture_logs() as logged:
        for number in range(300):
            reasons = (Reason(f"word{number}", "title", ("x",)),)
            digest = make_digest(
                DigestSection(title="a", papers=(make_entry(1, reasons=reasons),), topic_id=1)
            )
            renderer.render(digest.kind, digest)
    (line,) = [one for one in logged if one["event"] == "fast_path.unsupported"]
    assert line["template"] == "_base/paper.txt card"


def topic_digests(topics: Iterable[int], papers: int) -> list[DigestContext]:
    """Return a digest for each topic, which brings all papers by a word of its own and common ones."""
    return [
        make_digest(
            *(
                DigestSection(
                    title=f"topic {topic}",
                    papers=tuple(
                        make_entry(
                            number + 1,
                            abstract=f"Paper {number} is about the tuning of models.",
                            reasons=(
                                Reason(f"word{topic}", "title", (f"word{topic}", "prompt")),
                                Reason("tuning", "abstract", ("tuning",)),
                            ),
                        )
                        for number in range(papers)
                    ),
                    topic_id=topic,
                )
                for _ in range(1)
            )
        )
        for topic in topics
    ]


def test_a_card_is_rendered_once_for_all_headings_that_it_does_not_ask_about() -> None:
    renderer = Renderer()
    reasons = (Reason("prompt", "title", ("prompt",)),)

    def rendered(*, full_cards: int, is_in_heading: bool) -> int:
        before = misses("paper cards")
        entry = make_entry(1, reasons=reasons, is_in_heading=is_in_heading)
        digest = replace(
            make_digest(DigestSection(title="a", papers=(entry,), topic_id=1)),
            full_cards=full_cards,
        )
        renderer.render(digest.kind, digest)
        return misses("paper cards") - before

    assert rendered(full_cards=1, is_in_heading=False) == 2
    # Only the card in HTML asks.
    assert rendered(full_cards=1, is_in_heading=True) == 1
    assert rendered(full_cards=0, is_in_heading=False) == 2
    assert rendered(full_cards=0, is_in_heading=True) == 0


def misses(name: str) -> int:
    gc.collect()
    return next(use.misses or 0 for use in list_caches() if use.name == name)


def test_twice_the_topics_render_no_more_papers() -> None:
    renderer = Renderer()

    def rendered(topics: Iterable[int]) -> int:
        before = misses("paper cards")
        for digest in topic_digests(topics, 10):
            renderer.render(digest.kind, digest)
        return misses("paper cards") - before

    first = rendered(range(1, 11))
    # Each paper in HTML and in text.
    assert first == 20
    assert rendered(range(11, 51)) == 0


def test_a_card_of_a_topic_that_many_have_is_filled_once() -> None:
    renderer = Renderer()

    def marked() -> list[Fragment]:
        mails = [renderer.render(one.kind, one) for one in topic_digests(range(1, 11), 10)]
        return [one for mail in mails for one, _ in mail.html_part.fragments if one.marks]

    first, second = marked(), marked()
    assert len(first) >= 100
    assert all(one is again for one, again in zip(first, second, strict=True))


def test_the_oldest_cards_of_a_topic_that_lasts_are_dropped() -> None:
    renderer = Renderer()
    reasons = (Reason("prompt", "abstract", ("prompt",)),)

    def marked(day: int) -> list[Fragment]:
        entries = [make_entry(day * 300 + at, abstract="A prompt. " * 30) for at in range(300)]
        papers = tuple(entry._replace(reasons=reasons) for entry in entries)
        section = DigestSection(title="prompt", papers=papers, topic_id=1)
        digest = replace(make_digest(), groups=(section,), full_cards=300)
        mail = renderer.render(DeliveryKind.DIGEST, digest)
        return [one for one, _ in mail.html_part.fragments if one.marks]

    first, again = marked(0), marked(0)
    assert len(first) == 600  # The title and the excerpt of each.
    assert all(one is same for one, same in zip(first, again, strict=True))
    for day in range(1, 6):
        marked(day)
    assert not any(one is same for one, same in zip(first, marked(0), strict=True))


def test_the_name_of_a_topic_is_encoded_once_wherever_it_stands_in_a_mail() -> None:
    renderer = Renderer()
    first, second, third = (
        DigestSection(title=f"topic {number}", papers=(make_entry(number),), topic_id=number)
        for number in (1, 2, 3)
    )

    def encoded(*sections: DigestSection) -> int:
        before = misses("digest texts")
        digest = make_digest(*sections)
        renderer.render(digest.kind, digest)
        return misses("digest texts") - before

    encoded(first, second, third)
    # The subject, which names the first topic, is a mail's own; lines in brief have the same headings.
    assert encoded(second, third, first) == 0
    assert encoded(third, second, first) == 0


def test_a_day_of_papers_fits_in_the_cache() -> None:
    renderer = Renderer()
    text = "We tune the prompts of a model for some hundred tasks, e.g. for questions in other languages. "

    def render_all(topic: int) -> None:
        reasons = (Reason("prompt", "abstract", ("prompts",)),)
        for number in range(0, 1_500, 12):
            entries = [
                make_entry(
                    number + at,
                    title=f"{text[:90]} {number + at}",
                    abstract=text * 6,
                    reasons=reasons,
                )
                for at in range(12)
            ]
            groups = (entries, *([one] for one in entries))
            sections = [
                DigestSection(title="t", papers=tuple(group), topic_id=topic) for group in groups
            ]
            digest = make_digest(*sections)
            renderer.render(digest.kind, digest)

    render_all(1)
    before = misses("paper cards")
    render_all(2)
    assert misses("paper cards") == before
    use = next(use for use in list_caches() if use.name == "paper cards")
    assert use.bytes is not None
    assert use.maximum_bytes is not None
    assert use.bytes < use.maximum_bytes


def test_a_topics_marks_add_only_what_is_marked_to_the_stored_copies() -> None:
    renderer = Renderer()

    def stored(topics: Iterable[int]) -> int:
        parts: set[bytes] = set()
        for digest in topic_digests(topics, 10):
            copy = copy_mail(renderer.render(DeliveryKind.DIGEST, digest))
            parts.update(store_parts(copy)[1].values())
        return sum(map(len, parts))

    first, all_topics = stored(range(1, 11)), stored(range(1, 51))
    # Forty more topics store their lines of reasons; their cards would have taken 40 × 10 × 1,500 bytes.
    assert all_topics - first < 40 * 400
