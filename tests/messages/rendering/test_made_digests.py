"""Thousands of digests of real papers: each mail is valid, complete and small enough.

`PAPERBOY_TEST_WHOLE=1` checks 5,000, which takes some minutes.
"""

import os
import re
import unicodedata
from functools import lru_cache
from pathlib import Path
from xml.etree.ElementTree import Element

import pytest
from support.mail.made_digests import (
    MORNING,
    make_claims,
    make_day,
    make_materials,
    make_settings,
    read_papers,
)
from support.mail.reading_mail import (
    addresses,
    foreign_addresses,
    parse_strictly,
    raw_macros,
    read_twice,
    shown_text,
    unflow,
)

from service.messages.build import build_mail
from service.messages.rendering.renderer import Renderer
from service.presentation.sanitize import clean

DIGESTS = 5_000 if os.environ.get("PAPERBOY_TEST_WHOLE") else 120
PAPERS = 1_600
_XHTML = "{http://www.w3.org/1999/xhtml}"
MOST_BYTES = 90_000
# The hosts of papers and their code.
KNOWN = frozenset({"arxiv.org", "github.com", "gitlab.com", "huggingface.co"})


@lru_cache(maxsize=200_000)
def squeezed(text: str) -> str:
    # HTML typesets what the text part writes as 10⁻¹⁶ or N_eff.
    plain = unicodedata.normalize("NFKC", clean(text))
    return "".join(_SCRIPT.sub(lambda found: found[1] or "", plain).split())


# The signs of a script, with the brackets that only they need; all other brackets are compared.
_SCRIPT = re.compile(r"[_^](?:\(((?:[^()]|\([^()]*\))*)\))?")


def paper_texts(root: Element) -> list[str]:
    """Return headings, bylines, excerpts and reasons of the papers, without their links."""
    texts = []
    for element in root.iter():
        name = str(element.tag).removeprefix(_XHTML)
        kind = element.get("class", "")
        if name in {"h2", "h3"} or (name == "p" and kind in {"", "by"}):
            texts.append("".join(element.itertext()))
        elif name == "p" and kind == "why":
            # In the text part the links of a reason are separate lines with their addresses.
            own = [element.text or ""]
            for child in element:
                if child.tag != f"{_XHTML}a":
                    own += ["".join(child.itertext()), child.tail or ""]
            texts.append("".join(own))
    return [squeezed(text) for text in texts if text.strip()]


def numbered_titles(root: Element) -> list[str]:
    """Return `1. Title` of each card and each line in brief, as the mail shows it."""
    titles = []
    for element in root.iter():
        name, kind = str(element.tag).removeprefix(_XHTML), element.get("class", "")
        if (name == "h3" and kind in {"", "next"}) or (name == "p" and kind == "b"):
            number, title = list(element)[:2]
            titles.append("".join([*number.itertext(), number.tail or "", *title.itertext()]))
    return titles


@pytest.mark.real
@pytest.mark.timeout(3_600)
def test_every_digest_is_a_whole_valid_mail_of_bounded_size(real_data: Path) -> None:
    day = make_day(read_papers(real_data, PAPERS), 300)
    settings, renderer = make_settings(), Renderer()
    # Some digests have more papers than fit, so that papers must be cut.
    claims = make_claims(day, DIGESTS - DIGESTS // 4) + make_claims(day, DIGESTS // 4, 200, seed=2)
    editions = make_materials(day, claims)
    sizes, trimmed = [], 0
    for claim in claims:
        built = build_mail(claim, editions, settings, renderer, MORNING)
        payload = built.envelope.payload
        mail = read_twice(payload)
        root = parse_strictly(mail.html)
        html, text = squeezed(shown_text(root)), squeezed(mail.text)
        shown = numbered_titles(root)
        sizes.append(len(payload))
        trimmed += len(shown) < len(claim.delivery.paper_ids)

        assert len(payload) <= MOST_BYTES
        assert len(mail.html.encode()) <= MOST_BYTES
        # The text part is complete: every title, every address, every line of the footer.
        assert all(squeezed(title) in text for title in shown)
        plain = squeezed(mail.text.replace("“", "").replace("”", ""))
        assert [
            t for t in paper_texts(root) if t.replace("“", "").replace("”", "") not in plain
        ] == []
        flowing = set(map(squeezed, unflow(mail.text).splitlines()))
        assert all(squeezed(title) in flowing for title in shown)
        assert [title.partition(". ")[0] for title in shown] == list(
            map(str, range(1, len(shown) + 1))
        )
        found = addresses(root)
        in_text = set(re.findall(r"https?://\S+", mail.text))
        assert {address for address in found if not address.startswith("#")} <= in_text
        assert foreign_addresses(found, "papers.example.org", KNOWN) == []
        for label in ("Unsubscribe", "Change topics", "Pause", "View in browser"):
            assert label in html or squeezed(label) in html
            assert f"\n{label}: https://papers.example.org/" in mail.text
        more = (
            len(claim.delivery.paper_ids) + len((claim.delivery.digest or {})["cut"]) - len(shown)
        )
        assert (f"And{more:,}more" in html) is (more > 0)
        assert (f"And{more:,}more" in text) is (more > 0)
        assert raw_macros(mail.html) == raw_macros(mail.text) == []
        assert built.copy is not None
    assert max(sizes) > MOST_BYTES * 0.9
    assert trimmed > 0
