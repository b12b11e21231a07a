"""Who signs our mails: the operator's own keys, where there are any."""

from __future__ import annotations

from service.messages.mime.addresses import ascii_address
from service.messages.mime.dkim import DkimSigner, load_signer
from service.platform.settings.settings import Settings


def signer_of(settings: Settings) -> DkimSigner | None:
    """The signer of this process, its keys read once; None where signing is left to the relay.

    Raises `DkimKeyError` for a key that cannot be used, `HeaderError` where From has no domain.
    """
    if not settings.dkim_keys:
        return None
    domain = settings.dkim_domain or settings.from_domain
    ascii_domain = ascii_address(f"postmaster@{domain}", "From").partition("@")[2].lower()
    return load_signer(ascii_domain, settings.dkim_keys)
