"""Whether two mails say the same: their visible words and their links, in order.

Standard library only: the peers of `send.py` run it in an environment of their own.
"""

from html.parser import HTMLParser

_UNSEEN = {"style"}


def read_words(html: str) -> list[str]:
    """The words that a mail program shows, and the address behind each link."""
    subscriber = _Subscriber()
    subscriber.feed(html)
    subscriber.close()
    return subscriber.said


class _Subscriber(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []
        self._unseen = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._unseen += tag in _UNSEEN
        if tag == "a":
            self.said += [f"{name}={value}" for name, value in attrs]
        if tag == "mark":
            self.said.append("<mark>")

    def handle_endtag(self, tag: str) -> None:
        self._unseen -= tag in _UNSEEN

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self.said += data.split()
