"""Every mail in every state of the gallery: equal to its page there, and valid."""

import re
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest
from support.mail.mail_states import KNOWN_HOSTS, State, every_state, render_state
from support.mail.reading_mail import (
    addresses,
    foreign_addresses,
    parse_strictly,
    read_twice,
    shown_text,
    tags,
    unflow,
)

from service.deliveries.domain.states import DeliveryKind
from service.messages.mime.mime import MessageHeaders, build_message
from service.messages.rendering.renderer import Renderer

GALLERY = Path(__file__).resolve().parents[3] / "docs" / "gallery" / "mails"
STATES = every_state()
BLOCKED_IN_MAILS = {"script", "form", "input", "iframe", "object", "link", "video", "svg"}


def as_message(renderer: Renderer, state: State) -> bytes:
    headers = MessageHeaders(
        sender="Paperboy <digest@papers.example.org>",
        to="reader@example.org",
        message_id=f"<{state.kind}.1.0123456789@papers.example.org>",
        date=datetime(2026, 4, 21, 7, 5, tzinfo=UTC),
        kind=state.kind,
    )
    return build_message(render_state(renderer, state), headers)


def test_every_kind_of_mail_is_in_the_gallery() -> None:
    assert {state.kind for state in STATES} == set(DeliveryKind)
    assert len({state.name for state in STATES}) == len(STATES)


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.name)
def test_every_mail_equals_its_gallery_page(renderer: Renderer, state: State) -> None:
    """After an intended change run `make gallery`, look at the pages and commit them."""
    mail = render_state(renderer, state)
    assert mail.html == (GALLERY / f"{state.name}.html").read_text(encoding="utf-8")
    text = (GALLERY / f"{state.name}.txt").read_text(encoding="utf-8")
    assert f"Subject: {mail.subject}\n\n{mail.text}" == text


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.name)
def test_each_state_is_a_valid_mail_with_known_addresses_only(
    renderer: Renderer, state: State
) -> None:
    mail = read_twice(as_message(renderer, state))
    root = parse_strictly(mail.html)
    found = addresses(root)
    assert foreign_addresses(found, "papers.example.org", KNOWN_HOSTS) == []
    for address in found:
        assert address.startswith("#") or address in mail.text or "logo" in address
    flowing = unflow(mail.text)
    assert all(len(line) <= 78 or "://" in line for line in mail.text.splitlines())
    assert "  " not in flowing
    assert BLOCKED_IN_MAILS.isdisjoint(tags(root))
    assert len(mail.html.encode()) <= 90_000
    assert mail.subject not in {"", "None"}


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.name)
def test_each_mail_has_a_language_a_main_landmark_and_a_link_to_the_privacy_page(
    renderer: Renderer, state: State
) -> None:
    mail = render_state(renderer, state)
    root = parse_strictly(mail.html)
    assert root.get("lang") == "en"
    (main,) = (element for element in root.iter() if element.get("role") == "main")
    assert main.get("lang") == "en"
    assert "https://papers.example.org/privacy" in addresses(main)
    assert "\nPrivacy: https://papers.example.org/privacy\n" in mail.text


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.name)
def test_only_outlook_for_windows_gets_a_table_of_600_pixels(
    renderer: Renderer, state: State
) -> None:
    """Outlook for Windows renders with Word and gets its width from conditional comments."""
    html = render_state(renderer, state).html
    opened = re.findall(r"<!--\[if ([^]]*)\]>", html)
    assert len(opened) == html.count("<![endif]-->")
    assert {"mso | IE", "mso", "!mso", "lte mso 11"} >= set(opened)
    assert html.count('width="600"') >= 2
    seen = re.sub(r"<!--.*?-->", "", html, flags=re.DOTALL)
    assert "mso" not in re.sub(r"mso-[a-z-]+:", "", seen).replace("schemas-microsoft", "")


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.name)
def test_headings_are_in_order_and_pictures_have_alt_texts(
    renderer: Renderer, state: State
) -> None:
    root = parse_strictly(render_state(renderer, state).html)
    levels = [int(tag[1]) for tag in tags(root) if tag in {"h1", "h2", "h3", "h4"}]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    pictures = list(root.iter("{http://www.w3.org/1999/xhtml}img"))
    assert all(picture.get("alt") for picture in pictures)
    tables = root.iter("{http://www.w3.org/1999/xhtml}table")
    assert all(table.get("role") == "presentation" for table in tables)
    assert shown_text(root)


def test_two_mails_of_a_thread_never_have_the_same_subject(renderer: Renderer) -> None:
    subjects = [
        render_state(renderer, state).subject for state in STATES if "digest" not in state.name
    ]
    assert all("21 Apr" in subject or "21 avr." in subject for subject in subjects)
    digests = [render_state(renderer, state).subject for state in STATES if "digest" in state.name]
    assert all("21 Apr" in subject or "21. Apr." in subject for subject in digests)
