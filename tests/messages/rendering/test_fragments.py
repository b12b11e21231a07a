"""Runs: what is joined is what would have been encoded as a whole."""

import quopri
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.mail.stored_copies import store_parts

from service.deliveries.domain.states import DeliveryKind
from service.messages.contexts.base import Brand
from service.messages.contexts.digest import DigestContext, DigestPaper
from service.messages.contexts.transactional import FarewellContext, MailContext
from service.messages.domain.errors import RenderError
from service.messages.mime.archive_copy import (
    BROKEN_RECIPE,
    copy_mail,
    needed_numbers,
    restore_copy,
    write_recipe,
)
from service.messages.rendering.fragments import (
    CHANGE,
    TOPIC,
    MailPartFragments,
    encode_private,
    encode_shared,
    marked_fragment,
    put_marks,
    take_marks,
    to_body,
)
from service.messages.rendering.mjml_cache import compile_shape, split_shape
from service.messages.rendering.renderer import RenderedMail, Renderer

TEXT = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufdd0\ufdd1\ufdd2\ufdd3")
    | st.just("\n")
    | st.just("=")
    | st.just(" "),
    max_size=200,
)


@given(texts=st.lists(TEXT, max_size=6), change=st.text("abc/=?-_.é", min_size=1, max_size=150))
def test_joined_runs_decode_to_the_joined_texts(texts: list[str], change: str) -> None:
    texts = [text + CHANGE + f"?topic={TOPIC}&amp;" for text in texts]
    part = MailPartFragments(tuple((encode_shared(text), 12) for text in texts), change)
    whole = "".join(texts).replace(CHANGE, change).replace(TOPIC, "12")
    assert part.text == whole
    assert quopri.decodestring(part.wire) == part.body == whole.replace("\n", "\r\n").encode()
    assert part.wire.isascii()
    assert all(len(line) <= 76 for line in part.wire.split(b"\r\n"))
    assert not any(line.endswith((b" ", b"\t")) for line in part.wire.split(b"\r\n"))
    assert b"\n" not in part.wire.replace(b"\r\n", b"")


@pytest.mark.parametrize("length", range(70, 82))
@pytest.mark.parametrize("letter", ["x", "é", "="])
def test_a_run_of_any_length_ends_softly_within_its_line(length: int, letter: str) -> None:
    run = encode_private(letter * length)
    assert all(len(line) <= 76 for line in run.wire.split(b"\r\n"))
    assert quopri.decodestring(run.wire).decode() == letter * length


@pytest.mark.parametrize("length", range(70, 82))
@pytest.mark.parametrize("end", [" \n", "\t\n", " "])
def test_a_blank_at_the_end_makes_no_line_too_long(length: int, end: str) -> None:
    text = "x" * length + end
    run = encode_private(text)
    assert all(len(line) <= 76 for line in run.wire.split(b"\r\n"))
    assert quopri.decodestring(run.wire).decode() == text.replace("\n", "\r\n")


@given(text=st.text("ab./: ~", max_size=260))
def test_letters_that_stand_for_themselves_are_only_broken_into_lines(text: str) -> None:
    run = encode_private(text)
    assert quopri.decodestring(run.wire) == run.body == text.encode()
    assert all(len(line) <= 76 for line in run.wire.split(b"\r\n"))
    assert not any(line.startswith(b".") for line in run.wire.split(b"\r\n"))
    assert not run.wire or run.wire.endswith(b"=\r\n")


def test_runs_of_the_same_text_have_one_name_and_own_runs_none() -> None:
    assert encode_shared("a").key == encode_shared("a").key != encode_shared("b").key
    assert encode_private("a").key == b""


def test_a_mails_words_never_pass_through_mjml() -> None:
    markup = '<mjml><mj-body><mj-section><mj-column><mj-text css-class="t"><p>%s</p></mj-text><mj-button href="https://x.example/%s">Go</mj-button></mj-column></mj-section></mj-body></mjml>'
    shape, contents = split_shape(markup % ("a <b", "1"))
    other, _ = split_shape(markup % ("c", "2"))
    assert shape == other
    assert contents == ["<p>a <b</p>", "https://x.example/1"]
    numbers = [piece for piece in compile_shape(shape) if isinstance(piece, int)]
    assert sorted(numbers) == [0, 1]


def test_a_copy_gives_back_every_byte(
    renderer: Renderer,
    make_entry: Callable[..., DigestPaper],
    make_digest: Callable[..., DigestContext],
) -> None:
    mail = renderer.render(
        DeliveryKind.DIGEST, make_digest(make_entry(1, title="é < ü"), make_entry(2))
    )
    copy = copy_mail(mail)
    recipe, stored = store_parts(copy)
    assert needed_numbers(recipe) == set(stored)
    assert restore_copy(recipe, stored).body == mail.html_part.body
    assert len(recipe) < len(mail.html_part.body) / 20
    for number in stored:
        with pytest.raises(KeyError):
            restore_copy(recipe, {n: body for n, body in stored.items() if n != number})


# A run of a mail: its text, whether others share it, its topic.
PIECES = st.lists(st.tuples(TEXT, st.booleans(), st.integers(1, 10**12)), max_size=8)
CHANGES = st.text("abc/=?-_.é", max_size=50)


def make_mail(pieces: list[tuple[str, bool, int]], change: str) -> RenderedMail:
    runs = []
    for text, is_shared, topic in pieces:
        make = encode_shared if is_shared else encode_private
        runs.append((make(f"{text}{CHANGE}?topic={TOPIC}" if is_shared else text), topic))
    return RenderedMail("", MailPartFragments(tuple(runs), change), MailPartFragments(()))


@given(PIECES, CHANGES)
def test_whatever_a_mail_is_made_of_its_copy_gives_it_back(
    pieces: list[tuple[str, bool, int]], change: str
) -> None:
    mail = make_mail(pieces, change)
    copy = copy_mail(mail)
    recipe, stored = store_parts(copy)
    assert restore_copy(recipe, stored).body == mail.html_part.body
    assert needed_numbers(recipe) == set(stored)
    assert copy.content_hash == sha256(mail.html_part.wire).digest()[:16]


@given(st.lists(st.tuples(TEXT, st.booleans()), max_size=6))
def test_marked_words_are_put_back_where_they_were(pieces: list[tuple[str, bool]]) -> None:
    text = "".join(f"<mark>{text}</mark>" if is_marked else text for text, is_marked in pieces)
    fragment = encode_shared(text)
    plain = encode_shared("".join(text for text, _ in pieces))
    assert (fragment.plain, fragment.key) == (plain.plain, plain.key)
    assert fragment.body == to_body(text)
    assert quopri.decodestring(fragment.wire) == fragment.body
    lines = fragment.wire.split(b"\r\n")
    assert all(len(line) <= 76 and not line.startswith(b".") for line in lines)
    assert not any(line.endswith((b" ", b"\t")) for line in lines)
    assert not fragment.wire or lines[-1] == b""
    # An archive has only the text and the marks, and must give back the same bytes.
    marks = take_marks(fragment.body)[1]
    assert marked_fragment(plain.body, plain.key, marks) == fragment


WORDS = st.text("ab.=é", min_size=1, max_size=12)


@given(words=st.lists(WORDS, min_size=1, max_size=60), data=st.data())
def test_any_words_of_an_encoded_text_can_be_marked(words: list[str], data: st.DataObject) -> None:
    starts, ends, at = [], [], 0
    for word in words:
        starts.append(at)
        ends.append(at + len(word.encode()))
        at = ends[-1] + 1
    plain = encode_shared(" ".join(words))
    cuts = sorted(data.draw(st.sets(st.integers(0, len(words) - 1), max_size=8)))
    spans = [(first, last) for first, last in zip(cuts[::2], cuts[1::2], strict=False)]
    marked = put_marks(plain, [(starts[first], ends[last]) for first, last in spans])
    expected = [*words]
    for first, last in spans:
        expected[first] = f"<mark>{expected[first]}"
        expected[last] += "</mark>"
    assert marked == encode_shared(" ".join(expected))
    assert quopri.decodestring(marked.wire) == marked.body == " ".join(expected).encode()
    assert all(len(line) <= 76 and not line.startswith(b".") for line in marked.wire.split(b"\r\n"))


@pytest.mark.parametrize(
    "text", ["<mark>", "a</mark>b", "<mark>a</mark>b</mark>", "<mark><mark>a</mark>"]
)
def test_marks_that_are_no_pairs_stay_in_the_text(text: str) -> None:
    fragment = encode_shared(text)
    assert (fragment.plain, fragment.marks) == (text.encode(), b"")


@given(st.lists(st.sampled_from([1, 2, 3, 4, 900, 901, 902, 70_000, 70_001]), max_size=20))
def test_a_recipe_finds_parts_wherever_their_numbers_are(numbers: list[int]) -> None:
    copy = copy_mail(make_mail([(f"part {number}", True, 7) for number in numbers], ""))
    of_keys = {
        one.key: number for (one, _), number in zip(copy.part.fragments, numbers, strict=True)
    }
    stored = {of_keys[one.key]: one.plain for one, _ in copy.part.fragments}
    recipe = write_recipe(copy, of_keys)
    assert needed_numbers(recipe) == set(numbers)
    assert restore_copy(recipe, stored).body == copy.part.body


def test_a_way_back_to_where_a_mail_left_off_is_short() -> None:
    there_and_back = [1, 5_000, 2, 5_001, 3, 5_002, 4]
    copy = copy_mail(make_mail([(f"part {number}", True, 0) for number in there_and_back], ""))
    of_keys = {
        one.key: number
        for (one, _), number in zip(copy.part.fragments, there_and_back, strict=True)
    }
    nearby = {key: number for number, key in enumerate(of_keys, 1)}
    # Only the first way is told: each later one leads to where the mail left off.
    assert len(write_recipe(copy, of_keys)) <= len(write_recipe(copy, nearby)) + 4


@pytest.mark.parametrize("cut", [0, 1, 10, -1])
def test_a_recipe_that_is_cut_off_is_broken(cut: int) -> None:
    recipe, stored = store_parts(copy_mail(make_mail([("a", True, 7), ("b", False, 7)] * 9, "")))
    with pytest.raises(BROKEN_RECIPE):
        restore_copy(recipe[:cut], stored)
    assert restore_copy(recipe, stored).body


def test_what_a_mail_says_twice_of_its_reader_is_kept_once() -> None:
    address = "https://papers.example.org/preferences/" + "x" * 80
    once, thrice = (
        store_parts(copy_mail(make_mail([(address, False, 0), ("<p>", True, 1)] * count, "")))[0]
        for count in (1, 3)
    )
    assert len(thrice) - len(once) < len(address)


def write(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def test_an_operators_file_stands_in_for_ours_and_the_rest_stays(
    tmp_path: Path, every_mail: dict[DeliveryKind, MailContext]
) -> None:
    write(tmp_path, "farewell/subject.txt", "So long, from {{ mail.brand.name }}")
    own = Renderer(own_dir=tmp_path)
    farewell = every_mail[DeliveryKind.FAREWELL]
    assert own.render(DeliveryKind.FAREWELL, farewell).subject == "So long, from Paperboy"
    ours = Renderer().render(DeliveryKind.FAREWELL, farewell)
    assert own.render(DeliveryKind.FAREWELL, farewell).text == ours.text
    pause = every_mail[DeliveryKind.PAUSED]
    assert own.render(DeliveryKind.PAUSED, pause) == Renderer().render(DeliveryKind.PAUSED, pause)


def test_an_operators_template_is_escaped_and_strict_like_ours(
    tmp_path: Path, every_mail: dict[DeliveryKind, MailContext]
) -> None:
    farewell = every_mail[DeliveryKind.FAREWELL]
    assert isinstance(farewell, FarewellContext)
    body = '{% extends "_base/layout.mjml" %}{% block opening %}<p>{{ mail.brand.footer }}</p>{% endblock %}'
    write(tmp_path, "farewell/body.mjml", body)
    context = FarewellContext(
        undo_url=farewell.undo_url,
        preferences=farewell.preferences,
        home=farewell.home,
        operator_address="",
        on=farewell.on,
        brand=Brand("<b>", footer="<script>&"),
    )
    html = Renderer(own_dir=tmp_path).render(DeliveryKind.FAREWELL, context).html
    assert "<p>&lt;script&gt;&amp;</p>" in html
    assert "<script>" not in html
    assert "<h1>&lt;b&gt;</h1>" in html
    write(tmp_path, "farewell/body.mjml", "{{ mail.no_such_thing }}")
    with pytest.raises(RenderError, match="no_such_thing"):
        Renderer(own_dir=tmp_path).render(DeliveryKind.FAREWELL, context)
