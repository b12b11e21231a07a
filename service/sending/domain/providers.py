"""The mail provider of an address: one of a few companies, or else the domain itself.

Limits and refusals belong to the company that runs the mail servers: Outlook's view of us holds for
hotmail.co.uk as well. Custom domains hosted by a provider count as themselves, because looking up
their MX for each mail would make sending wait for DNS.
"""

import re

from service.platform.caches import cached

# Names with many country domains: hotmail.co.uk, yahoo.com.br, gmx.ch, yandex.by.
_FAMILIES = {
    "aol": "yahoo",
    "gmx": "gmx",
    "hotmail": "outlook",
    "live": "outlook",
    "msn": "outlook",
    "outlook": "outlook",
    "yahoo": "yahoo",
    "yandex": "yandex",
}
_FAMILY = re.compile(rf"({'|'.join(_FAMILIES)})\.(?:com?\.)?[a-z]{{2,3}}")

_MEMBERS: dict[str, str] = {
    "gmail": "gmail.com googlemail.com",
    "outlook": "passport.com windowslive.com",
    "yahoo": "ymail.com rocketmail.com aim.com verizon.net",
    "icloud": "icloud.com me.com mac.com",
    "gmx": "web.de mail.com email.com 1und1.de caramail.com",
    "proton": "proton.me protonmail.com protonmail.ch pm.me",
    "fastmail": "fastmail.com fastmail.fm fastmail.us",
    "zoho": "zoho.com zoho.eu zohomail.com zohomail.eu",
    "att": "att.net sbcglobal.net bellsouth.net pacbell.net ameritech.net",
    "comcast": "comcast.net xfinity.com",
    "orange": "orange.fr wanadoo.fr voila.fr",
    "sfr": "sfr.fr neuf.fr cegetel.net club-internet.fr",
    "libero": "libero.it virgilio.it inwind.it iol.it blu.it",
    "t-online": "t-online.de magenta.de",
    "mail.ru": "mail.ru bk.ru inbox.ru list.ru internet.ru",
    "yandex": "ya.ru",
    "tencent": "qq.com foxmail.com",
    "netease": "163.com 126.com yeah.net 188.com",
    "naver": "naver.com",
    "seznam": "seznam.cz email.cz post.cz",
}
_BY_DOMAIN = {domain: name for name, domains in _MEMBERS.items() for domain in domains.split()}


def provider_of(address: str) -> str:
    """Return the provider: `anne@hotmail.co.uk` -> `outlook`, `bert@uni.example` -> `uni.example`."""
    return _provider_of_domain(address.rpartition("@")[2])


@cached("providers of domains", maxsize=16_384)
def _provider_of_domain(domain: str) -> str:
    name = domain.casefold().rstrip(".")
    known = _BY_DOMAIN.get(name)
    if known is not None:
        return known
    family = _FAMILY.fullmatch(name)
    return _FAMILIES[family[1]] if family else name
