"""A built-in day of invented papers, served over loopback in the sources' own wire formats.

Paperboy must show what it does on a machine without the internet, on a Sunday, or when a source is
down. Then this package stands in for the sources: the real clients and parsers read it, only the
address differs. Every paper in it is invented and says so in its abstract and its comment, and its
identifier comes from a range that arXiv does not reach (`YYMM.90000` and above).

`papers` decides what a day holds, `wire` and `daily_papers` write it down the way the sources do,
`server` answers requests. `written/` holds the texts.
"""
