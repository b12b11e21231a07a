"""Addresses for SMTP and headers: the domain in ASCII, the local part unchanged or refused."""

import re

import idna

from service.messages.domain.errors import HeaderError

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9_-]{1,63}"
# RFC 5322 `dot-atom`, the only form of a local part that mail programs agree on.
_LOCAL_PART = re.compile(rf"{_ATOM}(\.{_ATOM})*")
# The same where the relay takes UTF-8 (RFC 6531 §3.3), without surrogates.
_UTF8_LOCAL_PART = re.compile(
    _LOCAL_PART.pattern.replace("~-]", "~\\u00a1-\\ud7ff\\ue000-\\U0010ffff-]")
)
_HOST = re.compile(rf"{_LABEL}(\.{_LABEL})*")
# Matches nearly every address, which needs no encoding: one regex instead of five checks.
_ORDINARY = re.compile(rf"{_ATOM}(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})*")


def is_ordinary(address: str) -> bool:
    """Return whether an address surely needs no encoding; False means only "not sure"."""
    return _ORDINARY.fullmatch(address) is not None


def ascii_address(address: str, field: str = "To") -> str:
    """Return `x@münchen.de` as `x@xn--mnchen-3ya.de`, for relays without SMTPUTF8.

    Raises `HeaderError` where the local part is not plain ASCII, because it has no encoding.
    """
    return address if is_ordinary(address) else encode_address(address, field)


def encode_address(address: str, field: str) -> str:
    """Return the same as `ascii_address`, without its shortcut for ordinary addresses."""
    local, _, host = address.rpartition("@")
    if not _LOCAL_PART.fullmatch(local):
        raise HeaderError(f"the {field} address has no plain ASCII part before the @")
    return f"{local}@{ascii_host(field, host)}"


def wire_address(address: str) -> str:
    """Return the recipient's address for RCPT and To: domain in ASCII, local part unchanged.

    Raises `HeaderError` for an invalid address.
    """
    local, _, host = address.rpartition("@")
    if local.isascii():
        return ascii_address(address)
    if not (_UTF8_LOCAL_PART.fullmatch(local) and local.isprintable()):
        raise HeaderError("the To address has no usable part before the @")
    return f"{local}@{ascii_host('To', host)}"


def ascii_host(field: str, host: str) -> str:
    """Return a host name in ASCII. Raises `HeaderError` for an invalid one."""
    if not host.isascii():
        try:
            host = idna.encode(host, uts46=True).decode("ascii")
        except idna.IDNAError as error:
            raise HeaderError(f"the {field} domain is not a domain name") from error
    if not _HOST.fullmatch(host):
        raise HeaderError(f"the {field} domain is not a domain name")
    return host
