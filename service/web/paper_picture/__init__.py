"""The picture of a paper that other sites show beside a link to its page (Open Graph).

`writing.py` says what the font can write, `draw.py` draws it with Pillow, and
`service/web/pages/card.py` answers requests for it.

The font is Libertinus Serif SemiBold 7.051 (SIL Open Font License, `OFL.txt`), with the characters
that titles of papers need, made by `pyftsubset` of fonttools without hinting and layout features:
`--no-hinting --layout-features= --unicodes=U+20-7E,U+A0-24F,U+259,U+2B9-2BC,U+2C6-2DD,U+370-3FF,
U+400-45F,U+490-491,U+1E00-1EFF,U+2010-2044,U+2070-209C,U+20AC,U+2100-214F,U+2190-21D5,U+2200-22FF,
U+2308-230B,U+25A0-25CF,U+2605-2606,U+2660-2667,U+266D-266F,U+2713,U+2717,U+FB00-FB04`.
"""
