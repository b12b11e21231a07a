"""One golden case for every kind of markup in real titles and abstracts.

The texts are invented; the kinds are those by which the real cases are sorted.
"""

import json
from pathlib import Path

import pytest

from service.papers.domain.latex.readable import to_readable

GOLDEN = {
    "accent_macro": (r"Ren\'e and M\"uller of \L{}\'od\'z", "René and Müller of Łódź"),
    "cite_ref": (r"in \cite{doe2020} and \citep{roe2021}", "in [doe2020] and [roe2021]"),
    "dashes": ("pages 3--5 --- all of them", "pages 3–5 — all of them"),
    "display_math": ("we get $$x^2 + y^2$$ here", "we get x² + y² here"),
    "double_backslash": (r"first line\\ second line", "first line second line"),
    "escaped_char": (r"28.82\% of R\&D at \$5 in set\_a", "28.82% of R&D at $5 in set_a"),
    "href_url": (
        r"at \url{https://x.example/a_b}, \href{https://y.example}{here}",
        "at https://x.example/a_b, here (https://y.example)",
    ),
    # HTML is text here: "<sub>" may be markup or the subject of the sentence.
    "html_entity": ("fish &amp; chips", "fish &amp; chips"),
    "html_tag": ("CO<sub>2</sub> levels", "CO<sub>2</sub> levels"),
    "inline_math": (r"a rate of $10^{-3}$ for $\alpha = 2$", "a rate of 10⁻³ for α = 2"),
    "linebreak_macro": (r"one\newline two", "one two"),
    "lt_gt": ("for x<y and p > 0.05", "for x<y and p > 0.05"),
    "paren_math": (r"in \(O(n^2)\) time", "in O(n²) time"),
    "quotes": ("the ``best'' of `all' worlds", "the “best” of ‘all’ worlds"),
    "siunitx_greek": (r"$5\,\mu$m and \SI{3}{\km}", "5 μm and 3 km"),
    # Outside formulas these may be names of variables or files.
    "sub_super_bare": ("H_2O and 10^6 samples", "H_2O and 10^6 samples"),
    "text_style": (r"\textit{K}-trivial \textbf{bold} {\em words}", "K-trivial bold words"),
    "text_symbol": (r"5000 \AA, \S 3, \copyright 2020", "5000 Å, § 3, © 2020"),
    "tilde_nbsp": ("Fig.~3 of Doe~et~al.", "Fig. 3 of Doe et al."),
    "unbalanced_dollar": ("costs $5 per run", "costs $5 per run"),
}


@pytest.mark.parametrize("kind", GOLDEN)
def test_each_kind_of_markup_is_read_by_its_rule(kind: str) -> None:
    tex, readable = GOLDEN[kind]
    assert to_readable(tex) == readable


@pytest.mark.real
def test_every_kind_of_markup_in_real_texts_has_a_rule(real_data: Path) -> None:
    lines = (real_data / "latex" / "dev" / "real_cases.jsonl").read_text().splitlines()
    assert {json.loads(line)["kind"] for line in lines} == GOLDEN.keys()
