"""The generated code is what the generator makes of the .proto files today."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

PROTOS = Path(__file__).parents[2] / "protos"
SOURCES = sorted(path.name for path in PROTOS.glob("*.proto"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything, generated anew by the command of `make protos`."""
    folder = tmp_path_factory.mktemp("generated")
    out = [f"--{kind}_out={folder}" for kind in ("python", "pyi", "grpc_python")]
    files = [f"protos/{name}" for name in SOURCES]
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", "-I", ".", *out, *files], cwd=PROTOS.parent, check=True)
    return folder / "protos"


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("kind", ["_pb2.py", "_pb2.pyi", "_pb2_grpc.py"])
def test_fresh(made: Path, name: str, kind: str) -> None:
    file = name.replace(".proto", kind)
    assert (made / file).read_text() == (PROTOS / file).read_text(), f"{file} is stale: make protos"


@pytest.mark.parametrize("name", SOURCES)
def test_the_runtime_that_is_pinned_takes_it(name: str) -> None:
    """grpc's and protobuf's own checks of the generator's version run on import."""
    for kind in ("_pb2", "_pb2_grpc"):
        importlib.import_module("protos." + name.replace(".proto", kind))


def test_parts_of_the_gateway_are_fresh(tmp_path: Path) -> None:
    """A convention of one source has its own .proto beside it: messages only, no services."""
    found = sorted(path.relative_to(PROTOS.parent) for path in PROTOS.parent.glob("edge_agent/**/*.proto"))
    out = [f"--{kind}_out={tmp_path}" for kind in ("python", "pyi")]
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", "-I", ".", *out, *found], cwd=PROTOS.parent, check=True)
    for path in found:
        for kind in ("_pb2.py", "_pb2.pyi"):
            file = path.with_name(path.stem + kind)
            assert (tmp_path / file).read_text() == (PROTOS.parent / file).read_text(), f"{file} is stale: make protos"


def test_nothing_is_left_of_a_removed_file() -> None:
    generated = {path.name.split("_pb2")[0] for path in PROTOS.glob("*_pb2*")}
    assert generated == {name.removesuffix(".proto") for name in SOURCES}
