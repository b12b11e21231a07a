"""DKIM keys are read when settings are checked, and all their faults are reported at once."""

from pathlib import Path

import pytest
from support.mail.dkim_keys import ed25519_key, rsa_key, write_key

from service.papers.domain.source_names import SOURCE_NAMES
from service.platform.settings.faults import SettingsError
from service.platform.settings.load import load_settings
from service.platform.settings.risks import find_risks
from service.platform.settings.settings import Settings


def load(tmp_path: Path, **variables: str) -> Settings:
    given = {f"PAPERBOY_{name}": value for name, value in variables.items()}
    return load_settings(SOURCE_NAMES, {"PAPERBOY_DATA_DIR": str(tmp_path / "data"), **given})


def faults_of(tmp_path: Path, **variables: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, **variables)
    return str(caught.value).splitlines()


def test_dkim_keys_are_read_when_the_settings_are_checked(tmp_path: Path) -> None:
    path = write_key(tmp_path / "dkim.pem", ed25519_key())
    given = {"MAIL_FROM": "P <d@news.example.org>", "DKIM_KEYS": f"s={path}"}
    assert find_risks(load(tmp_path, **given)) == []
    assert find_risks(load(tmp_path, **given, DKIM_DOMAIN="example.org")) == []
    (fault,) = find_risks(load(tmp_path, **given, DKIM_DOMAIN="example.net"))
    assert fault.setting == "dkim_domain"
    assert "news.example.org is not within example.net" in fault.problem
    path.chmod(0o644)
    (fault,) = find_risks(load(tmp_path, **given))
    assert fault.setting == "dkim_keys"
    assert f"chmod o-r {path}" in fault.hint


def test_dkim_faults_are_reported_all_at_once(tmp_path: Path) -> None:
    short = write_key(tmp_path / "short.pem", rsa_key(1024))
    path = write_key(tmp_path / "dkim.pem", ed25519_key())
    faults = faults_of(
        tmp_path, DKIM_KEYS=f"a={short} s={path} b=/gone.pem", DKIM_DOMAIN="no domain"
    )
    assert [line.partition(":")[0] for line in faults] == [
        "PAPERBOY_DKIM_DOMAIN",
        "PAPERBOY_DKIM_KEYS",
        "PAPERBOY_DKIM_KEYS",
    ]
    for line, words in zip(
        faults, ("not a domain", "has 1024 bits", "cannot be read"), strict=True
    ):
        assert words in line
    (line,) = faults_of(tmp_path, DKIM_KEYS=f"s={path} s={path}")
    assert "a selector is used twice" in line
