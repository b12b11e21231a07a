"""Sending: claim due deliveries, put them in flight, speak SMTP, record every outcome.

It opens no transaction across SMTP and knows no topic. Start with `send_loop.py`, then
`smtp/transport.py`.
"""
