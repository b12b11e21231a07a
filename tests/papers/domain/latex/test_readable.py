"""Readable text: TeX with a plain form is converted, all else stays, no word is lost."""

import gzip
import json
import os
import re
import unicodedata
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.papers.domain.latex.math_mode import plain_math
from service.papers.domain.latex.readable import fold, to_readable, to_readable_line


@pytest.mark.parametrize(
    ("tex", "plain"),
    [
        # accents and letters
        (r"L\'evy, K\"{a}hler, G{\"o}del", "Lévy, Kähler, Gödel"),
        (r"{\'\i} \'\i{} \'{\i} \^\j", "í í í ĵ"),
        (r"\v{c} \v c \c{c} \u{a} \H{o} \k{e} \r{u} \d{o} \=a \.z", "č č ç ă ő ę ů ọ ā ż"),
        (r"Ond\v rejov, Gin\' e, hyper-K\" ahler", "Ondřejov, Giné, hyper-Kähler"),
        (r"Nguy\~ên, \~{\^{e}}", "Nguyễn, ễ"),
        (r"S\o rensen, \AA rhus, Kra{\ss}, {\L}ukasz, \OE uvre", "Sørensen, Århus, Kraß, Łukasz, Œuvre"),
        (r"\'a la Math", "à la Math"),
        (r"Voil\'a la", "Voilá la"),
        (r"5100 \AA and $5007$ \AA emission, 1500\AA/2800\AA~flux", "5100 Å and 5007 Å emission, 1500Å/2800Å flux"),
        # damaged by escaping on the way
        (r"the MLLM\'s language doesn\'t, users\' needs", "the MLLM's language doesn't, users' needs"),
        (r"{\alpha}-\b{eta}, \r{ho} = 0.3, \k{appa}", "α-β, ρ = 0.3, κ"),
        (r"86\\% accuracy", "86% accuracy"),
        # commands that are no accents stay
        (r"a \b black box, \'x, \'{xy}, \v{\'{x}}, \"1, \' {", r"a \b black box, \'x, \'{xy}, \v{\'{x}}, \"1, \' {"),
        (r"\~{} \^{} \'{} \'{a \'", r"~ ^ \'{} \'{a \'"),
        (r"\"\nosuch", r"\"\nosuch"),
        # escaped characters, spaces and breaks
        (r"28.82\% R\&D \#1 a\_b \$5 \{x\}", "28.82% R&D #1 a_b $5 {x}"),
        (r"10\,keV so\-called a\/b x\ y \@", "10 keV socalled ab x y"),
        (r"one\\two\newline\noindent three", "one two three"),
        (r"odd \? and \ ", r"odd \? and"),
        ("trailing \\", "trailing \\"),
        # styles
        (r"\textit{K}-trivial \emph{a \textbf{b} c} \textbf {d}", "K-trivial a b c d"),
        (r"{\em x} D{\it n}4000 {\sc iii} {\bf } \small big", "x Dn4000 iii big"),
        (r"\textit K \textbf", r"\textit K \textbf"),
        (r"\textcolor{blue}{sky} \color{red} \texorpdfstring{$x$}{x}", "sky x"),
        (r"1\textsuperscript{st} x\textsuperscript{2} H\textsubscript{2}O \textsuperscript", r"1st x² H₂O \textsuperscript"),
        (r"fact\footnote{Not so.} \footnote", r"fact (Not so.) \footnote"),
        # links and citations
        (r"\href{http://a.b/c~d--e_f}{here} \href{http://a.b}{http://a.b} \href{x}", r"here (http://a.b/c~d--e_f) http://a.b \href{x}"),
        (r"\url{http://x.y/~a\_b} \url", r"http://x.y/~a_b \url"),
        (r"Ref.~\cite{Casadio:2023ymt} and \cite", r"Ref. [Casadio:2023ymt] and \cite"),
        # groups
        (r"{B}ayesian Mammo-{CLIP} 3{D} {GAN}s", "Bayesian Mammo-{CLIP} 3{D} GANs"),
        (r"{foo} x{y} a} {b {} \macro{}s \macro{\'e}", r"{foo} x{y} a} {b {} \macro{}s \macro{é}"),
        (r"{\'x} {\foo} {\alpha b}", r"\'x {\foo} {α b}"),
        # marks and symbols
        (r"\ldots a\textendash b \LaTeX{}s \eg we, \ie. \S 3 \dag\ddag", "… a– b LaTeXs e.g. we, i.e. § 3 †‡"),
        (r"Ly\alpha emission 3\pm 1 H \nu\bar\nu", r"Lyα emission 3± 1 H ν\barν"),
        # quotes, dashes, tildes
        ("``x'' and ``double copy\" and `y' it's", "“x” and “double copy” and ‘y’ it's"),
        ("``never closed and ``closed''", "“never closed and “closed”"),
        ("closed only'' and 5'' apart", "closed only” and 5'' apart"),
        ("10--30 a---b ---- run --flag 0.03''", "10–30 a—b ---- run --flag 0.03''"),
        ("Run~2, C.~Roe, z~0.8, N~370, ~770, (~5), a ~ b, x.edu/~me", "Run 2, C. Roe, z~0.8, N~370, ~770, (~5), a ~ b, x.edu/~me"),
        # math
        ("Met$^2$Net", "Met²Net"),
        (r"$\alpha$-divergence, $k$NN, $n$-gram", "α-divergence, kNN, n-gram"),
        (r"$10^{-3}$ $\times$ \(n\) \[x\] $$y$$", "10⁻³ × n x y"),
        (r"$f(T) = α$$(-T)^{n}$, g$-$2", "f(T) = α(-T)ⁿ, g-2"),
        (r"$x^{y^z}$ and $\foo$ and \textbf{$x$}", r"x^(yᶻ) and $\foo$ and x"),
        ("a gap$\\,$here $30%$ $8{,}660$", "a gap here 30% 8,660"),
        (r"M$_{\rm BH}$ M$_{\rm BH}$s $T_{\rm eff}x$ PM$_{2.5}$", "M_BH M_(BH)s T_eff x PM₂.₅"),
        (r"CO_{2}, 10^{6.5}, z_{\rm eff}, __{x}, a^{\foo}, _{", r"CO₂, 10^6.5, z_eff, __{x}, a^{\foo}, _{"),
        (r"\HI, $v\sim200\,\kms$ and \lya{} of \oiii", "H I, v∼200 km s⁻¹ and Lyα of [O III]"),
        ("from 12%~18% to 10~50, (0~9) and 31.5%~99", "from 12%–18% to 10–50, (0–9) and 31.5% 99"),
        ("Recall@1~0.45, 10~000 and L2-10~2.3", "Recall@1 0.45, 10 000 and L2-10 2.3"),
        ("""''zoom in" and (''it's so'') 5'' x""", "“zoom in” and (“it's so”) 5'' x"),
        (r"keeps $\foo --- ``x''~y$ whole", r"keeps $\foo --- ``x''~y$ whole"),
        # money
        ("costs $4 per test and a $42 training cost of $n$", "costs $4 per test and a $42 training cost of n"),
        ("earn $1 million, PUSA in $200k", "earn $1 million, PUSA in $200k"),
        (r"\$5 and \$6 in $x$", "$5 and $6 in x"),
        # no TeX at all
        ("x<y & a>b &amp; <i>z</i> 🎉 שלום", "x<y & a>b &amp; <i>z</i> 🎉 שלום"),
        ("", ""),
    ],
)  # fmt: skip
def test_tex_with_a_plain_form_is_converted_and_the_rest_stays(tex: str, plain: str) -> None:
    assert to_readable(tex) == plain


@pytest.mark.parametrize(
    ("formula", "plain"),
    [
        (r"\alpha", "α"),
        (r"\Delta t", "Δt"),
        (r"\mu = 1", "μ = 1"),
        (r"n \to \infty", "n → ∞"),
        (r"n\to \infty", "n→∞"),
        (r"4\times 10^{-12}", "4×10⁻¹²"),
        (r"\sim1.5", "∼1.5"),
        (r"828^{+79}_{-49}\,\mathrm{km\,s^{-1}}", "828⁺⁷⁹₋₄₉ km s⁻¹"),
        (r"M_{\odot}", "M⊙"),
        (r"x_i^2", "xᵢ²"),
        (r"0.215^\circ", "0.215°"),
        (r"5^\circ C", "5°C"),
        (r"f''", "f′′"),
        (r"K^*", "K*"),
        (r"\mathcal{O}(n\log n)", "𝒪(n log n)"),
        (r"{\cal N}=4", "𝒩=4"),
        (r"\mathbb{R}^n", "ℝⁿ"),
        (r"\mathfrak{g}", "𝔤"),
        (r"\log(x) + \max_i x_i + \log{n} + \sin\theta", "log(x) + maxᵢ xᵢ + log n + sin θ"),
        (r"x^{\max} y^\max", "x^max y^max"),
        (r"\mathbf{78.2\%}", "78.2%"),
        (r"\text{Br} \texttt{NANOGrav 15-year}", "Br NANOGrav 15-year"),
        (r"{\rm eV}\!\quad x", "eV x"),
        (r"\left( x \right]", "( x ]"),
        (r"\sqrt{s} = \sqrt 2 + \sqrt{10} + \sqrt{a+b}", "√s = √2 + √10 + √(a+b)"),
        (r"\frac{1}{2} \tfrac34", "1/2 3/4"),
        (r"\hat{x} \bar x \vec{v}", "x̂ x̄ v⃗"),
        (r"\not= \not\in", "≠ ∉"),
        (r"\unicode{x2013}\unicode{8211}", "––"),
        (r"\{0,1\}", "{0,1}"),
        # scripts that Unicode has not, or that are words
        ("ν_μ", "ν_μ"),
        (r"T_{\rm eff} + T_{\rm max} + N_{tot}", "T_eff + T_max + N_tot"),
        (r"M_{200\mathrm{c}}^{-0.5}", "M_200c^−0.5"),
        (r"2.86^{+0.02}_{-0.03}", "2.86^+0.02_−0.03"),
        (r"x^{y^z} x^{y_{eff}} x^{(AC)}", "x^(yᶻ) x^(y_eff) x^((AC))"),
        (r"10^{14.6} PM_{2.5}", "10^14.6 PM₂.₅"),
        (r"f^{-\alpha/2} y_d k_\perp x_{i, j}", "f^(−α/2) y_d k_⊥ x_(i,j)"),
        (r"M_{\rm low-mass stars}", "M_(low-mass stars)"),
        (r"T_{\rm eff}x T_{\rm eff}(x) \sqrt{T_{\rm eff}}x", "T_eff x T_eff(x) √(T_eff)x"),
        (r"n^{th} 19^{\rm th} x^{}", "nth 19th x"),
        (r"x^10 \frac12 \log_{10}T", "x¹0 1/2 log₁₀ T"),
        # fractions
        (
            r"\frac{a+b}{c} \frac{1}{2\pi} \frac{dN}{dE} \frac{\partial f}{\partial x}",
            "(a+b)/c 1/(2π) dN/dE ∂f/∂x",
        ),
        (
            r"2\frac12 + \frac{1}{2}m + x\frac{a}{b} + \frac{a}{b}^2",
            "2 1/2 + (1/2)m + x(a/b) + (a/b)²",
        ),
        (r"{a+b \over c} \frac{M_{\rm BH}}{M_\odot}", "((a+b)/c) M_BH/M⊙"),
        # accents, delimiters and what an alphabet has not
        (r"\left. x \right|_{y=0} \|x\| \mathcal{1} \r{A}", "x |_(y=0) ‖x‖ 1 Å"),
        (r"\dot{M_*} \overline{MS} \overline{AB}", "Ṁ* M̅S̅ A̅B̅"),
        (r"a \lesssim b \coloneqq c \rightsquigarrow d", "a ≲ b ≔ c ⇝ d"),
        # quantities
        (r"\SI{3.5e-3}{\kilo\meter\per\second\squared}, \num{1e5}", "3.5×10⁻³ km s⁻², 1×10⁵"),
        (r"\ion{H}{ii} \ce{CO3^{2-}} \ang{12;30}", "H II CO₃²⁻ 12°30′"),
        (r"\,", " "),
        (r"\overline{h_c^2}", None),
        (r"\overline{ABCD}", None),
        (r"\SI{x}{\km}", None),
        (r"\SI{3}{\foo}", None),
        (r"\SI{3}", None),
        (r"\SI3\km", None),
        (r"a \over b \over c", None),
        (r"x^", None),
        (r"\foo", None),
        (r"{x", None),
        (r"x}", None),
        ("a & b", None),
        (r"a \\ b", None),
        (r"\frac{}{c}", None),
        (r"\sqrt{}", None),
        (r"\hat{xy}", None),
        (r"\unicode{zz}", None),
        (r"\unicode{x110000}", None),
        (r"\unicode{x7}", None),
        ("{" * 30 + "x" + "}" * 30, None),
        (r"\sqrt" * 30 + "x", None),
    ],
)
def test_a_formula_is_converted_whole_or_not_at_all(formula: str, plain: str | None) -> None:
    assert plain_math(formula) == plain


def test_line_breaks_are_joined_and_paragraphs_kept() -> None:
    abstract = "  We show\nthis and\r\nthat. \\\\\n  Second\n\n\nThird   \tone\n"
    assert to_readable(abstract) == "We show this and that.\n\nSecond\n\nThird one"
    assert (
        to_readable_line("A title\n  wrapped by\n  its source") == "A title wrapped by its source"
    )


def test_a_text_longer_than_any_formula_is_left_unchanged_and_the_next_is_converted() -> None:
    long = "x" * 2_001
    assert to_readable(f"${long}$ and \\(\\alpha\\)") == f"${long}$ and α"


def test_an_apostrophe_within_a_word_closes_no_quotation() -> None:
    assert to_readable("rock `n'roll and `so' on") == "rock `n'roll and ‘so’ on"


def test_unprintable_characters_are_removed_and_the_rest_is_composed() -> None:
    assert to_readable("a\x00b\x0bc\x7fd\x85e\ud800f\ufffeg") == "abcdefg"
    assert to_readable("cafe\u0301 \u00a0x") == "café x"
    assert to_readable("0\x000\x01 $x$") == "00 x"


def test_braces_nested_too_deeply_are_left_unchanged() -> None:
    deep = "{" * 30 + "\\'e" + "}" * 30
    assert to_readable(deep) == deep


def test_hostile_text_is_read_to_its_end() -> None:
    pieces = ("{", "}", "\\'{", "$ ", "\\(", "``", "`", "\\textbf{", "\\href{", "--", "~", "{\\em ")
    # Quadratic parsing would exceed the suite's time limit.
    for piece in pieces:
        assert to_readable(piece * 3000)


@given(st.text(alphabet="\\'\"`^~{}$_-ab1 \n\t%&()[]cvuHk\x00é", max_size=60))
def test_any_text_is_read_without_raising_and_comes_out_clean(text: str) -> None:
    readable = to_readable(text)
    assert readable == unicodedata.normalize("NFC", readable).strip()
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f]", readable)
    assert "  " not in readable


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Müller", "muller"),
        ("ŁÓDŹ", "lodz"),
        ("Straße", "strasse"),
        ("Æsir Øre Þór", "aesir ore thor"),
        ("İstanbul", "istanbul"),
        ("𝒪(n) ϕ", "o(n) φ"),
        ("O’Brien", "o'brien"),
        ("李明", "李明"),
    ],
)
def test_folding_removes_case_and_accents(text: str, folded: str) -> None:
    assert fold(text) == folded


# Conversions of arXiv that differ from ours, and why.
BY_DESIGN = {
    (r"\alpha", False): "Greek is always converted; arXiv's switch for it is on here",
    (r"foo \alpha bar", True): "TeX would glue αbar; outside a formula the blank is the author's",
}


@pytest.mark.real
def test_conversions_agree_with_arxivs_own_except_for_two_by_design(real_data: Path) -> None:
    lines = (real_data / "latex" / "dev" / "tex2utf_vectors.jsonl").read_text().splitlines()
    vectors = [json.loads(line) for line in lines]
    # Outer blanks are stripped, so the vectors' closing line breaks are not compared.
    different = {
        (vector["tex"], vector["greek"])
        for vector in vectors
        if to_readable(vector["tex"]) != vector["utf8"].strip()
    }
    assert len(vectors) == 30
    assert different == set(BY_DESIGN)


@pytest.mark.real
def test_real_cases_lose_their_tex_where_their_kind_has_a_plain_form(real_data: Path) -> None:
    lines = (real_data / "latex" / "dev" / "real_cases.jsonl").read_text().splitlines()
    cases = [json.loads(line) for line in lines]
    leftover = {
        "escaped_char": r"\\[%&#_]",
        "text_style": r"\\(?:textbf|textit|emph|texttt|textsc)\b",
        "quotes": r"``",
        "href_url": r"\\(?:href|url)\b",
        "cite_ref": r"\\cite[pt]?\b",
        "text_symbol": r"\\AA\b",
    }
    checked = left = 0
    for case in cases:
        texts = case["text"] if isinstance(case["text"], list) else [case["text"]]
        for text in map(to_readable, texts):
            assert text == unicodedata.normalize("NFC", text)
            # TeX inside a formula without a plain form stays on purpose.
            outside = re.sub(r"\$[^$]*\$|\\\(.*?\\\)", "", text)
            if pattern := leftover.get(case["kind"]):
                checked += 1
                left += bool(re.search(pattern, outside))
    assert len(cases) == 706
    assert checked > 200
    # The few are commands whose closing brace the archive cut off.
    assert left <= checked * 0.02


# Every fourth abstract; all 50,036 with PAPERBOY_TEST_WHOLE=1 (half a minute, several under coverage).
STEP = 1 if os.environ.get("PAPERBOY_TEST_WHOLE") else 4


def abstracts(real_data: Path) -> Iterator[str]:
    for name in ("arxiv_cs", "arxiv_astro", "arxiv_hep", "hf_daily"):
        with gzip.open(real_data / "bulk" / "dev" / f"{name}.jsonl.gz", "rt") as lines:
            yield from (json.loads(line)["abstract"] or "" for line in islice(lines, 0, None, STEP))


# The name of a colour is an instruction to TeX, not a word.
INSTRUCTION = re.compile(r"\\(?:text)?color\{[^}]*\}")
COMMAND = re.compile(r"\\[A-Za-z]+")
ACCENT = re.compile(r"""\\['"`^~=.]\s?|\\[cvuHkrdb](?=[{\s])|[{}]""")


# Commands that the archive damaged ("\\b{eta}" for "\\beta") are read as the intended letter.
BROKEN_GREEK = re.compile(r"\\[bk]\{(?:eta|appa)\}|\\[a-z]+\\?eta\b")
# An escaped apostrophe of a possessive is no accent on the s.
POSSESSIVE = re.compile(r"\\'(?=s\b)")


def words(text: str) -> set[str]:
    return set(re.findall(r"[a-z]{3,}", text.lower()))


@pytest.mark.real
@pytest.mark.slow
def test_no_abstract_raises_and_none_loses_a_word(real_data: Path) -> None:
    total = 0
    lost: dict[str, set[str]] = {}
    for abstract in abstracts(real_data):
        total += 1
        readable = to_readable(abstract)
        # Without accents on either side, `L\'evy` is the word "levy" before and after.
        apart = INSTRUCTION.sub("", abstract).replace("}{", "} {")
        apart = POSSESSIVE.sub(" ", BROKEN_GREEK.sub(" ", apart))
        source = COMMAND.sub(" ", ACCENT.sub("", apart))
        after = fold(readable).replace("{", "").replace("}", "")
        joined = re.sub(r"[^a-z0-9]", "", after)
        if missing := {w for w in words(fold(source)) if w not in after and w not in joined}:
            lost[abstract] = missing
    assert total == (50_036 if STEP == 1 else 12_510)
    assert list(lost.values()) == []
