"""Check the names that receivers look at: SPF, DKIM, DMARC, the sending host, and where bounces go."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from service.messages.domain.errors import MailError
from service.messages.identity import signer_of
from service.messages.mime.addresses import ascii_host
from service.messages.mime.dkim import DkimSigner, compare_record
from service.operations.dns_lookup import DnsLookup, DnsUnavailable
from service.operations.domain.dmarc import judge_alignment, judge_dmarc
from service.operations.domain.finding import Finding
from service.operations.domain.mail_hosts import (
    find_include,
    judge_bounce_mx,
    judge_sending_host,
    replaces_sender,
)
from service.operations.domain.spf import SpfNeed, judge_spf
from service.operations.relay_checks import Greeting
from service.platform.settings.faults import Refused
from service.platform.settings.settings import Settings


def check_mail_setup(
    settings: Settings, dns: DnsLookup, greetings: Sequence[Greeting]
) -> Iterator[Finding]:
    """Yield all findings about DNS; `greetings` are of the relays that answered.

    The sending host is checked only where it is ours (`Greeting.is_own`): a provider's servers have
    names and addresses of their own, which no setting of ours changes.
    """
    if "." not in settings.from_domain:
        detail = f"{settings.from_domain} is no public domain"
        yield Finding("sender", "warn", detail, "Set PAPERBOY_MAIL_FROM")
        return
    domain = ascii_host("From", settings.from_domain).lower()
    envelope = ascii_host("From", settings.envelope_domain).lower()
    own = [each for each in greetings if each.is_own]
    others = [
        relay.host for relay in settings.relays if relay.name not in {e.relay.name for e in own}
    ]
    is_known = not (others and all(map(replaces_sender, others)))
    if is_known or own:
        yield from _try("SPF", lambda: _check_spf(envelope, own, others, dns))
    reports_to = settings.alert_to.rpartition("<")[2].rstrip("> ") or f"postmaster@{domain}"
    yield from _try("DMARC", lambda: [judge_dmarc(domain, reports_to, dns)])
    signer, faults = _load_signer(settings)
    yield from faults
    yield from _try(
        "alignment",
        lambda: judge_alignment(
            domain, envelope, signer.domain if signer else "", dns, is_envelope_known=is_known
        ),
    )
    if signer is not None:
        yield from _check_keys(signer, dns)
    for each in own:
        yield from _try("HELO", lambda helo=each.name: judge_sending_host(helo, dns))  # type: ignore[misc]
    if is_known or settings.bounce_domain:
        host = own[0].name if own and "." in own[0].name else f"mail.{domain}"
        is_ours = bool(settings.bounce_domain)
        yield from _try(
            "bounce MX", lambda: [judge_bounce_mx(envelope, host, dns, is_ours=is_ours)]
        )


def _try(name: str, check: Callable[[], Iterable[Finding]]) -> list[Finding]:
    """Return a check's findings, or a warning where DNS does not answer."""
    try:
        return list(check())
    except DnsUnavailable as error:
        return [Finding(name, "warn", f"DNS did not answer: {error}")]


def _check_spf(
    envelope: str, own: Sequence[Greeting], others: Sequence[str], dns: DnsLookup
) -> Iterator[Finding]:
    addresses = [found for each in own if "." in each.name for found in dns.addresses(each.name)]
    include = next(filter(None, map(find_include, others)), "")
    names = (host for host in others if host.rpartition(".")[2].isalpha() and "." in host)
    need = SpfNeed(tuple(dict.fromkeys(addresses)), include, next(names, f"mail.{envelope}"))
    yield judge_spf(envelope, need, dns)


def _load_signer(settings: Settings) -> tuple[DkimSigner | None, list[Finding]]:
    try:
        return signer_of(settings), []
    except MailError:
        return None, []  # `find_risks` reports it
    except Refused as error:
        return None, [Finding("dkim_keys", "bad", str(error), error.hint)]


def _check_keys(signer: DkimSigner, dns: DnsLookup) -> Iterator[Finding]:
    """Check that DNS has the public key of each of our signatures."""
    for key in signer.keys:
        name, host = f"DKIM {key.selector}", f"{key.selector}._domainkey.{signer.domain}"
        hint = f"Publish as TXT at {host}: {key.record}"
        try:
            records = dns.txt(host)
        except DnsUnavailable as error:
            yield Finding(name, "warn", f"DNS did not answer: {error}", hint)
            continue
        faults = [compare_record(key, record) for record in records] or [f"no record at {host}"]
        # With several records at one name, receivers may use any of them (RFC 6376 §3.6.2.2).
        fault = next(filter(None, faults), "")
        if fault:
            yield Finding(name, "bad", fault, hint)
        else:
            yield Finding(name, "good", f"{key.algorithm}, published at {host}")
