"""Formulas in plain texts as HTML: what is one is typeset, all else is only escaped."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.presentation.formulas import typeset
from service.presentation.highlight import mark


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("N_eff, y_d and k_⊥", "N<sub>eff</sub>, y<sub>d</sub> and k<sub>⊥</sub>"),
        ("10⁻¹⁶ of H₂O", "10<sup>−16</sup> of H<sub>2</sub>O"),
        ("PM₂.₅ in x₁.", "PM<sub>2.5</sub> in x<sub>1</sub>."),
        ("f^(−α/2) and 10^6.5.", "f<sup>−α/2</sup> and 10<sup>6.5</sup>."),
        ("2.86^+0.02_−0.03", "2.86<sup>+0.02</sup><sub>−0.03</sub>"),
        ("T_eff² and f²_DM", "T<sub>eff</sub><sup>2</sup> and f<sup>2</sup><sub>DM</sub>"),
        ("x_(i,j) of M_(BH)s", "x<sub>i,j</sub> of M<sub>BH</sub>s"),
        ("M_(low-mass stars)", "M<sub>low-mass stars</sub>"),
        ("CO_(J(1−0)), a_(J(1−0))", "CO_(J(1−0)), a<sub>J(1−0)</sub>"),
        ("ΔN_eff, (a+b)_eff", "ΔN<sub>eff</sub>, (a+b)<sub>eff</sub>"),
        # what TeX is left
        (r"$\foo{x}$ and \oiii", r"<code>$\foo{x}$</code> and <code>\oiii</code>"),
        # names, addresses and money are none
        ("set_a, GPT_4, x_train_2, snake_case", "set_a, GPT_4, x_train_2, snake_case"),
        ("https://x.example/a_b^2 www.y.example/c_d", "https://x.example/a_b^2 www.y.example/c_d"),
        ("$5 and $6, a ^ b, _x, H_2O", "$5 and $6, a ^ b, _x, H_2O"),
        # hostile texts
        ("<b>x_i</b> & M_<i>", "&lt;b&gt;x<sub>i</sub>&lt;/b&gt; &amp; M_&lt;i&gt;"),
        ("a^(<img/src=x>)", "a<sup>&lt;img/src=x&gt;</sup>"),
        (r"$\x{<script>}$ \y{<b>}", r"<code>$\x{&lt;script&gt;}$</code> <code>\y{&lt;b&gt;}</code>"),
        ("", ""),
    ],
)  # fmt: skip
def test_formulas_are_typeset_and_all_else_is_escaped(text: str, html: str) -> None:
    assert typeset(text) == html


@pytest.mark.parametrize(
    ("text", "words", "html"),
    [
        ("the N_eff of", ("eff",), "the N<mark><sub>eff</sub></mark> of"),
        ("the N_eff of", ("n eff",), "the <mark>N<sub>eff</sub></mark> of"),
        ("H₂O emission", ("h₂o emission",), "<mark>H<sub>2</sub>O emission</mark>"),
        ("x^(a b)", ("a", "b"), "x<mark><sup>a b</sup></mark>"),
        (r"\foo{bar} bar", ("bar",), r"<mark><code>\foo{bar}</code></mark> <mark>bar</mark>"),
        ("<b> & 10⁻¹⁶", ("b",), "&lt;<mark>b</mark>&gt; &amp; 10<sup>−16</sup>"),
    ],
)
def test_a_word_is_marked_with_the_formula_that_holds_it(
    text: str, words: tuple[str, ...], html: str
) -> None:
    assert mark(text, words) == html


TAGS = re.compile(r"</?(?:sub|sup|code|mark)>")


@given(st.text(alphabet="ab_^()$\\{}<>&\"'⁻²₂.−+ 1α", max_size=60))
def test_any_text_is_safe_and_whole(text: str) -> None:
    for html in (typeset(text), mark(text, ("a", "b a"))):
        bare = TAGS.sub("", html)
        assert "<" not in bare
        assert ">" not in bare
        opened = [tag for tag in TAGS.findall(html) if tag[1] != "/"]
        assert len(opened) * 2 == len(TAGS.findall(html))
        for letter in "abα":
            assert re.sub(r"&[a-z0-9#]+;", "", bare).count(letter) == text.count(letter)


def test_hostile_texts_are_read_to_their_end() -> None:
    # Quadratic matching would exceed the suite's time limit.
    for piece in ("$", "_(", "a^(", "a_", "\\a{", "^²", "x_((", "a_b_", "$a"):
        assert typeset(piece * 20_000)
