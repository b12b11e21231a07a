"""Sixteen built-in days of invented papers, served over loopback in the sources' own wire formats.

Paperboy must show what it does on a machine without the internet, on a Sunday, or when a source is
down. Then this package replaces the sources: the real clients and parsers read it, only the
address differs. Every paper in it is invented, its abstract and its comment say so, and its
identifier is from a range that arXiv does not reach (`YYMM.90000` and above).

`papers` selects the papers of a day, `wire` and `daily_papers` serialise them as the sources do,
`server` answers requests. `written/` holds the texts.
"""
