r"""Plain forms of numbers, units, ions and chemical formulas: `\SI{3}{\km\per\s}` is `3 km s⁻¹`.

The commands are those of siunitx (https://ctan.org/pkg/siunitx), of AASTeX (`\ion`) and of mhchem
(`\ce`).
"""

from collections.abc import Callable
from typing import Final

from service.papers.domain.latex import symbols
from service.platform import linear_regex

_UNIT_TOKEN = linear_regex.compile(r"\\[A-Za-z]+|\^\{?-?[0-9]+\}?|[~.\s]+|[^\\^~.\s]+")
_NUMBER = linear_regex.compile(
    r"\s*([+-]?[0-9 ]*[.,]?[0-9]*(?:(?:\+-|\\pm)[0-9.]+)?(?:\([0-9]+\))?)(?:[eE]([+-]?[0-9]+))?\s*"
)
_CHEMICAL = linear_regex.compile(r"[A-Za-z0-9()\[\]+\-^{} .=<>*]+")
_ROMAN = linear_regex.compile(r"[IVXivx]{1,5}")

_PREFIXES: Final = {
    "femto": "f", "pico": "p", "nano": "n", "micro": "μ", "milli": "m", "centi": "c", "deci": "d",
    "kilo": "k", "mega": "M", "giga": "G", "tera": "T", "peta": "P",
}  # fmt: skip
_UNITS: Final = {
    name: name
    for name in (
        [
            "m",
            "s",
            "g",
            "K",
            "A",
            "Hz",
            "N",
            "Pa",
            "J",
            "W",
            "V",
            "T",
            "L",
            "h",
            "cm",
            "mm",
            "km",
            "nm",
            "pm",
            "fm",
            "ms",
            "ns",
            "ps",
            "fs",
            "kg",
            "mg",
            "eV",
            "keV",
            "meV",
            "MeV",
            "GeV",
            "TeV",
            "kHz",
            "MHz",
            "GHz",
            "THz",
            "pc",
            "kpc",
            "Mpc",
            "Gpc",
            "yr",
            "kyr",
            "Myr",
            "Gyr",
            "au",
            "mK",
            "Jy",
            "mJy",
            "kW",
            "MW",
            "mW",
            "dB",
            "kV",
            "mV",
            "mL",
            "ml",
            "fb",
            "pb",
            "ab",
            "sr",
            "rad",
            "erg",
            "dex",
            "mag",
            "min",
            "mol",
            "bar",
            "bit",
        ]
    )
} | symbols.pairs(
    "meter m metre m second s gram g kelvin K ampere A mole mol hertz Hz newton N pascal Pa joule J "
    "watt W coulomb C volt V farad F ohm Ω tesla T weber Wb henry H lumen lm lux lx becquerel Bq "
    "gray Gy sievert Sv electronvolt eV day d hour h minute min year yr liter L litre L tonne t "
    "barn b parsec pc lightyear ly gauss G jansky Jy angstrom Å astronomicalunit au degree ° "
    "arcsecond ″ arcminute ′ celsius °C degreeCelsius °C percent % byte B decibel dB dalton Da "
    "solarmass M⊙ Msun M⊙ msun M⊙ um μm micron μm micrometer μm us μs ug μg steradian sr radian rad"
)
_POWERS: Final = {"squared": "²", "cubed": "³", "square": "²", "cubic": "³"}


def number(raw: str) -> str | None:
    r"""Return a number of `\num`: `1e-5` is `1×10⁻⁵`; None for what is none."""
    found = _NUMBER.fullmatch(raw)
    if found is None or not any(map(str.isdigit, raw)):
        return None
    digits = found[1].strip().replace("+-", "±").replace(r"\pm", "±")
    if not found[2]:
        return digits
    power = "".join(symbols.SUPERSCRIPTS[sign] for sign in found[2])
    return f"{digits}×10{power}" if digits else f"10{power}"


def unit(raw: str) -> str | None:
    r"""Return units of `\si`: `\km\per\s` and `km.s^{-1}` are `km s⁻¹`; None where one is unknown."""
    out: list[str] = []
    prefix, before, is_divided = "", "", False
    for token in _UNIT_TOKEN.findall(raw):
        name = token[1:]
        if token[0] == "^":
            out[-1:] = [f"{out[-1] if out else ''}{_raised(name.strip('{}'))}"]
        elif token[0] != "\\":
            out += [token] if token.strip("~. \n\t") else []
        elif name == "per":
            is_divided = True
        elif name in _PREFIXES:
            prefix = _PREFIXES[name]
        elif name in {"square", "cubic"}:
            before = _POWERS[name]
        elif name in {"squared", "cubed"} and out:
            out[-1] = f"{out[-1].removesuffix('¹')}{_POWERS[name]}"
        elif name in _UNITS:
            power = before or ("¹" if is_divided else "")
            out.append(f"{prefix}{_UNITS[name]}{'⁻' if is_divided else ''}{power}")
            prefix, before, is_divided = "", "", False
        else:
            return None
    return " ".join(out)


def _raised(power: str) -> str:
    return "".join(symbols.SUPERSCRIPTS[sign] for sign in power)


def quantity(value: str, units: str) -> str | None:
    r"""Return `\SI{3}{\km}` as `3 km`."""
    return _joined(number(value), unit(units))


def quantity_range(first: str, last: str, units: str) -> str | None:
    r"""Return `\SIrange{3}{5}{\km}` as `3–5 km`."""
    return _joined(number_range(first, last), unit(units))


def number_range(first: str, last: str) -> str | None:
    r"""Return `\numrange{3}{5}` as `3–5`."""
    start, end = number(first), number(last)
    return None if start is None or end is None else f"{start}–{end}"


def _joined(value: str | None, units: str | None) -> str | None:
    if value is None or units is None:
        return None
    gap = "" if units[:1] in {"°", "′", "″", "%"} and units != "°C" else " "
    return f"{value}{gap}{units}".strip()


def angle(raw: str) -> str | None:
    r"""Return `\ang{12;30;}` as `12°30′`."""
    parts = [number(part) if part else "" for part in raw.split(";")]
    if len(parts) > 3 or None in parts:
        return None
    return "".join(f"{part}{sign}" for part, sign in zip(parts, "°′″", strict=False) if part)


def ion(element: str, stage: str) -> str | None:
    r"""Return `\ion{H}{ii}` as `H II`."""
    stage = stage.strip()
    shown = stage.upper() if _ROMAN.fullmatch(stage) else stage
    plain = element.strip().isalpha() and stage.isalnum()
    return f"{element.strip()} {shown}" if plain else None


def chemical(raw: str) -> str | None:
    r"""Return `\ce{H2O}` as `H₂O` and `\ce{CO3^{2-}}` as `CO₃²⁻`; None for more than a formula."""
    if not _CHEMICAL.fullmatch(raw):
        return None
    out, at = "", 0
    raw = raw.replace("->", "→")
    while at < len(raw):
        piece = raw[at]
        at += 1
        if piece == "^":
            end = raw.find("}", at) if raw[at : at + 1] == "{" else at + 1
            power = raw[at : end + 1].strip("{}") if end > 0 else ""
            shaped = [symbols.SUPERSCRIPTS.get(sign) for sign in power.strip()]
            if not shaped or None in shaped:
                return None
            out += "".join(filter(None, shaped))
            at = end + 1 if raw[at : at + 1] == "{" else at + len(power)
        elif piece in "{}":
            return None
        elif piece.isdigit() and out[-1:] and (out[-1].isalpha() or out[-1] in ")]₀₁₂₃₄₅₆₇₈₉"):
            out += symbols.SUBSCRIPTS[piece]
        elif piece in "+-" and out[-1:] and not out[-1].isspace() and raw[at : at + 1] in {"", " "}:
            out += symbols.SUPERSCRIPTS[piece]
        else:
            out += piece
    return out


# Commands by the number of their arguments, which are read raw.
WITH_ONE: Final[dict[str, Callable[[str], str | None]]] = {
    "num": number, "si": unit, "unit": unit, "ang": angle, "ce": chemical,
}  # fmt: skip
WITH_TWO: Final[dict[str, Callable[[str, str], str | None]]] = {
    "SI": quantity, "qty": quantity, "ion": ion, "numrange": number_range,
}  # fmt: skip
WITH_THREE: Final[dict[str, Callable[[str, str, str], str | None]]] = {
    "SIrange": quantity_range, "qtyrange": quantity_range,
}  # fmt: skip


def count_arguments(name: str) -> int:
    """Return how many arguments a command of this module takes; 0 where it is none."""
    return 1 if name in WITH_ONE else 2 if name in WITH_TWO else 3 if name in WITH_THREE else 0


def convert(name: str, arguments: list[str]) -> str | None:
    """Return the plain form of one of these commands, or None where it has none."""
    commands: dict[str, Callable[..., str | None]] = {**WITH_ONE, **WITH_TWO, **WITH_THREE}
    return commands[name](*arguments)
