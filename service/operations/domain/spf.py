"""SPF (RFC 7208): parse a record, count its lookups, and say what to publish instead."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from service.operations.domain.finding import Dns, Finding

# RFC 7208 §4.6.4: receivers answer "permerror" beyond this, and then nothing passes.
MOST_LOOKUPS = 10
_TERM = re.compile(
    r"(?P<qualifier>[+?~-]?)(?P<name>all|include|a|mx|ptr|ip4|ip6|exists)(?P<value>[:/].*)?"
    r"|(?P<modifier>[A-Za-z][\w.-]*)=(?P<text>.*)",
    re.IGNORECASE,
)
_LOOKS_UP = frozenset({"include", "a", "mx", "ptr", "exists", "redirect"})


@dataclass(frozen=True, slots=True)
class SpfTerm:
    """A mechanism, or the modifier `redirect`; `value` is without its colon."""

    qualifier: str
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class SpfNeed:
    """What a record must allow: the sending addresses, and a provider's own record."""

    addresses: tuple[str, ...] = ()
    include: str = ""
    # The relay, where neither is known.
    relay: str = ""

    def terms(self) -> list[str]:
        """Return the mechanisms to publish."""
        ips = [f"ip{ip_address(each).version}:{each}" for each in self.addresses]
        includes = [f"include:{self.include}"] if self.include else []
        return includes + ips or [f"a:{self.relay}"]


def parse_spf(record: str) -> list[SpfTerm]:
    """Return the terms after `v=spf1`. Raises ValueError, which quotes the term that is none."""
    terms = []
    for word in record.split()[1:]:
        found = _TERM.fullmatch(word)
        if found is None:
            raise ValueError(f"{word} is no SPF term")
        if found["modifier"] is None:
            value = (found["value"] or "").removeprefix(":")
            terms.append(SpfTerm(found["qualifier"] or "+", found["name"].lower(), value))
        elif found["modifier"].lower() == "redirect":
            terms.append(SpfTerm("", "redirect", found["text"]))
    for term in terms:
        _check_value(term)
    return terms


def _check_value(term: SpfTerm) -> None:
    if term.name in {"ip4", "ip6"} and ip_network(term.value, strict=False).version != int(
        term.name[2]
    ):
        raise ValueError(f"{term.name}:{term.value} is of the other version")
    if term.name in {"include", "exists", "redirect"} and not term.value:
        raise ValueError(f"{term.name} names no domain")


def judge_spf(domain: str, need: SpfNeed, dns: Dns) -> Finding:
    """Return the finding about the envelope domain's record, with the record to publish."""
    records = find_spf(domain, dns)
    where = f"Publish as TXT at {domain}: "
    if not records:
        return Finding("SPF", "bad", f"no record at {domain}", where + _write(need.terms()))
    if len(records) > 1:
        detail = f"{len(records)} records at {domain}, so receivers accept none"
        words = [
            word for record in records for word in record.split()[1:] if "all" not in word[-4:]
        ]
        return Finding("SPF", "bad", detail, f"Keep one: {_write(list(dict.fromkeys(words)))}")
    (record,) = records
    try:
        return _judge_record(domain, record, need, dns)
    except ValueError as error:
        return Finding("SPF", "bad", f"{record}: {error}", where + _write(need.terms()))


def _judge_record(domain: str, record: str, need: SpfNeed, dns: Dns) -> Finding:
    terms, (count, included) = parse_spf(record), _walk(domain, dns, ())
    last = next((term for term in terms if term.name == "all"), None)
    words = [
        word for word in record.split()[1:] if not re.fullmatch(r"[+?~-]?all", word, re.IGNORECASE)
    ]
    where = f"Publish as TXT at {domain} instead: "
    if count > MOST_LOOKUPS:
        detail = f"{record}: {count} lookups, and receivers stop at {MOST_LOOKUPS}"
        return Finding("SPF", "bad", detail, "Remove include: of services that do not send for you")
    if last is not None and last.qualifier == "+":
        return Finding("SPF", "bad", f"{record}: allows every server", where + _write(words))
    missing = [term for term in _missing(domain, need, included, dns) if term not in words]
    if missing:
        detail = f"{record}: does not allow {', '.join(missing)}"
        return Finding("SPF", "bad", detail, where + _write(missing + words))
    is_open = last is None or last.qualifier == "?"
    if is_open and not any(term.name == "redirect" for term in terms):
        return Finding("SPF", "warn", f"{record}: refuses nobody", where + _write(words))
    return Finding("SPF", "good", f"{record} at {domain}")


def _write(terms: list[str]) -> str:
    return " ".join(["v=spf1", *terms, "-all"])


def _missing(domain: str, need: SpfNeed, included: frozenset[str], dns: Dns) -> Iterator[str]:
    if need.include and need.include not in included:
        yield f"include:{need.include}"
    for address in need.addresses:
        if not is_allowed(domain, address, dns):
            yield f"ip{ip_address(address).version}:{address}"


def find_spf(domain: str, dns: Dns) -> list[str]:
    """Return the SPF records of a domain; more than one is an error (RFC 7208 §4.5)."""
    return [text for text in dns.txt(domain) if re.match(r"v=spf1(?: |$)", text, re.IGNORECASE)]


def _walk(domain: str, dns: Dns, above: tuple[str, ...]) -> tuple[int, frozenset[str]]:
    """Return how many lookups a record costs at most, and the domains whose records it includes."""
    records = find_spf(domain, dns)
    if len(records) != 1 or domain in above:
        return 0, frozenset()
    count, included = 0, {domain}
    for term in parse_spf(records[0]):
        count += term.name in _LOOKS_UP
        if term.name in {"include", "redirect"} and "%" not in term.value:
            inner_count, inner = _walk(term.value.lower(), dns, (*above, domain))
            count, included = count + inner_count, included | {term.value.lower()} | inner
    return count, frozenset(included)


def is_allowed(domain: str, address: str, dns: Dns, above: tuple[str, ...] = ()) -> bool:
    """Return whether a domain's record lets an address send. Macros and `exists` never match.

    `above` are the domains whose records led here: none is read again within itself.
    """
    records = find_spf(domain, dns)
    if len(records) != 1 or domain in above:
        return False
    path = (*above, domain)
    terms = parse_spf(records[0])
    for term in terms:
        if _matches(term, path, address, dns):
            return term.qualifier == "+"
    target = next((term.value for term in terms if term.name == "redirect"), "")
    return is_allowed(target, address, dns, path) if target else False


def _matches(term: SpfTerm, path: tuple[str, ...], address: str, dns: Dns) -> bool:
    if "%" in term.value:
        return False
    match term.name:
        case "all":
            return True
        case "ip4" | "ip6":
            return _is_within(address, term.value)
        case "include":
            return is_allowed(term.value, address, dns, path)
        case "a" | "mx":
            name, _, bits = term.value.partition("/")
            name = name or path[-1]
            hosts = [name] if term.name == "a" else dns.mx(name)
            found = [each for host in hosts if host for each in dns.addresses(host)]
            return any(_is_within(address, each, bits) for each in found)
    return False


def _is_within(address: str, network: str, bits: str = "") -> bool:
    # `a/24//64` has a length for each version (RFC 7208 §5.6).
    four, _, six = bits.partition("//") if not bits.startswith("/") else ("", "", bits[1:])
    length = six if ":" in network else four
    block = ip_network(f"{network}/{length}" if length else network, strict=False)
    return ip_address(address) in block
