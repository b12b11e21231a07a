"""Subjects outside ASCII are cut into encoded words between letters."""

from hypothesis import given, settings
from hypothesis import strategies as st

from service.messages.mime.mime import encode_words


def write_words(text: str) -> list[str]:
    """Encoded words letter by letter, as full as they may be."""
    words = [""]
    for letter in text:
        said = "".join(
            chr(octet) if chr(octet).isascii() and chr(octet).isalnum() else f"={octet:02X}"
            for octet in letter.encode()
        ).replace("=20", "_")
        if len(words[-1]) + len(said) > 55:
            words.append("")
        words[-1] += said
    return words


@settings(max_examples=500, deadline=None)
@given(st.text("aé長𝒳=?_ \u0301", max_size=80) | st.text(st.characters(codec="utf-8"), max_size=90))
def test_encoded_words_are_cut_between_letters_and_as_full_as_they_may_be(text: str) -> None:
    words = encode_words(text).split("\r\n ")
    assert words == [f"=?utf-8?q?{word}?=" for word in write_words(text)]
    assert all(len(word) <= 76 - len("Subject: ") for word in words)
