"""Patterns on RE2 match what Python's own do, and take no more time for a hostile text."""

import gc
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st
from support.rules import ROOT

from service.platform import linear_regex

PATTERNS = [
    *(r"\w+", r"\W+", r"\d+", r"\s+", r"\S+", r"\D", r"[\w.-]+", r"[^\s()]+", r"[\s_-]+"),
    *(r"[^\W\d_]{2,}", r"[^\W_]+", r"[\W_]+", r"[]a]+", r"[^]a]+", r"a|b\Z", r"\\[a-z]", r"[\\\w]"),
]
ALPHABET = "aBz09_-. \t\n\x0b\x1c\x85\xa0\u2003\\]()äßé²½٣ⅷ漢\u0301\U0001d54f"


@pytest.mark.parametrize("pattern", PATTERNS)
@given(st.text(ALPHABET, max_size=30))
def test_classes_cover_the_characters_that_they_cover_in_python(pattern: str, text: str) -> None:
    ours, theirs = linear_regex.compile(pattern), re.compile(pattern)
    assert ours.findall(text) == theirs.findall(text)
    assert ours.sub("→", text) == theirs.sub("→", text)
    assert [found.span() for found in ours.finditer(text)] == [
        found.span() for found in theirs.finditer(text)
    ]


@pytest.mark.parametrize("pattern", [r"\w+", r"\s\S", r"\d"])
@given(st.text(ALPHABET, max_size=30))
def test_ascii_classes_are_those_of_python(pattern: str, text: str) -> None:
    assert linear_regex.compile(pattern, "a").findall(text) == re.findall(pattern, text, re.ASCII)


def test_the_methods_are_those_of_python() -> None:
    pattern = linear_regex.compile(r"(?P<word>b+)", "i")
    match = pattern.search("aBb", 1)
    assert match is not None
    assert (match["word"], match.span(), match.string) == ("Bb", (1, 3), "aBb")
    assert pattern.match("ab") is None
    assert pattern.match("ab", 1) is not None
    assert pattern.fullmatch("abb") is None
    assert pattern.split("abbc", 1) == ["a", "bb", "c"]
    assert pattern.sub(r"<\1>", "abc") == "a<b>c"
    assert pattern.sub("é", "abc") == "aéc"
    assert pattern.pattern.endswith("(?P<word>b+)")
    assert linear_regex.compile(linear_regex.escape("a.b")).search("axb") is None


def test_bytes_are_matched_as_bytes() -> None:
    pattern = linear_regex.compile(rb"\A(?:\xef\xbb\xbf)?<HTML\Z", "i")
    assert pattern.search(b"\xef\xbb\xbf<html") is not None
    assert linear_regex.compile(rb"\xff+").sub(b"", b"a\xff\xffb") == b"ab"


def test_a_lone_surrogate_is_no_error() -> None:
    pattern = linear_regex.compile("[^a]+")
    assert pattern.sub("-", "a\ud800a") == "a-a"
    assert pattern.findall("\udcff") == ["\ufffd"]
    assert [found.span() for found in pattern.finditer("aa\udcff")] == [(2, 3)]


@pytest.mark.parametrize("pattern", ["(?<!a)b", "a(?=b)", r"(a)\1", "a{1,1001}"])
def test_what_takes_more_than_linear_time_is_refused(pattern: str) -> None:
    with pytest.raises(re2.error):
        linear_regex.compile(pattern).search("")


def test_every_pattern_of_ours_can_be_compiled() -> None:
    for module in walk_packages([str(ROOT / "service")], "service."):
        if not module.name.endswith("__main__"):
            import_module(module.name)
    patterns = [one for one in gc.get_objects() if isinstance(one, linear_regex.LinearPattern)]
    assert len(patterns) > 50
    for pattern in patterns:
        pattern.findall(pattern.pattern[:0])


def test_a_pattern_that_would_mean_something_else_is_refused() -> None:
    with pytest.raises(ValueError, match="brackets"):
        linear_regex.compile(r"[\Wa]")
    with pytest.raises(ValueError, match="function"):
        linear_regex.compile("(a)").sub(r"é\1", "a")


@pytest.mark.timeout(60)
def test_hostile_texts_take_no_longer_than_others() -> None:
    # Python needs hours for the first, and minutes for the second.
    assert linear_regex.compile(r"(?:a+)+b").search("a" * 100_000) is None
    assert linear_regex.compile(r"(?s)<style\b.*?</style>").sub("", "<style" * 100_000)


def test_lint_refuses_re_where_text_of_strangers_is_read(tmp_path: Path) -> None:
    def check() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(ROOT / ".ci/regex_check.py")]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    (tmp_path / "service").symlink_to(ROOT / "service")
    assert (check().returncode, check().stdout) == (0, "")
    (tmp_path / "service").unlink()
    for name, line in {
        "bounces/inbound/parse.py": "import re",
        "topics/domain/lexer.py": "import re as expressions",
        "papers/sources/feed.py": "from re import compile",
        "papers/domain/tsvector.py": "x = 1",
        "cli/init.py": "import re",
    }.items():
        file = tmp_path / "service" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{line}\n")
    result = check()
    assert result.returncode == 1
    assert [line.partition(":")[0] for line in result.stdout.splitlines()] == [
        "service/bounces/inbound/parse.py",
        "service/papers/domain/tsvector.py",
        "service/papers/sources/feed.py",
        "service/topics/domain/lexer.py",
    ]
