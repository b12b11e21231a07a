"""Texts that a careless parser of the topic language would parse slowly or never finish."""

from random import Random

WORST_TEXTS = (
    "(" * 4096,
    ")" * 4096,
    "-" * 4096,
    "NOT " * 1024,
    "NOT " * 1023 + "a",
    "(a OR " * 600,
    '"' * 4096,
    "a" * 10_000_000,
    "x:" * 2048,
    "ti:" * 1365,
    "a<" * 2048,
    "cat:" + "z" * 4000,
    " ".join(f"cat:{archive}" for archive in ["cs", "math", "cond-mat", "physics"] * 50),
    " OR ".join(f"a{number} -b{number}" for number in range(100)),
    "trend" + " " * 4000 + ">",
    "trend>" * 680,
    "cross: " * 580,
    "a -cross: AND " * 290 + "b",
    "ab* " * 200,
    'like:"' + "soft prompt " * 160 + '"',
    "a " + " ".join(f"-(b{number} c{number})" for number in range(99)),
    "\u0300" * 4096,
    "\U0001d160" * 4096,
)

ALPHABET = [
    *'ab -()"“”:*<>,;.\t\x00\u200b世é',
    *(
        "AND",
        "OR",
        "NOT",
        " ",
        "ti:",
        "cat:cs.CL",
        "au:",
        "src:hf",
        "like:",
        "cross:",
        "replaced:no",
    ),
    *("trend>", "90", "new:only", "opt*", "2507.17189"),
]


def random_text(chance: Random) -> str:
    """Return tokens of the language, or any characters, in any order."""
    length = chance.choice([3, 30, 300])
    if chance.random() < 0.2:
        return "".join(chr(chance.randrange(0x3000)) for _ in range(length))
    return "".join(chance.choice(ALPHABET) for _ in range(length))
