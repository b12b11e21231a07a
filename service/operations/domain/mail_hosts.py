"""Hosts of mail: what relays need of SPF, the names of a sending host, and who takes bounces."""

from collections.abc import Iterator
from ipaddress import ip_address, ip_network

from service.operations.domain.finding import Dns, Finding

# The end of a relay's name -> the SPF record that names the servers behind it.
_INCLUDES = {
    ".amazonaws.com": "amazonses.com",
    ".postmarkapp.com": "spf.mtasv.net",
    ".gmail.com": "_spf.google.com",
    ".mailgun.org": "mailgun.org",
    ".sendgrid.net": "sendgrid.net",
    ".office365.com": "spf.protection.outlook.com",
    ".mailjet.com": "spf.mailjet.com",
}
# Relays that put an envelope sender of their own in place of ours, so SPF is checked at theirs.
_OWN_SENDERS = (".amazonaws.com", ".postmarkapp.com")
_NOT_PUBLIC = [
    ip_network(block)
    for block in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
]


def find_include(relay: str) -> str:
    """Return the SPF record of a relay's provider, or an empty string for one that is not known."""
    name = f".{relay.lower()}"
    return next((found for end, found in _INCLUDES.items() if name.endswith(end)), "")


def replaces_sender(relay: str) -> bool:
    """Return whether a relay is known to use an envelope sender of its own."""
    return f".{relay.lower()}".endswith(_OWN_SENDERS)


def is_internal(address: str) -> bool:
    """Return whether an address is only on this machine or in a private network."""
    ip = ip_address(address)
    if ip.is_loopback or ip.is_link_local or ip.is_unspecified:
        return True
    return any(ip.version == block.version and ip in block for block in _NOT_PUBLIC)


def judge_sending_host(helo: str, dns: Dns) -> Iterator[Finding]:
    """Yield the findings about the name in HELO, and the PTR of its addresses (RFC 5321 §4.1.4)."""
    if "." not in helo or helo.endswith((".localdomain", ".local", ".localhost")):
        hint = "Set myhostname in Postfix's main.cf to a name that DNS knows"
        yield Finding("HELO", "bad", f"the relay's name is {helo or 'empty'}", hint)
        return
    addresses = dns.addresses(helo)
    if not addresses or any(map(is_internal, addresses)):
        detail = f"{helo} has {'a private' if addresses else 'no'} address in DNS"
        hint = f"Publish as A at {helo}: the public address of the sending host"
        yield Finding("HELO", "bad", detail, hint)
        return
    yield Finding("HELO", "good", f"{helo} is {', '.join(addresses)}")
    for address in addresses:
        yield _judge_ptr(address, helo, dns)


def _judge_ptr(address: str, helo: str, dns: Dns) -> Finding:
    names = dns.ptr(address)
    hint = f"Ask the owner of {address} to set its PTR to {helo}"
    if not names:
        return Finding("PTR", "bad", f"{address} has no name", hint)
    if not any(address in dns.addresses(name) for name in names):
        return Finding("PTR", "bad", f"{address} is {names[0]}, which is not {address}", hint)
    if helo not in names:
        return Finding("PTR", "warn", f"{address} is {names[0]}, and says {helo} in HELO", hint)
    return Finding("PTR", "good", f"{address} is {helo}")


def judge_bounce_mx(domain: str, host: str, dns: Dns, *, is_ours: bool) -> Finding:
    """Return whether bounces find a server; `host` is one to propose, `is_ours` a bounce domain."""
    name, state = "bounce MX", "bad" if is_ours else "warn"
    hint = f"Publish as MX at {domain}: 10 {host}. (the host that reads the bounces)"
    hosts = dns.mx(domain)
    if hosts == [""]:
        return Finding(name, state, f"{domain} takes no mail (null MX)", hint)
    if not hosts:
        if dns.addresses(domain):
            return Finding(name, "warn", f"no MX at {domain}; its address takes the bounces", hint)
        return Finding(name, state, f"no MX at {domain}, so no bounce comes back", hint)
    lost = [each for each in hosts if not dns.addresses(each)]
    if lost:
        return Finding(name, state, f"{lost[0]} has no address, and is MX of {domain}", hint)
    return Finding(name, "good", f"{', '.join(hosts)} for {domain}")
