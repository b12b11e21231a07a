"""Write every mail in every state as pages and pictures to docs/gallery/mails/.

    .venv/bin/python bench/gallery.py            # write the pages, take the pictures
    .venv/bin/python bench/gallery.py --check    # list the pages that changed, write nothing
    .venv/bin/python bench/gallery.py --pages    # write the pages, take no pictures
    .venv/bin/python bench/gallery.py --widths   # also 320, 600 and 1280 pixels, into build/gallery/
    .venv/bin/python bench/gallery.py --after    # only docs/gallery/digest-25-after-320-light.png

Checks and tests compare only the pages; the pictures depend on the fonts of a machine.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from shutil import which
from subprocess import run

from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from support.mail.digest_of_25 import digest_of_25  # noqa: E402  # after the path
from support.mail.mail_states import State, every_state, render_state  # noqa: E402  # after the path

from service.messages.rendering.renderer import RenderedMail, Renderer  # noqa: E402  # after the path

GALLERY = ROOT / "docs" / "gallery" / "mails"
LOOKED_AT = ROOT / "build" / "gallery"
# Beside it, digest-25-before-320-light.png is the same digest as it was when each paper was a card.
AFTER = ROOT / "docs" / "gallery" / "digest-25-after-320-light.png"
# Pictures of long mails are cut off here.
TALLEST = 1_500
KEPT = (("light", 640), ("dark", 375))
WIDTHS = tuple((scheme, width) for scheme in ("light", "dark") for width in (320, 600, 1280))


def pages(states: tuple[State, ...]) -> Iterator[tuple[str, str]]:
    """Yield the file name and content of each page."""
    renderer = Renderer()
    for state in states:
        mail = render_state(renderer, state)
        yield f"{state.name}.html", mail.html
        yield f"{state.name}.txt", _as_message(mail)
    yield "README.md", _index(states)


def _as_message(mail: RenderedMail) -> str:
    return f"Subject: {mail.subject}\n\n{mail.text}"


def _index(states: tuple[State, ...]) -> str:
    lines = [
        "# Mails",
        "",
        "Every mail in every state: in light colours, in dark colours on a phone, and as text. All papers",
        "and people are invented. `make gallery` makes these pages again and takes the pictures;",
        "`make gallery ARGS=--check` says what changed.",
        "",
        "| mail | light | dark, on a phone | text |",
        "|---|---|---|---|",
    ]
    for state in states:
        day = f"[![{state.title}]({state.name}-640-light.png)]({state.name}.html)"
        night = f"![{state.title}, in dark colours]({state.name}-375-dark.png)"
        lines.append(f"| {state.title} | {day} | {night} | [text]({state.name}.txt) |")
    return "\n".join(lines) + "\n"


def changed_pages(states: tuple[State, ...]) -> list[str]:
    """Return the names of pages that differ from those in docs/gallery/mails/."""
    return [
        name
        for name, content in pages(states)
        if not (GALLERY / name).exists() or (GALLERY / name).read_text(encoding="utf-8") != content
    ]


def take_pictures(
    browser: Browser, states: tuple[State, ...], folder: Path, looks: tuple[tuple[str, int], ...]
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    renderer = Renderer()
    for scheme, width in looks:
        context = browser.new_context(
            viewport={"width": width, "height": 300},
            color_scheme="dark" if scheme == "dark" else "light",
        )
        # Nothing is fetched, so that a picture shows only parts of the mail.
        context.route("**/*", lambda route: route.abort())
        page = context.new_page()
        for state in states:
            page.set_content(render_state(renderer, state).html)
            height = min(TALLEST, int(page.evaluate("document.documentElement.scrollHeight")))
            page.screenshot(
                path=folder / f"{state.name}-{width}-{scheme}.png",
                full_page=True,
                clip={"x": 0, "y": 0, "width": width, "height": max(height, 200)},
            )
        context.close()
    shrink(folder)


def take_whole(browser: Browser, html: str, width: int, path: Path) -> None:
    """Take a picture of a whole mail at half its size, for comparison with another."""
    page = browser.new_page(viewport={"width": width, "height": 300}, device_scale_factor=0.5)
    page.route("**/*", lambda route: route.abort())
    page.set_content(html)
    page.screenshot(path=path, full_page=True)
    page.close()
    shrink(path.parent, path.name, colours=16)


def shrink(folder: Path, pattern: str = "*.png", colours: int = 48) -> None:
    """Shrink pictures to a third of their bytes without a visible change, if pngquant is there."""
    pictures = sorted(map(str, folder.glob(pattern)))
    if which("pngquant"):
        # 98 and 99: a picture would not become smaller, or its quality too low.
        done = run(
            ["pngquant", "--force", "--skip-if-larger", "--ext=.png", f"{colours}", *pictures],
            check=False,
        )
        if done.returncode not in {0, 98, 99}:
            raise SystemExit(f"pngquant: exit status {done.returncode}")
    else:
        print("pngquant is not here: the pictures are larger than they need be", file=sys.stderr)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only say which pages changed")
    parser.add_argument("--pages", action="store_true", help="write pages, take no pictures")
    parser.add_argument("--after", action="store_true", help="take only the picture of 25 papers")
    parser.add_argument("--widths", action="store_true", help="take more pictures, to look at")
    options = parser.parse_args()
    states = every_state()
    if options.check:
        changed = changed_pages(states)
        for name in changed:
            print(f"docs/gallery/mails/{name} changed", file=sys.stderr)
        return 1 if changed else 0
    GALLERY.mkdir(parents=True, exist_ok=True)
    for name, content in () if options.after else pages(states):
        (GALLERY / name).write_text(content, encoding="utf-8")
    if options.pages:
        return 0
    chromium = which("chromium") or which("chromium-browser") or which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        take_whole(browser, Renderer().fit(digest_of_25()).html, 320, AFTER)
        if options.after:
            return 0
        take_pictures(browser, states, GALLERY, KEPT)
        if options.widths:
            take_pictures(browser, states, LOOKED_AT, WIDTHS)
        browser.close()
    print(f"{len(states)} mails in docs/gallery/mails/", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
