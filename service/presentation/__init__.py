"""What pages and mails share: dates, phrases, reasons, highlighting, safe text and addresses.

It reads no database and renders no template. Start with `reasons.py` and `sanitize.py`.
"""
