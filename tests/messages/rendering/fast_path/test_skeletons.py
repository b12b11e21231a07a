"""The fast path: a digest from a skeleton equals the digest that the plain templates render."""

import gc
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs
from support.mail.mail_states import every_state

from service.deliveries.domain.recipients import Cadence
from service.deliveries.domain.states import DeliveryKind
from service.editions.domain.coverage import Coverage
from service.messages.contexts.digest import DigestContext, DigestPaper, DigestSection, DigestUpdate
from service.messages.domain.errors import RenderError
from service.messages.identity import make_renderer
from service.messages.rendering.environment import load_templates
from service.messages.rendering.fast_path import FastPath
from service.messages.rendering.renderer import TEMPLATE_DIR, RenderedMail, Renderer
from service.papers.domain.types import PaperEventKind
from service.platform.settings.settings import Settings
from service.topics.domain.types import Reason

MakeEntry = Callable[..., DigestPaper]
MakeDigest = Callable[..., DigestContext]

WORDS = st.text(
    st.characters(exclude_categories=["Cs"])
    | st.sampled_from(list(" \n<>&\"'=\u2028\ufdd0\ufdd5")),
    max_size=120,
)


def shown_text(mail: RenderedMail) -> tuple[str, str, str]:
    return mail.subject, mail.html, mail.text


def test_every_state_of_the_gallery_is_filled_in_as_if_it_were_written_alone() -> None:
    renderer = Renderer()
    digests = [
        (one.name, one.context) for one in every_state() if isinstance(one.context, DigestContext)
    ]
    assert len(digests) > 10
    for name, context in digests:
        kind = context.kind
        for _ in range(2):
            filled = renderer.render(kind, context)
            assert shown_text(filled) == shown_text(renderer.render_plain(kind, context)), name


@st.composite
def contexts(draw: st.DrawFn, make_entry: MakeEntry, make_digest: MakeDigest) -> DigestContext:
    numbers = iter(range(1, 100))

    def entry() -> DigestPaper:
        title = draw(WORDS)
        reasons = (Reason(title[:9] or "x", "title", (title[:9] or "x",)),)
        return make_entry(
            next(numbers), title=title, reasons=reasons, upvotes=draw(st.integers(0, 9))
        )

    groups = tuple(
        DigestSection(
            title=draw(WORDS),
            papers=tuple(entry() for _ in range(draw(st.integers(1, 4)))),
            topic_id=draw(st.integers(0, 12)),
        )
        for _ in range(draw(st.integers(0, 4)))
    )
    updates = tuple(
        DigestUpdate(
            title=draw(WORDS),
            url=draw(
                st.sampled_from(["https://arxiv.org/abs/2604.90001", "javascript:alert(1)", ""])
            ),
            kind=draw(st.sampled_from(list(PaperEventKind))),
            detail=draw(st.sampled_from(["", "v3"])),
        )
        for _ in range(draw(st.integers(0, 3)))
    )
    digest = make_digest()
    change = draw(st.sampled_from(["", "https://papers.example.org/change/abc"]))
    return replace(
        digest,
        groups=groups,
        updates=updates,
        also=tuple(entry() for _ in range(draw(st.integers(0, 2)))),
        most_updates=draw(st.sampled_from([1, 20])),
        cut_count=draw(st.sampled_from([0, 1, 2_345])),
        waits=draw(st.sampled_from(["", "Waiting: 1 paper on <Robots> & “cells”, until Monday."])),
        topics=tuple(draw(st.lists(WORDS, max_size=14))),
        subscribed_on=date(2026, 1, 1) + timedelta(days=draw(st.integers(0, 90))),
        locale=draw(st.sampled_from(["", "de-AT", "ar"])),
        cadence=draw(st.sampled_from(list(Cadence))),
        since=draw(st.sampled_from([None, date(2026, 4, 3)])),
        coverage=Coverage(
            announced=9, checked=9, note=draw(st.sampled_from(["", "Late <today>."]))
        ),
        excerpt_characters=draw(st.sampled_from([0, 350])),
        links=replace(
            digest.links,
            unsubscribe=f"https://papers.example.org/unsubscribe/{draw(st.integers(0, 9**9))}",
            change=change,
            also_off=f"{change}?also=off" if change else "",
        ),
    )


@given(data=st.data())
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_a_digest_holds_its_frames_change_nothing(
    renderer: Renderer, make_entry: MakeEntry, make_digest: MakeDigest, data: st.DataObject
) -> None:
    context = data.draw(contexts(make_entry, make_digest))
    filled = renderer.render(context.kind, context)
    assert shown_text(filled) == shown_text(renderer.render_plain(context.kind, context))


def test_readers_whose_digests_are_alike_share_their_frames(
    make_entry: MakeEntry, make_digest: MakeDigest
) -> None:
    fast = FastPath(load_templates(TEMPLATE_DIR, None))
    for number in range(40):
        context = make_digest(
            *(make_entry(n) for n in range(1 + number % 5)),
            topics=(f"topic {number}", "another"),
            subscribed_on=date(2026, 1, 1) + timedelta(days=number),
            cut_count=1 + number,
            links=replace(make_digest().links, unsubscribe=f"https://papers.example.org/{number}"),
        )
        fast.render(context)
    # The preview in the HTML names one, two or three papers.
    assert fast.skeletons.count_entries() == 1 + 3 + 1


OWN = {
    "looks": "{{ mail.topics | join('/') }} {{ mail.total }} {{ mail.links.browser ~ '?all=1' }}",
    "decides": "{% if mail.topics[0] > 'm' %}late{% else %}early{% endif %} {{ mail.papers[-1].paper.id }}",
    "works on what was written": "{% set said %}{{ mail.total }} papers{% endset %}{{ said | upper }}",
    "works on open values": "{{ mail.total | count_of('paper') | upper }} {{ mail.cut_count + 1 }}",
    "a macro": "{% macro two(x) %}{{ x }}{{ x }}{% endmacro %}{{ two(mail.topics | listed_topics) }}",
    "blanks": "a{{ mail.topics[1] }}b {{ mail.topics[1] }}",
}


@pytest.mark.parametrize("said_by_us", OWN)
@pytest.mark.parametrize("name", ["body.txt", "body.mjml", "subject.txt"])
def test_an_operators_template_may_do_what_no_frame_can_hold(
    tmp_path: Path, make_entry: MakeEntry, make_digest: MakeDigest, said_by_us: str, name: str
) -> None:
    own = OWN[said_by_us]
    (tmp_path / "digest").mkdir()
    said_as = (
        f"<mjml><mj-body><mj-section><mj-column><mj-text>{own}</mj-text></mj-column></mj-section></mj-body></mjml>"
        if name == "body.mjml"
        else own
    )
    (tmp_path / "digest" / name).write_text(said_as)
    renderer = Renderer(own_dir=tmp_path)
    for number in range(6):
        context = make_digest(
            make_entry(number),
            topics=(f"{'az'[number % 2]} <topic>", ["x", " ", "", "y\n\n\n\nz"][number % 4]),
            cut_count=number % 3,
            links=replace(make_digest().links, browser=f"https://papers.example.org/{number}"),
        )
        filled, alone = (
            way(DeliveryKind.DIGEST, context) for way in (renderer.render, renderer.render_plain)
        )
        assert shown_text(filled) == shown_text(alone)


def test_a_template_that_looks_at_everything_does_not_fill_the_memory(
    tmp_path: Path, make_entry: MakeEntry, make_digest: MakeDigest
) -> None:
    (tmp_path / "digest").mkdir()
    (tmp_path / "digest" / "subject.txt").write_text("{{ mail.links.browser ~ '' }}")
    fast = FastPath(load_templates(TEMPLATE_DIR, tmp_path))
    links = make_digest().links

    def is_filled(number: int) -> bool:
        browser = f"https://papers.example.org/{number}"
        mail = make_digest(make_entry(1), links=replace(links, browser=browser))
        return fast.render(mail) is not None

    assert all(is_filled(number) for number in range(256))
    kept = fast.skeletons.count_entries()
    assert not is_filled(256)
    assert fast.skeletons.count_entries() == kept
    for day in range(80):
        fast.render(make_digest(local_date=date(2026, 5, 1) + timedelta(days=day)))
    assert fast.skeletons.count_entries() <= 64 * 3


def test_frames_do_not_keep_the_mail_that_they_were_written_with(
    make_entry: MakeEntry, make_digest: MakeDigest
) -> None:
    fast = FastPath(load_templates(TEMPLATE_DIR, None))
    entry = make_entry(1)
    fast.render(make_digest(entry, topics=("one", "two")))
    gc.collect()
    holders = [one for one in gc.get_objects() if isinstance(one, DigestContext)]
    assert not [one for one in holders if one.papers == (entry,) and one.topics == ("one", "two")]


def test_a_link_that_must_not_go_is_refused_from_a_frame_too(
    renderer: Renderer, make_digest: MakeDigest
) -> None:
    links = make_digest().links
    renderer.render(DeliveryKind.DIGEST, make_digest())
    with pytest.raises(RenderError, match="PAPERBOY_BASE_URL"):
        renderer.render(
            DeliveryKind.DIGEST,
            make_digest(links=replace(links, unsubscribe="javascript:alert(1)")),
        )


def test_a_template_that_no_skeleton_can_hold_is_logged_once(
    tmp_path: Path, make_entry: MakeEntry, make_digest: MakeDigest
) -> None:
    (tmp_path / "digest").mkdir()
    (tmp_path / "digest" / "body.txt").write_text(OWN["works on what was written"])
    renderer = Renderer(own_dir=tmp_path)
    with capture_logs() as logged:
        for number in range(3):
            renderer.render(DeliveryKind.DIGEST, make_digest(make_entry(number), cut_count=number))
    (line,) = [one for one in logged if one["event"] == "fast_path.unsupported"]
    assert line["template"] == "body.txt"
    assert "CannotShare: a filter changed rendered text" in line["reason"]


def test_mails_are_equal_with_the_fast_path_off(settings: Settings) -> None:
    on, off = (
        make_renderer(settings.model_copy(update={"fast_rendering": is_fast}))
        for is_fast in (True, False)
    )
    for state in every_state():
        kind = state.context.kind if isinstance(state.context, DigestContext) else state.kind
        assert shown_text(on.render(kind, state.context)) == shown_text(
            off.render(kind, state.context)
        )
