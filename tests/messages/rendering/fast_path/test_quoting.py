"""Topics that quote other sentences than the usual excerpt share a card's skeleton."""

import pytest
from structlog.testing import capture_logs
from support.mail.invented_digests import make_digest, make_entry

from service.messages.contexts.digest import DigestContext, DigestPaper, DigestSection
from service.messages.rendering.fast_path.quoting import ShownExcerpt
from service.messages.rendering.fast_path.segments import Segment, make_segment
from service.messages.rendering.renderer import Renderer
from service.presentation.excerpts import Quoted, read_excerpts
from service.presentation.highlight import look_for
from service.topics.domain.types import Reason

# Invented.
SENTENCES = (
    "Maps of cheese have recently become a difficult & important subject.",
    "However, existing atlases of hard rinds remain limited.",
    "We propose a soft atlas that draws every rind from one photograph of its shelf.",
    "From the shelf it folds a grid, and asks a small network for the missing corners.",
    "Experiments show that it finds 93% of all rinds at half the former cost.",
    "This could pave the way to future atlases of salted butter.",
)
LIMIT = 180
WORDS = (
    "cheese",
    "rind",
    "hard rinds",
    "network",
    "salted butter",
    "atlas",
    "absent",
    "& important",
)


def make_papers(words: tuple[str, ...], *, field: str = "abstract") -> tuple[DigestPaper, ...]:
    reasons = (Reason(f'"{" ".join(words)}"', field, words),)
    return tuple(
        make_entry(number, title="Soft shelves", abstract=" ".join(SENTENCES), reasons=reasons)
        for number in (1, 2)
    )


def digest_of(*words: str, topic: int = 1, field: str = "abstract") -> DigestContext:
    section = DigestSection(title="a", papers=make_papers(words, field=field), topic_id=topic)
    return make_digest(section, excerpt_characters=LIMIT)


def test_a_cache_counts_each_choice_of_sentences_once() -> None:
    excerpts = read_excerpts("Soft shelves", " ".join(SENTENCES), LIMIT)
    grown: list[int] = []

    def make(quoted: Quoted) -> Segment:
        return make_segment([excerpts.show(quoted)])

    shown = ShownExcerpt(excerpts, (0,), make, grown.append)
    empty = shown.size
    for word in (*WORDS, *WORDS):
        assert shown.find({0: look_for((word,))}) is not None
    assert len(grown) == len({excerpts.quote(look_for((word,))) for word in WORDS})
    assert shown.size == empty + sum(grown)


@pytest.mark.parametrize("field", ["abstract", "title"])
def test_mails_that_quote_equal_those_rendered_whole(field: str) -> None:
    fast, whole = Renderer(), Renderer(is_fast=False)
    with capture_logs() as logged:
        for topic, word in enumerate((*WORDS, *WORDS), 1):
            digest = digest_of(word, topic=topic, field=field)
            ours, plain = (each.render(digest.kind, digest) for each in (fast, whole))
            assert (ours.html, ours.text) == (plain.html, plain.text)
    assert [line for line in logged if line["event"] == "fast_path.unsupported"] == []


@pytest.mark.parametrize(
    ("word", "number", "marked"),
    [
        ("network", 3, "a small <mark>network</mark> for"),
        ("salted butter", 5, "of <mark>salted butter</mark>."),
        ("rind", 2, "every <mark>rind</mark> from"),
    ],
)
def test_the_sentence_with_the_reasons_word_is_shown_and_marked(
    word: str, number: int, marked: str
) -> None:
    digest = digest_of(word)
    mail = Renderer().render(digest.kind, digest)
    assert marked in mail.html
    assert SENTENCES[number] in " ".join(mail.text.split())


def test_a_title_that_shows_the_word_needs_no_quote() -> None:
    digest = digest_of("shelves", field="title")
    usual = digest_of("absent")
    texts = [Renderer().render(each.kind, each).text for each in (digest, usual)]
    assert all(SENTENCES[2] in " ".join(text.split()) for text in texts)
    assert all(SENTENCES[3] not in " ".join(text.split()) for text in texts)
