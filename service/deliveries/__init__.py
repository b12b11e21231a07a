"""Deliveries: a row for each mail before it is sent, its states, and the ledger of papers sent.

It knows neither how a mail is rendered nor how it is sent. Start with `domain/states.py` and
`store/models.py`.
"""
