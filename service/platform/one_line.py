"""Normalise untrusted text (SMTP replies, webhooks, feeds) to one printable line."""


def normalise_line(text: str) -> str:
    """Return `text` on one line, without characters that databases or terminals refuse: control
    characters, above all NUL, and lone surrogates, which JSON may hold.
    """
    if not text.isprintable():
        text = "".join(letter if letter.isprintable() else " " for letter in text)
    return " ".join(text.split())
