"""What strangers say, relays, providers and sources, made fit to be kept and shown."""


def plain_words(text: str) -> str:
    """`text` on one line, without what no database and no terminal takes: control characters, NUL
    above all, and halves of surrogate pairs, which JSON may hold."""
    if not text.isprintable():
        text = "".join(letter if letter.isprintable() else " " for letter in text)
    return " ".join(text.split())
