"""One Chromium for the tests of a module."""

from collections.abc import Iterator
from shutil import which

import pytest
from playwright.sync_api import Browser, sync_playwright


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # Chromium has no sandbox for root, and tests in containers run as root.
        chromium = playwright.chromium.launch(
            executable_path=which("chromium")
            or which("chromium-browser")
            or which("google-chrome"),
            args=["--no-sandbox"],
        )
        yield chromium
        chromium.close()
