"""The topic language: parsing, compiling, matching an edition's papers, previews, changes by link.

A topic has a `subscriber_id`; nothing else of subscribers is known here. Start with `topics.py` and
`domain/language/`, then `domain/matching/paper_index.py`.
"""
