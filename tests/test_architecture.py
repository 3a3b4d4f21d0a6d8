"""The shape of the code, kept by a test.

Who may import whom, where each third-party package lives, how long things may grow, and six habits that tell an
easy codebase from a hard one. A rule with an exception lists it here, by name.
"""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PARTS = ("protos", "edge_agent", "aggregator")
MAY_IMPORT = {"protos": {"protos"}, "edge_agent": {"edge_agent", "protos"}, "aggregator": {"aggregator", "protos"}}

# Inside a part, a file may import its own folder, these common files, and what is listed for it; only the wiring
# (agent, app, verbs) knows everything.
COMMON = {
    "edge_agent": {
        "edge_agent.cell",
        "edge_agent.files",
        "edge_agent.image",
        "edge_agent.profile",
        "edge_agent.setpoint",
        "edge_agent.snapshot",
    },
    "aggregator": {"aggregator.limits", "aggregator.stores", "aggregator.twin"},
    "protos": {"protos"},
}
KNOWS_ALL = (
    "edge_agent/agent.py",
    "edge_agent/beside.py",
    "edge_agent/field.py",
    "edge_agent/fitter.py",
    "edge_agent/helm.py",
    "edge_agent/pair.py",
    "edge_agent/actuator.py",
    "edge_agent/catalogue.py",
    "edge_agent/cycle.py",
    "edge_agent/loop.py",
    "edge_agent/plant.py",
    "edge_agent/precedence.py",
    "edge_agent/recorder.py",
    "edge_agent/supervisor.py",
    "edge_agent/thread.py",
    "edge_agent/verbs/",
    "aggregator/app.py",
    "aggregator/verbs/",
)
ALSO = {  # file or folder → further parts it may import
    "edge_agent/cli.py": {"edge_agent.screen", "edge_agent.verbs"},
    "edge_agent/rollout/proof.py": {"edge_agent.twin"},  # the child that loads a model before anyone else does
    "aggregator/cli.py": {"aggregator.screen", "aggregator.verbs"},
    "aggregator/decisions/": {"aggregator.city"},  # what may be done about the city
    "aggregator/projections/city.py": {"aggregator.city"},
    "aggregator/projections/ledger.py": {"aggregator.ledger"},
    "aggregator/config.py": {
        "aggregator.decisions",
        "aggregator.ledger",
        "aggregator.access",
        "aggregator.rollout",
    },  # whose settings it reads
    "aggregator/api/": {"aggregator.access", "aggregator.config"},  # who may; where it listens
    "aggregator/api/parts.py": {"aggregator.ingest", "aggregator.projections"},  # what lives in the server
    "aggregator/api/atlas.py": {"aggregator.city"},
    "aggregator/api/rest/ledger.py": {"aggregator.ledger"},
    "aggregator/api/rest/": {"aggregator.decisions", "aggregator.projections", "aggregator.rollout"},
    "aggregator/decisions/checkpointed.py": {"aggregator.city"},
    "aggregator/decisions/run.py": {"aggregator.city", "aggregator.domains"},  # couplings and flows are theirs
    "aggregator/decisions/scenario_file.py": {"aggregator.city", "aggregator.domains"},
    "aggregator/city/file.py": {"aggregator.domains"},  # a city is made of domains, each by its own checks
}

HOME = {  # third-party package → the only files or folders that may import it
    "ai_edge_litert": {"edge_agent/twin", "aggregator/learning"},
    "aiomqtt": {"edge_agent/sources/mqtt", "aggregator/api/ngsi/sender.py"},
    "paho": {"edge_agent/sources/mqtt", "edge_agent/verbs/simulate"},
    "apsw": {"edge_agent/buffer", "aggregator/stores"},
    "cryptography": {
        "edge_agent/sync",
        "aggregator/ledger",
        "aggregator/security",
        "aggregator/learning/signing.py",
        "protos/tls.py",
        "protos/bundle.py",
        "protos/note.py",
    },
    "flatbuffers": {"aggregator/learning"},
    "grpc": {"edge_agent/sync", "edge_agent/local", "aggregator/ingest", "aggregator/security"},
    "pyarrow": {"edge_agent/verbs/buffer", "aggregator/verbs/export"},
    "pymodbus": {"edge_agent/verbs/simulate", "edge_agent/local"},
    "rich": {"edge_agent/screen.py", "aggregator/screen.py"},
    "anyio": {"aggregator/api"},
    "argon2": {"aggregator/access"},
    "authlib": {"aggregator/access/oidc.py"},
    "joserfc": {"aggregator/access/oidc.py"},
    "httpx": {"aggregator/access", "aggregator/api/ngsi/sender.py"},
    "msgspec": {"aggregator/api", "aggregator/stores"},
    "shapely": {"aggregator/api/ngsi"},
    "starlette": {"aggregator/api"},
    "uvicorn": {"aggregator/api/server.py", "aggregator/api/ngsi/alone.py"},
    "serial": {"edge_agent/sources/modbus"},
    "highspy": {"aggregator/domains", "aggregator/decisions"},
    "matplotlib": {"aggregator/verbs", "aggregator/learning/report.py"},
    "numba": {"aggregator/twin/kernel.py"},
    "power_grid_model": {"aggregator/domains/energy"},
    "pyvrp": {"aggregator/domains/services"},
    "wntr": {"aggregator/domains/services"},
    "scipy": {
        "aggregator/city/coupling.py",
        "aggregator/twin",
        "aggregator/domains",
        "aggregator/decisions",
        "aggregator/learning",
    },
    "torch": {"aggregator/learning/network.py", "aggregator/learning/training.py"},
    "zstandard": {"protos/batch", "aggregator/stores"},
}
LINES_MAX = {"file": 400, "class": 250, "function": 60}
MAY_CATCH_ALL = {"edge_agent/supervisor.py", "aggregator/app.py"}  # the two supervisors
MAY_THREAD = {
    "aggregator/api/ngsi/broker.py",
    "edge_agent/buffer/writer.py",
    "edge_agent/thread.py",
    "aggregator/stores/log.py",
}
GENERATED = ("_pb2.py", "_pb2_grpc.py")

FILES = sorted(p for part in PARTS for p in (ROOT / part).rglob("*.py") if not p.name.endswith(GENERATED))
EVERY = pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def imported(tree: ast.Module) -> Iterator[str]:
    """Every module that is imported anywhere in the file, late imports too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module or ""


def imported_at_start(tree: ast.Module) -> Iterator[str]:
    """The modules that loading the file loads, what an import cycle is made of; also `package.name` for each name."""
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from imported(ast.Module([node], []))
        if isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def within(name: str, places: set[str] | tuple[str, ...]) -> bool:
    return any(name == place or name.startswith(place.removesuffix(".py")) for place in places)


def catches_all(node: ast.AST) -> bool:
    """Whether `node` is a handler for any exception that never raises again."""
    return (
        isinstance(node, ast.ExceptHandler)
        and (node.type is None or getattr(node.type, "id", "") in {"Exception", "BaseException"})
        and not any(isinstance(inner, ast.Raise) for inner in ast.walk(node))
    )


def polls(node: ast.AST) -> bool:
    """Whether `node` is a while-loop that passes the time with a bare sleep (sleep(0) only lets others run)."""
    return isinstance(node, ast.While) and any(
        isinstance(call, ast.Call)
        and ast.unparse(call.func) in {"time.sleep", "sleep", "asyncio.sleep"}
        and ast.unparse(call.args[0]) != "0"
        for call in ast.walk(node)
    )


def import_faults(name: str, modules: set[str]) -> Iterator[str]:
    part = name.split("/")[0]
    own = ".".join(name.split("/")[:2]).removesuffix(".py")
    allowed = COMMON[part] | {own, "protos"}
    allowed |= {module for place, modules in ALSO.items() if within(name, (place,)) for module in modules}
    for module in sorted(modules):
        top = module.split(".")[0]
        if top in PARTS and top not in MAY_IMPORT[part]:
            yield f"{part} may not import {module}"
        elif (
            top == part
            and module != part
            and not within(name, KNOWS_ALL)
            and not any(module == one or module.startswith(one + ".") for one in allowed)
        ):
            yield f"may not import {module}: only the wiring knows other parts"
        if top in HOME and not within(name, HOME[top]):
            yield f"{top} has its home in {', '.join(sorted(HOME[top]))}"


def definition_faults(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> Iterator[str]:
    kind = "class" if isinstance(node, ast.ClassDef) else "function"
    lines = (node.end_lineno or node.lineno) - node.lineno + 1
    if lines > LINES_MAX[kind]:
        yield f"line {node.lineno}: {kind} {node.name} has {lines} lines"
    if not isinstance(node, ast.ClassDef) and node.returns is None:
        yield f"line {node.lineno}: {node.name} does not say what it returns"
    if isinstance(node, ast.ClassDef) and node.name.endswith(("Manager", "Helper", "Util", "Utils", "Base", "Data")):
        yield f"line {node.lineno}: the name {node.name} says nothing"


def faults(path: Path) -> Iterator[str]:
    name, tree = name_of(path), tree_of(path)
    modules = set(imported(tree))
    yield from import_faults(name, modules)
    if modules & {"threading", "concurrent.futures"} and name not in MAY_THREAD:
        yield "threads outside the list"
    if (lines := path.read_text().count("\n")) > LINES_MAX["file"]:
        yield f"file has {lines} lines"
    if tree.body and not ast.get_docstring(tree) and path.read_text().strip():
        yield "no docstring says what the file is"
    for node in ast.walk(tree):
        at = f"line {getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from definition_faults(node)
        if catches_all(node) and name not in MAY_CATCH_ALL:
            yield f"{at}: swallows every exception"
        if isinstance(node, ast.Global):
            yield f"{at}: global {node.names}"
        if polls(node):
            yield f"{at}: polls with sleep; wait for an event or a deadline"


@EVERY
def test_shape(path: Path) -> None:
    assert not list(faults(path))


def test_no_import_cycles() -> None:
    modules = {name_of(p).removesuffix(".py").removesuffix("/__init__").replace("/", "."): p for p in FILES}
    edges = {}
    for name, path in modules.items():
        found = {m for m in imported_at_start(tree_of(path)) if m in modules} - {name}
        edges[name] = {m for m in found if not name.startswith(m + ".")}  # its own package is loaded already
    while ends := [n for n, to in edges.items() if not to & edges.keys() or not any(n in t for t in edges.values())]:
        for name in ends:  # neither what imports nothing left nor what nothing left imports lies on a cycle
            del edges[name]
    assert not edges, f"cycle among {sorted(edges)}"


def test_top_level_is_fixed() -> None:
    allowed = {*PARTS, "pyproject.toml", "README.md", "firmware_configs", "tests", "deploy", "Makefile", "LICENSE"}
    made = {"build", "dist", "citytwin.egg-info"}  # by tools, ignored by git
    assert {p.name for p in ROOT.iterdir() if not p.name.startswith(".")} <= allowed | made


def test_the_rules_can_fail() -> None:
    """Negative control: a file that breaks each rule is told off for each."""
    bad = ast.parse("while True:\n    time.sleep(1)\ntry:\n    pass\nexcept Exception:\n    pass\n")
    assert any(polls(node) for node in ast.walk(bad))
    assert any(catches_all(node) for node in ast.walk(bad))
    assert list(import_faults("edge_agent/image.py", {"aggregator.app", "edge_agent.sync.stream", "pymodbus"}))
    assert not list(import_faults("edge_agent/agent.py", {"edge_agent.sync.stream", "protos.batch"}))
