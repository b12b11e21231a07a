"""The settings of the site, for each of its processes and for the one that starts them."""

import sys

from service.papers.domain.source_names import SOURCE_NAMES
from service.platform import logs
from service.platform.settings.faults import SettingsError
from service.platform.settings.load import load_settings
from service.platform.settings.passwords import refuse_weak_password
from service.platform.settings.settings import Settings


def load_web_settings() -> Settings:
    """Return the settings of the environment; exit with status 2 and a line for each fault."""
    logs.configure_service()  # For a fault in the settings themselves.
    try:
        settings = load_settings(SOURCE_NAMES)
        refuse_weak_password(settings)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(2) from error
    return settings
