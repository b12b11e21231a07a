"""SMTP relays, parsed from the URLs in the settings."""

from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import parse_qs, unquote, urlsplit

Starttls = Literal["auto", "required", "off"]
MOST_WEIGHT = 100


@dataclass(frozen=True, slots=True)
class SmtpRelay:
    """A relay for outgoing mail. `use_tls` is TLS from the first byte (RFC 8314), usually port 465.

    `weight` is its share of the connections among several relays.
    """

    host: str
    port: int
    username: str = ""
    password: str = field(default="", repr=False)
    use_tls: bool = False
    starttls: Starttls = "auto"
    weight: int = 1

    @property
    def name(self) -> str:
        """The name in logs and alerts; it holds no password."""
        return f"{self.host}:{self.port}"


def parse_smtp_url(url: str) -> SmtpRelay:
    """Parse `smtp[s]://[user:pass@]host[:port][?starttls=auto|required|off&weight=1…100]`.

    Credentials are percent-decoded. Without a port: 465 for `smtps`, 587 (submission, RFC 6409)
    with a user name, 25 otherwise. Raises ValueError whose text never repeats the URL.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"smtp", "smtps"} or not parts.hostname:
        raise ValueError("is not smtp://host:port or smtps://host:port")
    use_tls = parts.scheme == "smtps"
    options = _options(parts.query)
    default_port = 465 if use_tls else 587 if parts.username else 25
    return SmtpRelay(
        host=parts.hostname,
        port=parts.port or default_port,
        username=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        use_tls=use_tls,
        starttls=_starttls(options.get("starttls", "off" if use_tls else "auto")),
        weight=_weight(options.get("weight", "1")),
    )


def _options(query: str) -> dict[str, str]:
    options = {name: values[-1] for name, values in parse_qs(query).items()}
    unknown = set(options) - {"starttls", "weight"}
    if unknown:
        known = "only starttls and weight are known"
        raise ValueError(f"has unknown options: {', '.join(sorted(unknown))}; {known}")
    return options


def _weight(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MOST_WEIGHT):
        raise ValueError(f"has weight={text[:20]}; use 1 to {MOST_WEIGHT}")
    return int(text)


def _starttls(text: str) -> Starttls:
    match text:
        case "auto":
            return "auto"
        case "required":
            return "required"
        case "off":
            return "off"
        case other:
            raise ValueError(f"has starttls={other}; use required, off or auto")
