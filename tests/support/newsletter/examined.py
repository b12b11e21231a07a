"""An installation as the doctor examines it, and its name server."""

from service.operations.doctor import examine
from service.operations.domain.finding import Finding
from support.newsletter.press import Press
from support.servers.name_server import NameServer

MAIL, BOUNCES = "mail.paperboy.example", "bounces.paperboy.example"


def ask(press: Press, probe: str | None = None, /, **changes: object) -> dict[str, Finding]:
    here = press.settings.model_copy(update=changes)
    findings = examine(here, press.sessions, probe)
    return {finding.subject: finding for finding in findings}


def publish(server: NameServer, host: str, record: str) -> None:
    """Publish a TXT record; one longer than 255 bytes is several strings (RFC 1035 §3.3.14)."""
    pieces = [record[i : i + 200] for i in range(0, len(record), 200)]
    server.records[host] = '" "'.join(pieces)
