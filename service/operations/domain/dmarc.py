"""DMARC by DNS tree walk (RFC 9989, which replaced RFC 7489), and alignment with the From domain."""

from collections.abc import Iterator
from dataclasses import dataclass

from service.operations.domain.finding import Dns, Finding

# RFC 9989 §4.10: the walk asks at most eight names; of a longer name the middle is left out.
_MOST_LABELS = 8
_POLICIES = frozenset({"none", "quarantine", "reject"})


@dataclass(frozen=True, slots=True)
class DmarcRecord:
    """A parsed record; `policy` is for the domain itself, `below` for names under it."""

    text: str
    policy: str
    below: str
    is_strict_spf: bool
    is_strict_dkim: bool
    psd: str
    reports_to: str
    has_pct: bool


def parse_dmarc(text: str) -> DmarcRecord | None:
    """Return a record, or None if the text is none that receivers would use."""
    pairs = [tag.partition("=") for tag in text.split(";")]
    tags = {name.strip().lower(): value.strip() for name, _, value in reversed(pairs)}
    if pairs[0][0].strip() != "v" or pairs[0][2].strip() != "DMARC1":
        return None
    policy, reports_to = tags.get("p", "").lower(), tags.get("rua", "")
    if policy not in _POLICIES:
        # RFC 9989 §4.7: without a valid policy a record counts as p=none, if it asks for reports.
        if not reports_to.lower().startswith("mailto:"):
            return None
        policy = "none"
    below = tags.get("sp", "").lower()
    return DmarcRecord(
        text=text,
        policy=policy,
        below=below if below in _POLICIES else policy,
        is_strict_spf=tags.get("aspf", "").lower() == "s",
        is_strict_dkim=tags.get("adkim", "").lower() == "s",
        psd=tags.get("psd", "u").lower(),
        reports_to=reports_to,
        has_pct="pct" in tags,
    )


def walk_names(domain: str) -> list[str]:
    """Return the names that a tree walk asks, longest first: the domain, then those above it."""
    labels = domain.split(".")
    names = [domain]
    at = max(1, len(labels) - _MOST_LABELS + 1)
    return names + [".".join(labels[start:]) for start in range(at, len(labels))]


def walk_tree(domain: str, dns: Dns) -> dict[str, DmarcRecord]:
    """Return the records found from a domain upwards, longest name first."""
    found: dict[str, DmarcRecord] = {}
    for name in walk_names(domain):
        records = [parsed for text in dns.txt(f"_dmarc.{name}") if (parsed := parse_dmarc(text))]
        # Of several records at one name none counts.
        if len(records) == 1:
            found[name] = records[0]
            if records[0].psd in {"y", "n"}:
                break
    return found


def organisational_domain(domain: str, found: dict[str, DmarcRecord]) -> str:
    """Return the domain under which names belong together, from the records of its walk (§4.10.2)."""
    for name, record in found.items():
        if record.psd == "n":
            return name
        if record.psd == "y" and name != domain:
            # A public suffix: the organisation is one label below it.
            return ".".join(domain.split(".")[-name.count(".") - 2 :])
    return list(found)[-1] if found else domain


def find_policy(domain: str, found: dict[str, DmarcRecord]) -> tuple[str, DmarcRecord] | None:
    """Return the record that applies to a domain: its own, its organisation's, or the suffix's."""
    for name in (domain, organisational_domain(domain, found), *list(found)[-1:]):
        if name in found:
            return name, found[name]
    return None


def is_aligned(one: str, other: str, dns: Dns, *, is_strict: bool) -> bool:
    """Return whether two domains are the same, or, unless strict, of the same organisation."""
    if one == other or is_strict:
        return one == other
    first, second = (organisational_domain(each, walk_tree(each, dns)) for each in (one, other))
    return first == second


def judge_dmarc(domain: str, reports_to: str, dns: Dns) -> Finding:
    """Return the finding about the From domain's policy; `reports_to` is an address for reports."""
    found = walk_tree(domain, dns)
    applied = find_policy(domain, found)
    where = f"Publish as TXT at _dmarc.{domain}: "
    ours = f"v=DMARC1; p=none; rua=mailto:{reports_to}"
    texts = [text for text in dns.txt(f"_dmarc.{domain}") if text.lower().startswith("v=dmarc1")]
    if len(texts) > 1:
        detail = f"{len(texts)} records at _dmarc.{domain}, so receivers use none"
        return Finding("DMARC", "bad", detail, f"Keep one: {texts[0]}")
    if texts and domain not in found:
        detail = f"{texts[0]}: no policy that receivers know"
        return Finding("DMARC", "bad", detail, where + ours)
    if applied is None:
        detail = f"no record at _dmarc.{domain} or above it"
        return Finding("DMARC", "bad", detail, where + ours)
    name, record = applied
    policy = record.policy if name == domain else record.below
    detail = f"p={policy} for {domain}, by the record at _dmarc.{name}"
    fault, better = _faults_of(record, ours)
    if fault:
        return Finding("DMARC", "warn", f"{detail}: {fault}", f"Publish there: {better}")
    return Finding("DMARC", "good", detail)


def _faults_of(record: DmarcRecord, ours: str) -> tuple[str, str]:
    """Return what is unwise about a record, and a better one."""
    tags = [tag.strip() for tag in record.text.split(";") if tag.strip()]
    kept = [tag for tag in tags if tag.partition("=")[0].strip().lower() != "pct"]
    reports = [] if record.reports_to else [ours.rpartition("; ")[2]]
    better = "; ".join(kept + reports)
    if record.has_pct:
        return "pct is not used any more (RFC 9989)", better
    return ("nobody gets reports", better) if reports else ("", better)


def judge_alignment(
    domain: str, envelope: str, signer: str, dns: Dns, *, is_envelope_known: bool = True
) -> Iterator[Finding]:
    """Yield whether SPF and DKIM belong to the From domain; DMARC asks it of one of them.

    `signer` is empty where only the relay may sign; `is_envelope_known` is false where the relay
    puts an envelope sender of its own in place of ours.
    """
    applied = find_policy(domain, walk_tree(domain, dns))
    record = applied[1] if applied else None
    strict_spf, strict_dkim = (
        (record.is_strict_spf, record.is_strict_dkim) if record else (False, False)
    )
    spf = is_envelope_known and is_aligned(domain, envelope, dns, is_strict=strict_spf)
    dkim = bool(signer) and is_aligned(domain, signer, dns, is_strict=strict_dkim)
    look = "Run `paperboy doctor --probe ADDRESS` and look for dmarc=pass in the mail's source"
    if not is_envelope_known:
        yield Finding("SPF alignment", "good", "the relay uses an envelope sender of its own")
    elif spf:
        yield Finding("SPF alignment", "good", f"{envelope} belongs to {domain}")
    else:
        mode, state = "aspf=s" if strict_spf else "relaxed", "warn" if dkim else "bad"
        detail = f"{envelope} does not belong to {domain} ({mode})"
        yield Finding(
            "SPF alignment",
            state,
            detail,
            f"Set PAPERBOY_BOUNCE_DOMAIN to {_below(domain, strict_spf)}",
        )
    if dkim:
        yield Finding("DKIM alignment", "good", f"{signer} belongs to {domain}")
    elif signer:
        mode, state = "adkim=s" if strict_dkim else "relaxed", "warn" if spf else "bad"
        detail = f"{signer} does not belong to {domain} ({mode})"
        yield Finding("DKIM alignment", state, detail, f"Set PAPERBOY_DKIM_DOMAIN to {domain}")
    else:
        state = "good" if spf else "warn"
        yield Finding("DKIM alignment", state, "only the relay may sign", look)


def _below(domain: str, is_strict: bool) -> str:
    return domain if is_strict else f"bounces.{domain}"
