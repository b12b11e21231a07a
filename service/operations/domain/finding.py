"""One line of the doctor."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Finding:
    """One check. `state` is good, warn or bad; `hint` says what to do."""

    subject: str
    state: str
    detail: str
    hint: str = ""


class Dns(Protocol):
    """What DNS says about a name; nothing where the name has no such record."""

    def txt(self, name: str) -> list[str]: ...

    def addresses(self, name: str) -> list[str]: ...

    def mx(self, name: str) -> list[str]:
        """Return the hosts, best first; `""` alone is a null MX (RFC 7505)."""

    def ptr(self, address: str) -> list[str]: ...
