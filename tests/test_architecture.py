"""The shape of the code, kept by a test.

Who may import whom, how long things may grow, and six habits that tell an easy
codebase from a hard one.  A rule with an exception lists it here, by name.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAY_IMPORT = {  # part -> first-party parts it may import (longest prefix wins)
    "protos": {"protos"},
    "edge_agent": {"edge_agent", "protos"},
    "aggregator": {"aggregator", "protos"},
}
LINES_MAX = {"file": 400, "class": 250, "function": 60}
MAY_CATCH_ALL = {"edge_agent/agent.py", "aggregator/app.py"}  # the two supervisors
MAY_THREAD = {"edge_agent/buffer.py", "aggregator/engines/local.py"}
GENERATED = ("_pb2.py", "_pb2_grpc.py")

FILES = sorted(p for part in MAY_IMPORT for p in (ROOT / part).rglob("*.py") if not p.name.endswith(GENERATED))


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module or ""


def catches_all(node: ast.AST) -> bool:
    """Whether `node` is a handler for any exception that never raises again."""
    return (
        isinstance(node, ast.ExceptHandler)
        and (node.type is None or getattr(node.type, "id", "") in {"Exception", "BaseException"})
        and not any(isinstance(inner, ast.Raise) for inner in ast.walk(node))
    )


def polls(node: ast.AST) -> bool:
    """Whether `node` is a while-loop that passes the time with a bare sleep."""
    return isinstance(node, ast.While) and any(
        isinstance(call, ast.Call) and ast.unparse(call.func) in {"time.sleep", "sleep", "asyncio.sleep"}
        for call in ast.walk(node)
    )


def faults(path: Path) -> Iterator[str]:
    name, source = str(path.relative_to(ROOT)), path.read_text()
    tree = ast.parse(source)
    part = name.split("/")[0]
    modules = set(imported(tree))
    for module in sorted(modules):
        top = module.split(".")[0]
        if top in MAY_IMPORT and top not in MAY_IMPORT[part]:
            yield f"{part} may not import {module}"
    if "threading" in modules and name not in MAY_THREAD:
        yield "threads outside the list"
    if (lines := source.count("\n")) > LINES_MAX["file"]:
        yield f"file has {lines} lines"
    for node in ast.walk(tree):
        at = f"line {getattr(node, 'lineno', 0)}"
        kind = {ast.ClassDef: "class", ast.FunctionDef: "function", ast.AsyncFunctionDef: "function"}.get(type(node))
        if kind and node.end_lineno - node.lineno >= LINES_MAX[kind]:
            yield f"{at}: {kind} {node.name} has {node.end_lineno - node.lineno + 1} lines"
        if kind == "function" and node.returns is None:
            yield f"{at}: {node.name} does not say what it returns"
        if catches_all(node) and name not in MAY_CATCH_ALL:
            yield f"{at}: swallows every exception"
        if isinstance(node, ast.Global):
            yield f"{at}: global {node.names}"
        if polls(node):
            yield f"{at}: polls with sleep; wait for an event or a deadline"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_shape(path: Path) -> None:
    assert not list(faults(path))
