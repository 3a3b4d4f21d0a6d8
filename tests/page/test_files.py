"""The page's files: vendored libraries are what they were, words are the same in every language, files stay small."""

import hashlib
import re
from pathlib import Path

import pytest

import aggregator.page
from tests.test_architecture import LINES_MAX

PAGE = Path(aggregator.page.__file__).parent
OWN = sorted(
    path for path in PAGE.rglob("*.*") if "vendor" not in path.parts and path.suffix in (".js", ".css", ".html")
)
KEY = re.compile(r'"([^"]+)": "((?:[^"\\]|\\.)*)"')
USED = re.compile(r'\bt\("([\w.-]+)"')
HOLE = re.compile(r"\{(\w+)\}")


def words(language: str) -> dict[str, str]:
    return dict(KEY.findall((PAGE / "words" / f"{language}.js").read_text()))


def test_vendored_libraries_are_what_they_were() -> None:
    listed = dict(line.split()[::-1] for line in (PAGE / "vendor" / "SHA256SUMS").read_text().splitlines())
    there = {str(path.relative_to(PAGE / "vendor")): path for path in (PAGE / "vendor").glob("*/*")}
    assert listed.keys() == there.keys()
    assert {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in there.items()} == listed
    assert {name.partition("/")[0] for name in listed} == {
        name.partition("/")[0] for name in listed if "LICENSE" in name
    }, "each comes with its licence"


def test_both_languages_say_the_same() -> None:
    english, chinese = words("en"), words("zh")
    assert english.keys() == chinese.keys()
    assert not [key for key in english if set(HOLE.findall(english[key])) != set(HOLE.findall(chinese[key]))]
    assert all(english.values())
    assert all(chinese.values())


def test_every_word_that_is_used_is_there() -> None:
    used = {key for path in OWN if path.suffix == ".js" for key in USED.findall(path.read_text())}
    assert used
    assert not used - words("en").keys()


@pytest.mark.parametrize("path", OWN, ids=lambda path: str(path.relative_to(PAGE)))
def test_shape(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= LINES_MAX["file"]
    assert "innerHTML" not in text, "nothing is written as HTML text"
    assert "eval(" not in text
    if path.suffix == ".html":
        assert not re.search(r"<script(?![^>]*src=)|\son\w+=|style=", text), "no inline script or style"
    if path.suffix in (".js", ".css"):
        assert text.startswith(("//", "/*")), "its first line says what it is"
