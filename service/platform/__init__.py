"""Everything that is not about newsletters: settings, database, queue, embedded servers, signing.

It imports no other room. Start with `settings/settings.py` and `database/engine.py`.
"""
