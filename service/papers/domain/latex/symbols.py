"""Tables of TeX's control sequences and their characters, for `text_mode` and `math_mode`.

The accents and letters are those arXiv accepts in metadata
(https://info.arxiv.org/help/prep.html#special); symbols are LaTeX's own.
"""

import string
from typing import Final


def pairs(text: str) -> dict[str, str]:
    """Return the words of a text by the words before them."""
    words = text.split()
    return dict(zip(words[::2], words[1::2], strict=True))


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Accent command -> combining character; `\'`, `\c` and so on.
ACCENTS: Final = {
    "'": "\u0301", "`": "\u0300", "^": "\u0302", '"': "\u0308", "~": "\u0303", "=": "\u0304",
    ".": "\u0307", "u": "\u0306", "v": "\u030c", "H": "\u030b", "c": "\u0327", "k": "\u0328",
    "r": "\u030a", "d": "\u0323", "b": "\u0331", "t": "\u0361",
}  # fmt: skip

# Letters of languages. TeX drops the blank after them: `S\o rensen` is Sørensen.
LETTERS: Final = pairs(
    "aa å AA Å ae æ AE Æ oe œ OE Œ o ø O Ø l ł L Ł ss ß SS SS dh ð DH Ð th þ TH Þ dj đ DJ Đ "
    "ng ŋ NG Ŋ i ı j ȷ"
)
MARKS: Final = pairs(
    "S § P ¶ dag † ddag ‡ dagger † ddagger ‡ copyright © pounds £ euro € texteuro € textdegree ° "
    "degree ° degrees ° deg ° ldots … dots … textellipsis … cdots ⋯ textendash – textemdash — "
    "textless < textgreater > textbar | textasciitilde ~ textbackslash \\ textunderscore _ "
    "textasciicircum ^ texttrademark ™ trademark ™ textregistered ® textcopyright © "
    "textquotedblleft “ textquotedblright ” textquoteleft ‘ textquoteright ’ textquotesingle ' "
    "textbullet • textperiodcentered · textmu µ textohm Ω lbrace { rbrace } slash / "
    "LaTeX LaTeX TeX TeX BibTeX BibTeX XeTeX XeTeX arcsec ″ arcmin ′ "
    "checkmark ✓ cmark ✓ xmark ✗ guillemotleft « guillemotright »"
)
# Macros from the author kits of several venues, with the abbreviations that they print.
PHRASES: Final = {"eg": "e.g.", "ie": "i.e.", "etc": "etc.", "etal": "et al.", "wrt": "w.r.t."}

GREEK: Final = pairs(
    "alpha α beta β gamma γ delta δ epsilon ϵ varepsilon ε zeta ζ eta η theta θ vartheta ϑ iota ι "
    "kappa κ varkappa ϰ lambda λ mu μ nu ν xi ξ omicron ο pi π varpi ϖ rho ρ varrho ϱ sigma σ "
    "varsigma ς tau τ upsilon υ phi ϕ varphi φ chi χ psi ψ omega ω Gamma Γ Delta Δ Theta Θ "
    "Lambda Λ Xi Ξ Pi Π Sigma Σ Upsilon Υ Phi Φ Psi Ψ Omega Ω"
)
SYMBOLS: Final = pairs(
    "times × div ÷ pm ± mp ∓ cdot · ast ∗ star ⋆ circ ∘ bullet • oplus ⊕ ominus ⊖ otimes ⊗ "
    "odot ⊙ sun ☉ wedge ∧ vee ∨ land ∧ lor ∨ lnot ¬ neg ¬ cap ∩ cup ∪ setminus ∖ "
    "leq ≤ le ≤ leqslant ⩽ geq ≥ ge ≥ geqslant ⩾ ll ≪ gg ≫ lesssim ≲ gtrsim ≳ lessapprox ⪅ "
    "gtrapprox ⪆ lt < gt > neq ≠ ne ≠ equiv ≡ approx ≈ sim ∼ simeq ≃ cong ≅ propto ∝ asymp ≍ "
    "doteq ≐ prec ≺ succ ≻ mid ∣ parallel ∥ perp ⊥ subset ⊂ supset ⊃ subseteq ⊆ supseteq ⊇ "
    "in ∈ notin ∉ ni ∋ forall ∀ exists ∃ nexists ∄ emptyset ∅ varnothing ∅ infty ∞ partial ∂ "
    "nabla ∇ hbar ℏ ell ℓ Re ℜ Im ℑ aleph ℵ prime ′ top ⊤ bot ⊥ angle ∠ triangle △ square □ "
    "Box □ diamond ⋄ Diamond ◇ to → rightarrow → leftarrow ← leftrightarrow ↔ Rightarrow ⇒ "
    "Leftarrow ⇐ Leftrightarrow ⇔ iff ⇔ implies ⇒ mapsto ↦ uparrow ↑ downarrow ↓ "
    "longrightarrow ⟶ longleftarrow ⟵ rightleftharpoons ⇌ hookrightarrow ↪ nearrow ↗ searrow ↘ "
    "gets ← langle ⟨ rangle ⟩ lfloor ⌊ rfloor ⌋ lceil ⌈ rceil ⌉ vert | lvert | rvert | Vert ‖ "
    "lVert ‖ rVert ‖ sum ∑ prod ∏ int ∫ oint ∮ therefore ∴ because ∵ vdash ⊢ models ⊨ "
    "leftrightharpoons ⇋ rightsquigarrow ⇝ leadsto ⇝ longleftrightarrow ⟷ Longrightarrow ⟹ "
    "Longleftarrow ⟸ Longleftrightarrow ⟺ twoheadrightarrow ↠ updownarrow ↕ "
    "upharpoonright ↾ restriction ↾ coloneqq ≔ coloneq ≔ triangleq ≜ rtimes ⋊ ltimes ⋉ bigoplus ⨁ "
    "bigotimes ⨂ bigcup ⋃ bigcap ⋂ bigwedge ⋀ bigvee ⋁ bigodot ⨀ coprod ∐ iint ∬ iiint ∭ wp ℘ "
    "dagger † ddagger ‡ dag † gtrless ≷ lessgtr ≶ succsim ≿ precsim ≾ succeq ⪰ preceq ⪯ nsim ≁ nleq ≰ "
    "ngeq ≱ nmid ∤ subsetneq ⊊ supsetneq ⊋ sqcup ⊔ sqcap ⊓ uplus ⊎ bowtie ⋈ ltsim ≲ gtsim ≳ la ≲ ga ≳ "
    "lesssim ≲ gtrsim ≳ eqsim ≂ approxeq ≊ fallingdotseq ≒ boxplus ⊞ boxtimes ⊠ boxdot ⊡ vdots ⋮ ddots ⋱ "
    "imath ı jmath ȷ eth ð mho ℧ beth ℶ gimel ℷ lozenge ◊ complement ∁ surd √ dashv ⊣ varpropto ∝ "
    "measuredangle ∡ smallsetminus ∖ circledast ⊛ circledcirc ⊚ ominus ⊖ oslash ⊘ amalg ⨿ wr ≀ "
    "blacktriangle ▲ bigstar ★ bigcirc ○ triangledown ▽ triangleright ▷ triangleleft ◁ "
    "earth ⊕ hslash ℏ lbrack [ rbrack ] lbrace { rbrace } "
    "varGamma Γ varDelta Δ varTheta Θ varLambda Λ varXi Ξ varPi Π varSigma Σ varPhi Φ varPsi Ψ "
    "varOmega Ω upmu μ uppi π upalpha α upbeta β upgamma γ updelta δ upsigma σ uplambda λ micron μm "
    "arcsec ″ arcmin ′ arcdeg ° farcs ″ farcm ′ fdg ° degree ° degrees ° angstrom Å Angstrom Å "
    "Msun M⊙ msun M⊙ Lsun L⊙ lsun L⊙ Rsun R⊙ rsun R⊙ Zsun Z⊙ zsun Z⊙ solmass M⊙ "
    "sqsubseteq ⊑ sqsupseteq ⊒ sqsubset ⊏ vDash ⊨ Vdash ⊩ circledR ® textperthousand ‰ dotsc … dotsb ⋯ "
    "square □ blacksquare ■ clubsuit ♣ spadesuit ♠ heartsuit ♥ natural ♮ sharp ♯ flat ♭ "
    "AA Å degr ° S § dots … ldots … cdots ⋯ backslash \\ colon :"
)
# Macros that astronomers define alike, by what they print.
CONVENTIONS: Final = {
    "kms": "km s⁻¹", "HI": "H I", "HII": "H II", "Htwo": "H₂", "hii": "H II", "oiii": "[O III]",
    "OIII": "[O III]", "oii": "[O II]", "OII": "[O II]", "nii": "[N II]", "NII": "[N II]",
    "civ": "C IV", "CIV": "C IV", "lya": "Lyα", "Lya": "Lyα", "ha": "Hα", "Ha": "Hα", "Halpha": "Hα",
    "hb": "Hβ", "Hb": "Hβ", "Hbeta": "Hβ", "teff": "T_eff", "Teff": "T_eff", "logg": "log g",
    "feh": "[Fe/H]", "mstar": "M⋆", "Mstar": "M⋆", "MSun": "M⊙", "Msol": "M⊙", "LCDM": "ΛCDM",
    "lcdm": "ΛCDM", "Mpc": "Mpc", "kpc": "kpc", "GeV": "GeV", "TeV": "TeV", "MeV": "MeV", "keV": "keV",
    "eV": "eV", "vsini": "v sin i", "thicksim": "∼", "gteq": "≥", "lteq": "≤", "kelvin": "K",
    "muG": "μG", "degsq": "deg²", "emdash": "—", "endash": "–",
}  # fmt: skip
# Binary operators and relations: a blank before them in the source is kept on both sides.
RELATIONS: Final = _words(
    """times div pm mp cdot ast star circ oplus ominus otimes wedge vee land lor cap cup setminus
    leq le leqslant geq ge geqslant ll gg lesssim gtrsim lessapprox gtrapprox lt gt neq ne equiv
    approx sim simeq cong propto asymp doteq prec succ mid parallel perp subset supset subseteq
    supseteq in notin ni to rightarrow leftarrow leftrightarrow Rightarrow Leftarrow Leftrightarrow
    iff implies mapsto longrightarrow longleftarrow rightleftharpoons hookrightarrow gets vdash
    models longleftrightarrow rightsquigarrow leadsto coloneqq triangleq rtimes ltimes gtrless
    lessgtr succsim precsim succeq preceq nsim nleq subsetneq supsetneq ltsim gtsim la ga approxeq"""
)
FUNCTIONS: Final = _words(
    """log ln lg exp sin cos tan cot sec csc sinh cosh tanh arcsin arccos arctan max min sup inf
    lim det dim ker deg gcd arg Pr hom coth arccot liminf limsup mod bmod argmax argmin Tr tr diag
    sgn sign rank erf"""
)

# Commands whose one argument is the text itself.
STYLES: Final = _words(
    """text textit textbf textrm textsf texttt textsc textsl textmd textup textnormal emph
    underline uline mbox hbox fbox enquote ensuremath mathrm mathit mathsf mathtt mathbf mathnormal
    boldsymbol bm pmb operatorname operatorname* textcal mathop mathrel mathbin mathord mathclose
    mathopen mathpunct mathup symup symbf textnormal underline rmn"""
)
# Switches that style the text after them and print nothing themselves.
SWITCHES: Final = _words(
    """em it bf rm sf tt sc sl normalfont bfseries itshape scshape sffamily ttfamily rmfamily
    mdseries upshape slshape tiny scriptsize footnotesize small normalsize large Large LARGE huge
    Huge displaystyle textstyle scriptstyle scriptscriptstyle noindent indent centering protect
    limits nolimits relax xspace boldmath unboldmath"""
)
CITATIONS: Final = _words("cite citep citet citealt citealp citeauthor ref eqref autoref")
BREAKS: Final = _words("newline linebreak par quad qquad enspace thinspace smallskip")
# Accents over a whole expression, which over its first letter alone would say something else.
WIDE_ACCENTS: Final = _words("overline widehat widetilde")
# In math: sizes of delimiters; the delimiter itself follows and is kept.
SIZES: Final = _words(
    "left right big Big bigg Bigg bigl bigr Bigl Bigr biggl biggr bigm Biggl Biggr middle"
)

_PLAIN: Final = "0123456789+-=()"
SUPERSCRIPTS: Final = dict(zip(_PLAIN, "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾", strict=True)) | pairs(
    "a ᵃ b ᵇ c ᶜ d ᵈ e ᵉ f ᶠ g ᵍ h ʰ i ⁱ j ʲ k ᵏ l ˡ m ᵐ n ⁿ o ᵒ p ᵖ r ʳ s ˢ t ᵗ u ᵘ v ᵛ w ʷ x ˣ "
    "y ʸ z ᶻ A ᴬ B ᴮ D ᴰ E ᴱ G ᴳ H ᴴ I ᴵ J ᴶ K ᴷ L ᴸ M ᴹ N ᴺ O ᴼ P ᴾ R ᴿ T ᵀ U ᵁ V ⱽ W ᵂ "
    "α ᵅ β ᵝ γ ᵞ δ ᵟ θ ᶿ φ ᵠ χ ᵡ ∘ ° ° ° ′ ′ ' ′ † † ‡ ‡ ∗ * * * ⋆ ⋆ ⊤ ᵀ − ⁻"
)
SUBSCRIPTS: Final = dict(zip(_PLAIN, "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎", strict=True)) | pairs(
    "a ₐ e ₑ h ₕ i ᵢ j ⱼ k ₖ l ₗ m ₘ n ₙ o ₒ p ₚ r ᵣ s ₛ t ₜ u ᵤ v ᵥ x ₓ β ᵦ γ ᵧ ρ ᵨ φ ᵩ χ ᵪ "
    "⊙ ⊙ ☉ ☉ ⊕ ⊕ ⋆ ⋆ ∗ * * * − ₋"
)

# Accents over one letter of math.
MATH_ACCENTS: Final = {
    "hat": "\u0302", "widehat": "\u0302", "bar": "\u0304", "overline": "\u0304",
    "tilde": "\u0303", "widetilde": "\u0303", "dot": "\u0307", "ddot": "\u0308",
    "vec": "\u20d7", "check": "\u030c", "breve": "\u0306", "acute": "\u0301", "grave": "\u0300",
    "mathring": "\u030a", "r": "\u030a",
}  # fmt: skip


def _alphabet(upper: int, holes: str, lower: int | None = None) -> dict[str, str]:
    """Return Unicode's mathematical letters from a code point; `holes` are encoded elsewhere."""
    letters = {c: chr(upper + n) for n, c in enumerate(string.ascii_uppercase)}
    if lower is not None:
        letters |= {c: chr(lower + n) for n, c in enumerate(string.ascii_lowercase)}
    return letters | pairs(holes)


# Alphabets in which a letter has another meaning, not only another style.
_SCRIPT: Final = _alphabet(0x1D49C, "B ℬ E ℰ F ℱ H ℋ I ℐ L ℒ M ℳ R ℛ")
_BLACKBOARD: Final = _alphabet(0x1D538, "C ℂ H ℍ N ℕ P ℙ Q ℚ R ℝ Z ℤ 1 𝟙")
ALPHABETS: Final = {
    "cal": _SCRIPT,
    "mathcal": _SCRIPT,
    "mathscr": _SCRIPT,
    "mathbb": _BLACKBOARD,
    "mathds": _BLACKBOARD,
    "mathbbm": _BLACKBOARD,
    "mathfrak": _alphabet(0x1D504, "C ℭ H ℌ I ℑ R ℜ Z ℨ", lower=0x1D51E),
}

# Letters for `fold` that have no decomposition in Unicode.
FOLDED: Final = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "ȷ": "j",
     "ħ": "h", "ŋ": "n", "ŧ": "t", "ʼ": "'", "’": "'", "‘": "'", "‐": "-", "‑": "-"}
)  # fmt: skip
