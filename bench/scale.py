"""The load model: what 1, 10 and 100 million mails a day need, and what is used up first.

    .venv/bin/python bench/scale.py [--write]

Arithmetic alone, out of the measured costs in `scales/model.py`; `--write` writes them into the tables of
docs/scale.md. One JSON object as the last line on stdout. Exit status 1 if the run that checks the model differs from it
by more than 15 %.
"""

import argparse
import json
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from scales import model
from scales.model import Load, limits, seconds_on

PAGE = Path(__file__).resolve().parents[1] / "docs" / "scale.md"
LOADS = (20_000, 1_000_000, 10_000_000, 100_000_000)
MOST_OFF = 0.15
_BLOCK = re.compile(r"(<!-- (\w+): by bench/scale\.py -->\n).*?(<!-- end -->)", re.DOTALL)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the tables of docs/scale.md")
    parser.add_argument("--quick", action="store_true", help="the same: it takes no time")
    if parser.parse_args().write:
        PAGE.write_text(fill_page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    ratios = check_ratios()
    print(json.dumps({"limits": limits(), "loads": {n: describe(n) for n in LOADS}, **ratios}))
    off = {name: ratio for name, ratio in ratios.items() if abs(ratio - 1) > MOST_OFF}
    for name, ratio in off.items():
        print(f"scale.py: {name} is {ratio} of what the model says", file=sys.stderr)
    return 1 if off else 0


def describe(mails: int) -> dict[str, float]:
    load = Load(mails)
    return {
        "sending_hosts": load.sending_hosts,
        "database_cores": round(load.database_cores, 2),
        "relays": load.relays,
        "database_bytes": load.database_bytes,
        "statements_per_s": round(load.statements_a_second),
    }


def check_ratios() -> dict[str, float]:
    """Return the measured seconds of a large morning, divided by the model's."""
    composing, sending = expected_seconds()
    return {
        "compose_ratio": round(model.CHECKED_COMPOSE_S / composing, 2),
        "send_ratio": round(model.CHECKED_SEND_S / sending, 2),
    }


def expected_seconds() -> tuple[float, float]:
    return seconds_on(model.CHECKED_CORES, model.CHECKED_COMPOSED, model.CHECKED_SENT)


def fill_page(page: str) -> str:
    """Return the page with its tables as the model has them now."""
    return _BLOCK.sub(lambda found: f"{found[1]}\n{_TABLES[found[2]]()}\n\n{found[3]}", page)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def cost_table() -> str:
    rows = [
        (
            "composing, in `worker-send`",
            f"{model.COMPOSER_CPU_US:,} µs",
            f"{model.COMPOSE_STATEMENTS}",
        ),
        ("composing, in PostgreSQL", f"{model.COMPOSE_POSTGRES_CPU_US:,} µs", ""),
        ("sending, in `worker-send`", f"{model.SENDER_CPU_US:,} µs", f"{model.SEND_STATEMENTS}"),
        ("sending, in PostgreSQL", f"{model.POSTGRES_CPU_US:,} µs", ""),
        ("Valkey, as broker and for limits", f"{model.VALKEY_CPU_US:,} µs", ""),
        ("all other processes", f"{model.OTHERS_CPU_US:,} µs", ""),
    ]
    return table(("of a mail", "processor time", "statements"), rows)


def byte_table() -> str:
    rows = [
        (
            "`deliveries`",
            f"{model.DELIVERY_BYTES:,}",
            "digest",
            "400 days, and to the end of the month",
        ),
        (
            "`mail_copies`",
            f"{model.COPY_BYTES:,}",
            "digest",
            "90 days, and to the end of the month",
        ),
        ("`mail_parts`", f"{model.PART_BYTES_A_PAPER:,}", "paper of an edition", "as copies"),
        ("`papers` and all that belongs to them", f"{model.PAPER_BYTES:,}", "paper", "for ever"),
        (
            "`subscribers`, `topics`, `consents`",
            f"{model.SUBSCRIBER_BYTES:,}",
            "subscriber",
            "until erased",
        ),
        ("the message", f"{model.MESSAGE_BYTES:,}", "mail", "not stored"),
    ]
    return table(("what", "bytes", "for each", "kept"), rows)


def load_table() -> str:
    def row(name: str, value: Callable[[Load], str]) -> tuple[str, ...]:
        return (name, *(value(Load(mails)) for mails in LOADS))

    rows = [
        row("mails a second, over two hours", lambda one: number(one.mails_a_second)),
        row("cores for sending", lambda one: number(one.sending_cores)),
        row("cores for composing, over 15 minutes", lambda one: number(one.composing_cores)),
        row(
            f"hosts of {model.HOST_CORES} cores for `worker-send`",
            lambda one: number(one.sending_hosts),
        ),
        row("cores of PostgreSQL", lambda one: number(one.database_cores)),
        row("statements a second", lambda one: number(one.statements_a_second)),
        row("database, with the default days", lambda one: size(one.database_bytes)),
        row("a vacuum of a month, at its end", lambda one: duration(one.vacuum_seconds)),
        row("relays", lambda one: number(one.relays)),
        row("network to the relays", lambda one: f"{number(one.bits_a_second / 1e6)} Mbit/s"),
        row("cores of the broker", lambda one: number(one.broker_cores)),
    ]
    return table(("", *(f"{mails:,} a day" for mails in LOADS)), rows)


def limit_table() -> str:
    rows = [(name, f"{rounded(mails):,}") for name, mails in limits().items()]
    return table(("what is used up", "at so many mails a day"), rows)


def check_table() -> str:
    composing, sending = expected_seconds()
    measured = (
        (f"composing {model.CHECKED_COMPOSED:,}", composing, model.CHECKED_COMPOSE_S),
        (f"sending {model.CHECKED_SENT:,}", sending, model.CHECKED_SEND_S),
    )
    rows = [
        (name, f"{seconds:.0f} s", f"{took:.0f} s", f"{took / seconds:.2f}")
        for name, seconds, took in measured
    ]
    return table(("on two cores", "the model", "measured", "ratio"), rows)


def number(value: float) -> str:
    if value < 0.01:
        return "0"
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def rounded(value: int) -> int:
    """Return a number to two digits."""
    return round(value, 2 - len(str(value)))


def size(value: float) -> str:
    for unit, one in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if value >= one:
            return f"{number(value / one)} {unit}"
    return f"{number(value / 1e3)} kB"


def duration(seconds: float) -> str:
    return f"{number(seconds / 3600)} h" if seconds >= 3600 else f"{number(seconds)} s"


_TABLES = {
    "costs": cost_table,
    "bytes": byte_table,
    "loads": load_table,
    "limits": limit_table,
    "check": check_table,
}


if __name__ == "__main__":
    sys.exit(main())
