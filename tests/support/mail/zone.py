"""Records of DNS in a dictionary, for tests of pure judgements."""

from dataclasses import dataclass, field


@dataclass
class Zone:
    """The records by (name, type), as `service.operations.domain.finding.Dns` returns them."""

    records: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def txt(self, name: str) -> list[str]:
        self.asked.append(name)
        return self.records.get((name, "TXT"), [])

    def addresses(self, name: str) -> list[str]:
        return self.records.get((name, "A"), [])

    def mx(self, name: str) -> list[str]:
        return self.records.get((name, "MX"), [])

    def ptr(self, address: str) -> list[str]:
        return self.records.get((address, "PTR"), [])


def texts(records: dict[str, str]) -> Zone:
    """Return a zone with one TXT record at each name."""
    return Zone({(name, "TXT"): [text] for name, text in records.items()})
