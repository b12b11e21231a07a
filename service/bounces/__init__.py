"""What comes back: bounces and complaints by mailbox, listener and webhooks, and their consequences.

It never sends mail. Start with `record.py`, then `inbound/parse.py` and `domain/thresholds.py`.
"""
