"""Papers and how they arrive: sources, batches and their completeness, works, readable TeX, trends.

It knows nothing of topics or subscribers. Start with `ingest.py`, then `domain/types.py`.
"""
