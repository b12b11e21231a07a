"""Warnings about usable but unwise settings, shown by `paperboy doctor`."""

import stat
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from service.platform.settings.faults import SettingFault
from service.platform.settings.kinds import is_loopback
from service.platform.settings.passwords import find_weak_password
from service.platform.settings.settings import Settings


def find_risks(settings: Settings) -> list[SettingFault]:
    """Return the settings that an operator should change, each with a hint."""
    checks = (_weak_protection, _missing_addresses, _signatures)
    return [fault for find in checks for fault in find(settings)]


def find_missing(settings: Settings) -> list[SettingFault]:
    """Return the settings that are still to be set before others can use this installation."""
    is_loopback_site = is_loopback(urlsplit(settings.base_url).hostname or "")
    missing = {
        "smtp_url": not settings.smtp_url and "mails stay in the mailbox on this machine",
        "mail_from": settings.from_domain == "localhost" and "mails come from nowhere",
        "base_url": is_loopback_site and "links in mails work only on this machine",
        "admin_password": not settings.admin_password and "the operator's pages are closed",
        "contact": not settings.contact and "sources cannot reach you before they block you",
    }
    return [
        SettingFault(name, problem, "Set it in .env; `paperboy init` writes one")
        for name, problem in missing.items()
        if problem
    ]


def _weak_protection(settings: Settings) -> Iterator[SettingFault]:
    yield from find_weak_password(settings)
    site = urlsplit(settings.base_url)
    if site.scheme == "http" and not is_loopback(site.hostname or ""):
        problem = "plain http, so mails carry no one-click unsubscribe (RFC 8058 asks for https)"
        yield SettingFault("base_url", problem, "Put the site behind https")
    if site.scheme == "https" and not settings.trusted_proxies:
        problem = "no proxy is trusted, so limits on sign-ups take all visitors for one"
        hint = "Set it to the address of the proxy; on one machine that is 127.0.0.1"
        yield SettingFault("trusted_proxies", problem, hint)
    for relay in settings.relays:
        is_private = relay.use_tls or relay.starttls == "required" or is_loopback(relay.host)
        if relay.password and not is_private:
            problem = f"the password for {relay.host} may cross the network in the clear"
            yield SettingFault("smtp_url", problem, "Add ?starttls=required or use smtps://")


def _missing_addresses(settings: Settings) -> Iterator[SettingFault]:
    if all(is_loopback(relay.host) for relay in settings.relays):
        return  # Mail stays on this machine.
    if not settings.operator_address:
        problem = "mails name no postal address, which many laws ask for"
        yield SettingFault("operator_address", problem, "Set it to the operator's name and address")
    if not settings.alert_to:
        problem = "nobody gets an alert when a provider or a relay refuses all mail"
        yield SettingFault("alert_to", problem, "Set it to the operator's own address")
    if settings.envelope_domain == "localhost":
        problem = "localhost cannot receive bounces"
        yield SettingFault("mail_from", problem, "Use an address at your own domain")


def _signatures(settings: Settings) -> Iterator[SettingFault]:
    sender, signer = settings.from_domain, settings.dkim_domain
    if settings.dkim_keys and signer and not f".{sender}".lower().endswith(f".{signer.lower()}"):
        problem = f"{sender} is not within {signer}, so DMARC will not count it"
        yield SettingFault(
            "dkim_domain", problem, "Sign for the domain of MAIL_FROM or one above it"
        )
    for entry in settings.dkim_keys:
        path = Path(entry.partition("=")[2])
        if path.exists() and path.stat().st_mode & stat.S_IROTH:
            problem = f"the key in {path} can be read by everybody on this machine"
            yield SettingFault("dkim_keys", problem, f"Run: chmod o-r {path}")
