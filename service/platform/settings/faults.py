"""What is wrong with a setting, and the error that carries it."""

from dataclasses import dataclass

PREFIX = "PAPERBOY_"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with one setting, and what to do. `is_fatal` means: do not start with it."""

    setting: str
    problem: str
    hint: str
    is_fatal: bool = True

    def __str__(self) -> str:
        return f"{PREFIX}{self.setting.upper()}: {self.problem}. {self.hint}."


class SettingsError(Exception):
    """The environment cannot be used; `str()` is one readable line per fault."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = faults
