"""Subscribers: sign-up, preferences, feedback, leaving, erasure, import and export.

It queues mails as rows and renders none. Start with `sign_up.py` and `lifecycle.py`.
"""
