"""A healthy installation and its name server, both on loopback."""

from collections.abc import Iterator

import dns.resolver
import dns.zone
import pytest
from sqlalchemy import Engine
from support.newsletter.examined import BOUNCES, MAIL
from support.newsletter.press import Press, make_press
from support.servers.loopback_http import LoopbackHttp
from support.servers.name_server import NameServer, running_name_server

from service.platform.clock import system_clock
from service.platform.settings.settings import Settings


@pytest.fixture
def name_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[NameServer]:
    with running_name_server() as server:
        monkeypatch.setattr(dns.resolver, "default_resolver", server.resolver)
        yield server


@pytest.fixture
def healthy_press(
    settings: Settings, engine: Engine, loopback_http: LoopbackHttp, name_server: NameServer
) -> Press:
    """Return a healthy installation, entirely on loopback; its relay is our own."""
    name_server.records = {
        BOUNCES: "v=spf1 ip4:192.0.2.10 -all",
        "_dmarc.paperboy.example": "v=DMARC1; p=none; rua=mailto:d@paperboy.example",
    }
    name_server.others = {
        (MAIL, "A"): ["192.0.2.10"],
        (BOUNCES, "MX"): [f"10 {MAIL}."],
        ("10.2.0.192.in-addr.arpa", "PTR"): [f"{MAIL}."],
    }
    loopback_http.routes |= {
        "/unsubscribe/not-a-real-token": (404, {}, b"no such link"),
        "/": (200, {}, b""),
    }
    url = loopback_http.url
    changes = {"arxiv_feed_url": url, "huggingface_url": url, "base_url": url}
    return make_press(settings.model_copy(update=changes), engine, system_clock())
