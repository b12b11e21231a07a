"""The picture of a paper: its size, what becomes of long and hostile texts, and the cache."""

import subprocess
import sys
from dataclasses import replace
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from support.mail.invented_digests import make_paper

from service.platform.caches import list_caches
from service.web.paper_picture.draw import PaperPicture, _fit, describe, draw

MOST_BYTES = 60_000
PAPER = make_paper(1, key="arxiv:2609.00001", identifier="2609.00001")


def text_of(picture: PaperPicture) -> str:
    return " ".join("".join(piece.text for piece in word) for word in picture.title)


def open_picture(content: bytes) -> Image.Image:
    with Image.open(BytesIO(content)) as image:
        image.load()
        return image.convert("RGB")


def test_a_title_that_cannot_be_written_gives_way_to_the_identifier() -> None:
    authors = ("山田 太郎", "Ada Lovelace")
    picture = describe(replace(PAPER, title="深度学习与猫", authors=authors), "Paperboy")
    assert text_of(picture) == "arXiv:2609.00001"
    assert (picture.authors, picture.identifier) == ("2 authors", "")
    journal = replace(PAPER, key="doi:x", identifier="10.1101/2026.01.01", title="猫", authors=())
    assert text_of(describe(journal, "Paperboy")) == "10.1101/2026.01.01"
    assert text_of(describe(replace(journal, identifier="猫"), "Paperboy")) == "Paperboy"


def test_a_long_title_is_cut_after_a_word() -> None:
    title = " ".join(f"word{number}" for number in range(200))
    size, lines = _fit(describe(replace(PAPER, title=title), "Paperboy").title)
    words = ["".join(piece.text for piece in word) for line in lines for word in line]
    assert size == 48
    assert words[-1].endswith("…")
    assert " ".join(words).removesuffix("…") == title[: len(" ".join(words)) - 1]
    assert title[len(" ".join(words)) - 1] == " "


def test_a_short_title_is_larger() -> None:
    assert _fit(describe(replace(PAPER, title="Cats"), "Paperboy").title)[0] == 76


def has_ink(image: Image.Image, box: tuple[int, int, int, int]) -> bool:
    return min(image.crop(box).convert("L").tobytes()) < 100


@pytest.mark.parametrize("title", ["x" * 300, "W" * 300, "∑" * 400, "a_b" * 100, "<b>&amp;" * 40])
def test_no_title_reaches_over_the_edge_or_the_other_lines(title: str) -> None:
    image = open_picture(draw(describe(replace(PAPER, title=title), "Paperboy")))
    assert image.size == (1200, 630)
    assert has_ink(image, (72, 150, 1130, 480))
    assert not has_ink(image, (1180, 20, 1200, 630))
    assert not has_ink(image, (0, 488, 1200, 500))


@given(st.text(max_size=300), st.lists(st.text(max_size=80), max_size=5), st.text(max_size=40))
def test_whatever_a_paper_says_makes_a_small_picture(
    title: str, authors: list[str], identifier: str
) -> None:
    hostile = replace(PAPER, title=title, authors=tuple(authors), identifier=identifier)
    content = draw(describe(hostile, "Paperboy"))
    assert open_picture(content).size == (1200, 630)
    assert len(content) <= MOST_BYTES


def test_pictures_are_cached_by_what_they_say_and_bounded_in_bytes() -> None:
    first = describe(PAPER, "Paperboy")
    assert draw(first) is draw(describe(replace(PAPER, id=2, upvotes=9), "Paperboy"))
    assert draw(first) != draw(describe(replace(PAPER, is_withdrawn=True), "Paperboy"))
    (use,) = [each for each in list_caches() if each.name == "pictures of papers"]
    assert use.bytes
    assert use.maximum_bytes == 4_000_000


def test_pillow_is_not_loaded_before_the_first_picture() -> None:
    script = "import sys, service.web.paper_picture.draw; print('PIL' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
