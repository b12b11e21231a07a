"""The attackers: costly queries, floods of sign-ups, forged links and hooks, slow clients, hostile bounces.

    python -m siege.attacks URL SECONDS HOME

Each kind of attack has its own addresses, none of which a visitor has; each sign-up comes from another network,
so that no limit for one of them holds it up. None needs more than a laptop: volume alone is for a proxy to turn
away. Prints one JSON object: how many requests, and their answers by kind.
"""

import asyncio
import json
import secrets
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random
from urllib.parse import urlsplit

import httpx2
from support.hostile_texts import random_text
from support.mail.hostile_mails import BEYOND_BUDGET, TOO_DEEP, WITHIN_BUDGET
from support.web.link_walk import hidden_fields

from siege.relay import deliver_to_maildir

SLOW_CLIENTS = 300
SIGN_UP_CLIENTS = 20
# Longer than a form is suspicious for having been filled in too fast.
FILL_IN_SECONDS = 3.0
LIKE = " OR ".join(f'like:"soft prompts and ideas, number {number}"' for number in range(150))
COSTLY = (
    LIKE,
    " OR ".join(f'"word{number} other" -ti:x{number}' for number in range(100)),
    " ".join(f"-(a{number} OR b{number}*)" for number in range(120)),
    'like:"diffusion" OR like:"graphs" OR like:"proteins" OR '
    + " OR ".join(f"t{n}*" for n in range(57)),
)


class Attack:
    """Counts what came back: kind -> status (or the error's name) -> how often."""

    def __init__(self, url: str, seconds: float, home: Path) -> None:
        self.url = url
        self.answers: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.ends_at = time.monotonic() + seconds
        self.bounces = home / "bounces"

    @property
    def goes_on(self) -> bool:
        return time.monotonic() < self.ends_at

    def client(self, origin: str) -> httpx2.AsyncClient:
        # Without TLS, whose certificates would be loaded for each.
        transport = httpx2.AsyncHTTPTransport(local_address=origin, verify=False)
        return httpx2.AsyncClient(base_url=self.url, timeout=60, transport=transport)

    async def repeat(
        self,
        kind: str,
        number: int,
        pause: float,
        once: Callable[[httpx2.AsyncClient], Awaitable[httpx2.Response]],
    ) -> None:
        """Do it again and again from one address, with a pause between."""
        async with self.client(f"127.66.{number // 250}.{1 + number % 250}") as client:
            while self.goes_on:
                await self.count(kind, once(client))
                await asyncio.sleep(pause)

    async def count(self, kind: str, answering: Awaitable[httpx2.Response]) -> None:
        try:
            answer = await answering
            self.answers[kind][str(answer.status_code)] += 1
        except httpx2.HTTPError as error:
            self.answers[kind][type(error).__name__] += 1


def costly(chance: Random) -> Callable[[httpx2.AsyncClient], Awaitable[httpx2.Response]]:
    paths = ("/search", "/topics/preview", "/topics/preview/live", "/feeds/search.atom")

    async def once(client: httpx2.AsyncClient) -> httpx2.Response:
        path = chance.choice(paths)
        text = chance.choice((*COSTLY, random_text(chance)[:2000]))
        return await client.get(path, params={"q": text})

    return once


async def flood(attack: Attack, number: int) -> None:
    """Sign strangers up, each time from another network; half of the time as slowly as a person."""
    chance = Random(number)  # a seed
    while attack.goes_on:
        origin = f"127.{128 + chance.randrange(64)}.{chance.randrange(256)}.{1 + number}"
        async with attack.client(origin) as client:
            await attack.count("sign-ups", sign_up(client, chance, is_fetched=bool(number % 2)))
        await asyncio.sleep(0.5)


async def sign_up(
    client: httpx2.AsyncClient, chance: Random, *, is_fetched: bool
) -> httpx2.Response:
    victims = (
        "victim+{}@gmail.com",
        "v.i.ctim+{}@googlemail.com",
        "anybody{}@example.com",
        "victim@example{}.net",
    )
    fields: dict[str, str] = {}
    if is_fetched:
        fields = hidden_fields((await client.get("/")).text)
        await asyncio.sleep(FILL_IN_SECONDS)
    fields["email"] = chance.choice(victims).format(chance.randrange(10**6))
    return await client.post("/subscribe", data={**fields, "topic": "cat:cs.CL"})


def forge(chance: Random) -> Callable[[httpx2.AsyncClient], Awaitable[httpx2.Response]]:
    places = (
        "/unsubscribe/",
        "/confirm/",
        "/preferences/",
        "/editions/",
        "/change/",
        "/address/",
        "/never/",
    )

    async def once(client: httpx2.AsyncClient) -> httpx2.Response:
        return await client.post(
            chance.choice(places) + secrets.token_urlsafe(chance.choice((20, 60, 900)))
        )

    return once


def hooks(chance: Random) -> Callable[[httpx2.AsyncClient], Awaitable[httpx2.Response]]:
    async def once(client: httpx2.AsyncClient) -> httpx2.Response:
        body = chance.choice(
            (b"[" * 50_000, b'{"a":' * 20_000, b"1" * 60_000, secrets.token_bytes(5000))
        )
        name = chance.choice(("generic", "mailgun", "ses", "sendgrid", "nobody"))
        return await client.post(
            f"/hooks/{name}", content=body, headers={"x-paperboy-signature": "sha256=00"}
        )

    return once


def passwords(_chance: Random) -> Callable[[httpx2.AsyncClient], Awaitable[httpx2.Response]]:
    async def once(client: httpx2.AsyncClient) -> httpx2.Response:
        return await client.get("/admin", auth=("operator", secrets.token_urlsafe(8)))

    return once


async def slow_client(attack: Attack, number: int) -> None:
    """Connect, and send a byte of a header now and then; come back when cut off."""
    parts = urlsplit(attack.url)
    while attack.goes_on:
        try:
            reader, writer = await asyncio.open_connection(
                parts.hostname, parts.port, local_addr=(f"127.77.0.{1 + number % 20}", 0)
            )
            attack.answers["slow clients"]["connected"] += 1
            start = b"POST /subscribe HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n"
            writer.write(start + (b"\r\n" if number % 2 else b"X-Slow: "))
            while attack.goes_on and not reader.at_eof():
                writer.write(b"a")
                await writer.drain()
                await asyncio.sleep(2)
            writer.close()
        except OSError:
            attack.answers["slow clients"]["cut off"] += 1
        await asyncio.sleep(1)


async def bounce(attack: Attack) -> None:
    mails = (TOO_DEEP, *BEYOND_BUDGET.values(), *WITHIN_BUDGET.values())
    number = 0
    while attack.goes_on:
        mail = mails[number % len(mails)]
        await asyncio.to_thread(deliver_to_maildir, attack.bounces, mail, f"hostile{number}")
        attack.answers["bounces"]["delivered"] += 1
        number += 1
        await asyncio.sleep(3)


async def besiege(attack: Attack) -> None:
    kinds = (
        ("queries", costly, 8, 0.5), ("links", forge, 5, 0.5),
        ("hooks", hooks, 5, 0.5), ("passwords", passwords, 3, 1.0),
    )  # fmt: skip
    jobs = [bounce(attack), *(slow_client(attack, number) for number in range(SLOW_CLIENTS))]
    jobs += [flood(attack, number) for number in range(SIGN_UP_CLIENTS)]
    for place, (kind, make, clients, pause) in enumerate(kinds):
        for number in range(clients):
            origin = 100 * place + number
            jobs.append(attack.repeat(kind, origin, pause, make(Random(origin))))  # a seed
    await asyncio.gather(*jobs)


def main() -> None:
    attack = Attack(sys.argv[1], float(sys.argv[2]), Path(sys.argv[3]))
    asyncio.run(besiege(attack))
    kinds = {kind: dict(answers) for kind, answers in attack.answers.items()}
    print(
        json.dumps(
            {"requests": sum(sum(answers.values()) for answers in attack.answers.values()), **kinds}
        )
    )


if __name__ == "__main__":
    main()
