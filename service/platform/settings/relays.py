"""SMTP addresses of the settings, parsed."""

from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import parse_qs, unquote, urlsplit

Starttls = Literal["auto", "required", "off"]
MOST_WEIGHT = 100


@dataclass(frozen=True, slots=True)
class SmtpRelay:
    """Where mail goes out. `use_tls` is TLS from the first byte (RFC 8314), port 465 by custom.

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
        """What logs and alerts call it; without the password."""
        return f"{self.host}:{self.port}"


def parse_smtp_url(url: str) -> SmtpRelay:
    """Read `smtp[s]://[user:pass@]host[:port][?starttls=auto|required|off&weight=1…100]`.

    Credentials are percent-decoded. Without a port: 465 for `smtps`, 587 (submission, RFC 6409)
    with a user name, 25 otherwise. Raises ValueError whose text never repeats the URL.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"smtp", "smtps"} or not parts.hostname:
        raise ValueError("is not smtp://host:port or smtps://host:port")
    use_tls = parts.scheme == "smtps"
    options = _options(parts.query)
    usual_port = 465 if use_tls else 587 if parts.username else 25
    return SmtpRelay(
        host=parts.hostname,
        port=parts.port or usual_port,
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


def _weight(said: str) -> int:
    if not (said.isascii() and said.isdigit() and 1 <= int(said) <= MOST_WEIGHT):
        raise ValueError(f"has weight={said[:20]}; use 1 to {MOST_WEIGHT}")
    return int(said)


def _starttls(said: str) -> Starttls:
    match said:
        case "auto":
            return "auto"
        case "required":
            return "required"
        case "off":
            return "off"
        case other:
            raise ValueError(f"has starttls={other}; use required, off or auto")
