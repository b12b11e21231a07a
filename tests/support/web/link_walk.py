"""A walk over all pages that a signed link opens: every link is followed, every form is posted."""

import re
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html.parser import HTMLParser
from urllib.parse import urlencode, urljoin, urlsplit

import httpx2

from service.platform.signing.tokens import Purpose, TokenError, verify_token

# A token, or what looks like one: base64, a dot, and 32 octets of base64.
_SIGNED = re.compile(r"[\w-]{20,}\.[\w-]{43}")

# What is pasted where a page asks for papers: some that the tests store.
_PASTED = "\n".join(f"2609.0000{n}" for n in range(1, 6))


@dataclass(frozen=True)
class Step:
    """One request: a form has a body, a link has none."""

    url: str
    body: str | None = None


class Doors(HTMLParser):
    """The links and forms of a page, each form once for each of its buttons."""

    def __init__(self, page: str, url: str) -> None:
        super().__init__()
        self.steps: list[Step] = []
        self._url = url
        self._action = ""
        self._fields: list[tuple[str, str]] = []
        # The path of a form -> its hidden fields.
        self.hidden: defaultdict[str, dict[str, str]] = defaultdict(dict)
        self._is_get = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "a" and "href" in given:
            self.steps.append(Step(urljoin(self._url, given["href"]).partition("#")[0]))
        elif tag == "form":
            self._is_get = given.get("method", "get").lower() == "get"
            self._action = urljoin(self._url, given.get("action", ""))
            self._fields = []
        elif tag == "input" and given.get("name") and given.get("type") != "checkbox":
            self._fields.append((given["name"], given.get("value", "")))
            if given.get("type") == "hidden":
                path = urlsplit(self._action).path
                self.hidden[path][given["name"]] = given.get("value", "")
        elif tag == "textarea" and given.get("name") == "text":
            self._fields.append(("text", _PASTED))
        elif tag == "button" and self._action:
            pressed = [(given["name"], given.get("value", ""))] if given.get("name") else []
            body = urlencode(self._fields + pressed)
            is_get, action = self._is_get, self._action
            self.steps.append(Step(f"{action}?{body}") if is_get else Step(action, body))

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._action = ""


def hidden_fields(page: str) -> dict[str, str]:
    """Return the hidden fields of the sign-up forms of a page."""
    return Doors(page, "").hidden["/subscribe"]


@dataclass
class Walk:
    """The pages that were reached, by method and path, with the purposes of the tokens in them."""

    web: httpx2.Client
    keys: tuple[str, ...]
    found: dict[str, set[Purpose]] = field(default_factory=dict)

    def start(self, *paths: str, newest_first: bool) -> "Walk":
        """Follow everything, links before forms, so that nothing is ended before it was looked at.

        The forms of the newest page go first or last; of each page its last form goes first or last.
        """
        base = str(self.web.base_url)
        first = [Step(urljoin(base, path)) for path in paths]
        links, forms = deque(first), deque[Step]()
        seen: set[Step] = set()
        while links or forms:
            step = (links or forms).popleft()
            if step in seen or urlsplit(step.url).netloc != urlsplit(base).netloc:
                continue
            seen.add(step)
            for further in self._take(step, leads_on=step in first):
                if further.body is None:
                    links.append(further)
                elif newest_first:
                    forms.appendleft(further)
                else:
                    forms.append(further)
        return self

    def _take(self, step: Step, *, leads_on: bool) -> Iterator[Step]:
        method = "GET" if step.body is None else "POST"
        headers = {"Content-Type": "application/x-www-form-urlencoded"} if step.body else {}
        answer = self.web.request(method, step.url, content=step.body, headers=headers)
        assert answer.status_code < 500, step
        kind = answer.headers.get("content-type", "")
        if not kind.startswith(("text/html", "application/atom+xml")):
            return
        path = urlsplit(step.url).path
        self.found.setdefault(f"{method} {path}", set()).update(self.purposes(answer.text))
        # A page without a token in its address is the same for everybody and leads nowhere else.
        if leads_on or _SIGNED.search(step.url + (step.body or "")):
            yield from Doors(answer.text, step.url).steps

    def purposes(self, page: str) -> set[Purpose]:
        """Return the purposes of all valid tokens in a page, wherever they stand in it."""
        return {
            purpose
            for text in _SIGNED.findall(page)
            for purpose in Purpose
            if self._is_valid(text, purpose)
        }

    def _is_valid(self, text: str, purpose: Purpose) -> bool:
        try:
            verify_token(text, purpose, self.keys, datetime.now(UTC), may_be_old=True)
        except TokenError:
            return False
        return True
