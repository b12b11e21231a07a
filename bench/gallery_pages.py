"""Take the pictures of pages in docs/gallery/ from a demo of ten invented days, which it runs itself.

    .venv/bin/python bench/gallery_pages.py            # all pictures
    .venv/bin/python bench/gallery_pages.py --only week paper-card
    .venv/bin/python bench/gallery_pages.py --out DIR  # somewhere else

`make gallery-pages` calls it. The pictures show the fonts of this machine.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from shutil import which
from typing import Any, Literal

from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]

from gallery import shrink  # noqa: E402  # after the path

GALLERY = ROOT / "docs" / "gallery"
READER = "reader@example.org"
DEMO_SECONDS = 400.0
# Below that a picture is cut off, and that of a phone somewhat later.
TALLEST = {375: 1_400, 640: 1_200, 1280: 1_000}


@dataclass(frozen=True)
class Demo:
    """A running demo: its address, the operator's password, its days and its mails."""

    base: str
    password: str
    days: list[str]
    mailbox: Path

    def digest(self) -> EmailMessage:
        """Return the newest digest of the reader who gets one every day."""
        files = sorted(self.mailbox.iterdir(), key=lambda file: file.stat().st_mtime)
        mails = [message_from_bytes(file.read_bytes(), policy=default) for file in files]
        return next(
            mail for mail in reversed(mails) if READER in mail["To"] and " new " in mail["Subject"]
        )

    def html(self) -> str:
        body = self.digest().get_body(("html",))
        assert body is not None
        content = body.get_content()
        assert isinstance(content, str)
        return content

    def link(self, pattern: str) -> str:
        """Return the first link of the digest whose path has this form."""
        found = re.search(
            f'href="({re.escape(self.base)}/{pattern})"', self.html().replace("&amp;", "&")
        )
        assert found, pattern
        return found[1]


@contextmanager
def running_demo() -> Iterator[Demo]:
    """Run a demo of ten days in a directory of its own until the end of the block."""
    with (
        tempfile.TemporaryDirectory(prefix="pb") as folder,
        (Path(folder) / "out").open("w+b") as out,
    ):
        # The servers' account must be able to enter it.
        Path(folder).chmod(0o755)
        environ = {
            "PATH": "/usr/bin:/bin:/usr/local/bin",
            "HOME": folder,
            "PAPERBOY_DATA_DIR": folder,
        }
        command = [str(ROOT / ".venv/bin/paperboy"), "--json", "demo", "--days", "10"]
        process = subprocess.Popen(command, stdout=out, env=environ, cwd=folder)
        try:
            yield _await(process, Path(out.name), Path(folder) / "demo" / "mailbox" / "new")
        finally:
            process.terminate()
            process.wait(60)


def _await(process: subprocess.Popen[bytes], out: Path, mailbox: Path) -> Demo:
    deadline = time.monotonic() + DEMO_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        text = out.read_text(encoding="utf-8")
        if text.rstrip().endswith("}"):
            told: dict[str, Any] = json.loads(text)
            base = told["places"]["Operator"].removesuffix("/admin")
            return Demo(base, told["password"], [day["on"] for day in told["days"]], mailbox)
        time.sleep(0.5)
    raise SystemExit("gallery: the demo did not begin")


def show_front(page: Page, demo: Demo) -> None:
    page.goto(demo.base)
    page.locator("#topic-0").fill("diffusion")
    page.locator("#live .examples li").first.wait_for()


def show_proposal(page: Page, demo: Demo) -> None:
    """Show what the titles of papers about one subject make, as a reader would paste them."""
    page.goto(f"{demo.base}/search?q=diffusion")
    titles = page.locator(".paper h2").all_inner_texts()
    preferences = demo.link(r'preferences/[^"#?]+')
    page.goto(f"{preferences}/start")
    page.locator("#text").fill("\n".join(titles))
    page.get_by_role("button", name="Propose topics").click()
    page.get_by_role("button", name="Save the ticked topics").wait_for()


def show_paper(page: Page, demo: Demo) -> None:
    page.goto(demo.base)
    page.locator(".paper h2 a").nth(1).click()
    page.locator(".whole-paper").wait_for()


def show_card(page: Page, demo: Demo) -> None:
    show_paper(page, demo)
    image = page.locator('meta[property="og:image"]').get_attribute("content")
    assert image
    page.goto(image)


def show_week(page: Page, demo: Demo) -> None:
    page.goto(f"{demo.base}/daily/{demo.days[-3]}")
    page.locator(".wider a").first.click()


def show_digest(page: Page, demo: Demo) -> None:
    page.route("**/*", lambda route: route.abort())
    page.set_content(demo.html())


def at(path: str) -> Callable[[Page, Demo], None]:
    """Return what opens a page that needs nothing but its address."""

    def show(page: Page, demo: Demo) -> None:
        page.goto(demo.base + path)

    return show


@dataclass(frozen=True)
class Picture:
    """A picture: what to show, how wide, and in which colours; a file of this name."""

    name: str
    show: Callable[[Page, Demo], None]
    width: int
    scheme: Literal["light", "dark"] = "light"

    @property
    def file(self) -> str:
        return f"{self.name}-{self.width}-{self.scheme}.png"


PICTURES = (
    Picture("front", show_front, 1280),
    Picture("front", show_front, 375, "dark"),
    Picture("week", show_week, 1280),
    Picture("calendar", at("/calendar"), 375, "dark"),
    Picture("start", show_proposal, 1280),
    Picture("paper", show_paper, 1280),
    Picture("paper-card", show_card, 1200),
    Picture("digest", show_digest, 640),
    Picture("digest", show_digest, 375, "dark"),
    Picture("status", at("/status"), 1280),
    Picture("admin", at("/admin"), 1280),
    Picture("admin-edition", at("/admin/editions/2"), 375, "dark"),
)


def take(browser: Browser, demo: Demo, picture: Picture, folder: Path) -> None:
    size: ViewportSize = {"width": picture.width, "height": 630}
    context = browser.new_context(
        viewport=size,
        color_scheme=picture.scheme,
        http_credentials={"username": "me", "password": demo.password},
    )
    page = context.new_page()
    picture.show(page, demo)
    height = int(page.evaluate("document.documentElement.scrollHeight"))
    tallest = TALLEST.get(picture.width, 630)
    page.screenshot(
        path=folder / picture.file,
        full_page=True,
        clip={"x": 0, "y": 0, "width": picture.width, "height": min(height, tallest)},
    )
    context.close()
    shrink(folder, picture.file)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--only", nargs="+", default=[], help="names of pictures, such as week")
    parser.add_argument("--out", type=Path, default=GALLERY)
    options = parser.parse_args()
    chosen = [each for each in PICTURES if not options.only or each.name in options.only]
    options.out.mkdir(parents=True, exist_ok=True)
    chromium = which("chromium") or which("chromium-browser") or which("google-chrome")
    with running_demo() as demo, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for picture in chosen:
            take(browser, demo, picture, options.out)
        browser.close()
    print(f"{len(chosen)} pictures in {options.out}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
