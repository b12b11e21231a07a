"""Mails use only HTML and CSS that docs/mail-clients.md lists."""

import re
from pathlib import Path

from support.mail.mail_states import every_state, render_state
from support.mail.reading_mail import parse_strictly

from service.messages.rendering.renderer import Renderer

TABLES = (Path(__file__).resolve().parents[3] / "docs" / "mail-clients.md").read_text()


def listed() -> set[str]:
    """Return the code in the first column of the tables."""
    rows = (row.split("|")[1] for row in TABLES.splitlines() if row.startswith("| `"))
    return {word for row in rows for word in re.findall(r"`([^`]+)`", row)}


def used() -> set[str]:
    found: set[str] = set()
    renderer = Renderer()
    for state in every_state():
        for element in parse_strictly(render_state(renderer, state).html).iter():
            if callable(element.tag):  # a comment
                continue
            found.add(element.tag.rpartition("}")[2])
            found.update(element.attrib)
            found.update(properties(element.get("style", "")))
            if element.tag.endswith("}style"):
                found.update(rules("".join(element.itertext())))
    return found


def properties(style: str) -> set[str]:
    pairs = (pair.partition(":") for pair in style.split(";"))
    return {name.strip() for name, _, value in pairs if value.strip()}


def rules(sheet: str) -> set[str]:
    blocks = re.findall(r"\{([^{}]*)\}", sheet)
    found = {name for block in blocks for name in properties(block)}
    heads = re.findall(r"[^{}]+(?=\{)", sheet)
    found |= {head.strip() for head in heads if head.strip().startswith("@")}
    selectors = " ".join(head for head in heads if "@" not in head)
    return found | set(re.findall(r"::?[a-z-]+|[>+~]", selectors))


def test_every_element_attribute_and_property_of_the_mails_is_listed() -> None:
    assert used() - listed() == set()


def test_everything_listed_is_used_by_a_mail() -> None:
    assert listed() - used() == set()
