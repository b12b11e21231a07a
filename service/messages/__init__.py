"""From a delivery to bytes: contexts, MJML and text templates, MIME, DKIM, browser copies.

It decides nothing about whom to mail and sends nothing. Start with `build.py`, then
`rendering/renderer.py`.
"""
