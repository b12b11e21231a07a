"""Editions: open one when it is due, compose each subscriber's digest, and balance the counts.

It knows no template and no SMTP. Start with `publish.py`, then `compose.py` and
`domain/compose.py`.
"""
