"""What mkdocs is told about this project: pages outside docs/ belong to the site, too.

The documents link to each other as files of the repository, where people read them first. On the site
docs/ is the root, so a link is resolved as the repository's path, and written again for the site. A
link to a file that is no page, such as the licence, becomes plain text.
"""

# ruff: noqa: INP001
# INP001: a script beside CI's own, not a package.

import re
from pathlib import Path
from posixpath import dirname, join, normpath, relpath
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
OUTSIDE = (
    *(page.name for page in sorted(ROOT.glob("*.md"))),
    "bench/README.md",
    "tests/support/README.md",
)
_LINK = re.compile(
    r"(!?)\[((?:[^\[\]]|!\[[^\]]*\]\([^)]*\))*)\]\((?!\w+:|#)([^)#\s]+)(#[^)\s]*)?\)"
)
_FENCE = re.compile(r"(^```.*?^```)", re.MULTILINE | re.DOTALL)


def on_files(files: Any, config: Any) -> Any:
    """Add the pages outside docs/ at their paths in the repository."""
    # Imported here: the hook runs in the environment of mkdocs, the checks of this file do not.
    from mkdocs.structure.files import File

    for path in OUTSIDE:
        files.append(File.generated(config, path, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Return a page whose links lead to the same files on the site."""
    own = page.file.src_uri
    parts = _FENCE.split(markdown)
    return "".join(part if _FENCE.match(part) else with_site_links(part, own) for part in parts)


def with_site_links(markdown: str, own: str) -> str:
    """Return Markdown with the links of the page `own`, a path of the site, resolved for the site."""
    here = dirname(own if own in OUTSIDE else join("docs", own))

    def rewrite(found: re.Match[str]) -> str:
        mark, text, path, fragment = found.groups()
        text = _LINK.sub(rewrite, text)
        target = normpath(join(here, path))
        if target.startswith("docs/"):
            target = target.removeprefix("docs/")
        elif target not in OUTSIDE:
            return str(text)
        return f"{mark}[{text}]({relpath(target, dirname(own) or '.')}{fragment or ''})"

    return _LINK.sub(rewrite, markdown)
