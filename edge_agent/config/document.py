"""One TOML file, read whole: its values, and its lines for messages. Limits keep a wrong file from being loaded."""

import re
import tomllib
from pathlib import Path
from typing import Any

from edge_agent.config.faults import Fault, Faults
from edge_agent.config.keys import Place
from protos.lines import Lines

FILE_BYTES_MAX = 4 << 20  # a thousand devices take 200 kB; anything far larger is no configuration
AT = re.compile(r"\(at line (\d+), column (\d+)\)")


def read_toml(file: Path, faults: Faults) -> tuple[dict[str, Any], Place] | None:
    """The file's tables and the place they stand; None, and a fault, when it cannot be read as TOML."""

    try:
        if file.stat().st_size > FILE_BYTES_MAX:
            raise Refused(0, f"is larger than {FILE_BYTES_MAX >> 20} MiB", "name the right file")
        text = text_of(file)
        return parse(text), Place(file, Lines(text), faults)
    except Refused as refused:
        faults.found.append(Fault(file, refused.line, "", "", refused.wrong, refused.remedy))
        return None
    except OSError as error:
        faults.found.append(
            Fault(file, 0, "", "", f"cannot be read: {error.strerror}", "check the name and the rights")
        )
        return None


class Refused(Exception):
    """The text cannot be read; becomes a fault of its file."""

    def __init__(self, line: int, wrong: str, remedy: str) -> None:
        super().__init__(wrong)
        self.line, self.wrong, self.remedy = line, wrong, remedy


def text_of(file: Path) -> str:
    try:
        return file.read_bytes().decode().replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise Refused(0, f"is not UTF-8 text (byte {error.start})", "save it as UTF-8") from error


def parse(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        found = AT.search(str(error))
        line = int(found[1]) if found else text.count("\n") + 1
        wrong = f"is not TOML: {AT.sub('', str(error)).strip()}"
        raise Refused(line, wrong, "mend this line (or the one before it)") from error
