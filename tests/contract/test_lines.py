"""The line of each key, against texts whose lines are known by construction."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protos.lines import Lines

TEXT = '''# a comment with [brackets] and "quotes"
top = 1
dotted.key = "x = y # not a comment"

[one]   # header
a = [1,
  2, { deep = "}" },
]
"quoted.name" = """
[not.a.header]
b = 3 \\""" still
"""
literal = \'\'\'C:\\[x]\'\'\'

[[many]]
name = "first"
[many.sub]
k = 1
[[many]]
name = 'second'
inline = { x = 1, y = [ { z = 2 } ] }
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("top",), 2),
        (("dotted", "key"), 3),
        (("one",), 5),
        (("one", "a"), 6),
        (("one", "a", 1), 7),
        (("one", "a", 2, "deep"), 7),
        (("one", "quoted.name"), 9),
        (("one", "literal"), 13),
        (("many", 0, "name"), 16),
        (("many", 0, "sub", "k"), 18),
        (("many", 1), 19),
        (("many", 1, "name"), 20),
        (("many", 1, "inline", "y", 0, "z"), 21),
        (("many", 1, "nowhere"), 19),  # the nearest parent
        (("nowhere",), 1),
    ],
)
def test_known_places(path: tuple[str | int, ...], line: int) -> None:
    tomllib.loads(TEXT)
    assert Lines(TEXT)[path] == line


VALUES = st.sampled_from(
    ["1", "-0.5", "true", '"a # b"', "'[['", "[1, 2]", "[\n 1,\n 2\n]", "{ a = 1 }", '"""x\n[y]\n"""', "1979-05-27"]
)
STATEMENTS = st.lists(st.tuples(st.sampled_from(["key", "table", "array", "comment"]), VALUES), max_size=30)


@given(STATEMENTS)
def test_any_text(statements: list[tuple[str, str]]) -> None:
    """Every key of a generated text is found on the line where it was written."""
    lines: list[str] = []
    wanted: dict[tuple[str | int, ...], int] = {}
    prefix: tuple[str | int, ...] = ()
    arrays = 0
    for number, (kind, value) in enumerate(statements):
        here = "\n".join(lines).count("\n") + 2 if lines else 1
        if kind == "comment":
            lines.append(f"# k{number} = {value.splitlines()[0]}")
        elif kind == "key":
            lines.append(f"k{number} = {value}")
            wanted[(*prefix, f"k{number}")] = here
        elif kind == "table":
            prefix = (f"t{number}",)
            lines.append(f"[t{number}]")
            wanted[prefix] = here
        else:
            prefix = ("array", arrays)
            arrays += 1
            lines.append("[[array]]")
            wanted[prefix] = here
    text = "\n".join(lines)
    tomllib.loads(text)
    index = Lines(text)
    assert {path: index[path] for path in wanted} == wanted
