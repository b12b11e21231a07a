"""Non-ASCII subjects are split into encoded words between characters."""

from hypothesis import given, settings
from hypothesis import strategies as st

from service.messages.mime.mime import encode_words


def write_words(text: str) -> list[str]:
    """Encode character by character, with words as long as possible."""
    words = [""]
    for letter in text:
        letter_code = "".join(
            chr(octet) if chr(octet).isascii() and chr(octet).isalnum() else f"={octet:02X}"
            for octet in letter.encode()
        ).replace("=20", "_")
        if len(words[-1]) + len(letter_code) > 55:
            words.append("")
        words[-1] += letter_code
    return words


@settings(max_examples=500, deadline=None)
@given(st.text("aé長𝒳=?_ \u0301", max_size=80) | st.text(st.characters(codec="utf-8"), max_size=90))
def test_encoded_words_end_between_characters_and_are_as_long_as_possible(text: str) -> None:
    words = encode_words(text).split("\r\n ")
    assert words == [f"=?utf-8?q?{word}?=" for word in write_words(text)]
    assert all(len(word) <= 76 - len("Subject: ") for word in words)
