"""Faults in settings, and the errors that carry them."""

from dataclasses import dataclass

PREFIX = "PAPERBOY_"


@dataclass(frozen=True, slots=True)
class SettingFault:
    """One thing wrong with one setting, and what to do."""

    setting: str
    problem: str
    hint: str

    def __str__(self) -> str:
        return f"{PREFIX}{self.setting.upper()}: {self.problem}. {self.hint}."


class FileFault(SettingFault):
    """A fault of a settings file; `setting` is its path and perhaps the line."""

    def __str__(self) -> str:
        return f"{self.setting}: {self.problem}. {self.hint}."


class Refused(ValueError):
    """A value that cannot be used: `str()` is one line about the problem, `hint` says what to do."""

    def __init__(self, problem: str, hint: str) -> None:
        super().__init__(problem)
        self.hint = hint


class SettingsError(Exception):
    """The environment cannot be used; `str()` is one readable line per fault."""

    def __init__(self, faults: list[SettingFault]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = faults
