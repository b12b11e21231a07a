"""The visible words and links of a mail, in order, to compare two mails.

Standard library only: the peers of `send.py` run it in an environment of their own.
"""

from html.parser import HTMLParser

_UNSEEN = {"style"}


def read_words(html: str) -> list[str]:
    """Return the words that a mail program shows, and the address of each link."""
    parser = _WordParser()
    parser.feed(html)
    parser.close()
    return parser.words


class _WordParser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self._unseen = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._unseen += tag in _UNSEEN
        if tag == "a":
            self.words += [f"{name}={value}" for name, value in attrs]
        if tag == "mark":
            self.words.append("<mark>")

    def handle_endtag(self, tag: str) -> None:
        self._unseen -= tag in _UNSEEN

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self.words += data.split()
