"""All @contexts that may be named: the core, those shipped beside this file, an operator's, and those hosted here.

Nothing is ever downloaded. A URL is looked for in this order: the core by its URL; what clients host at this broker;
the operator's folder (`contexts_dir`), by its index.json (URL → file) or as host/path below it; the shipped ones, whose
index.json says the same and whence their terms were taken. What is nowhere raises LdContextNotAvailable.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aggregator.api.ngsi import core
from aggregator.api.ngsi.context import KEYWORDS, Context
from aggregator.api.ngsi.errors import BadRequest, LdContextNotAvailable
from aggregator.api.ngsi.words import VOCAB, Json

SHIPPED = Path(__file__).parent / "vocabularies"
DEEP_MAX = 8  # contexts that name contexts
URLS_MAX = 32  # named by one request
TERMS_MAX = 20_000
BYTES_MAX = 4 << 20  # of one file
KEPT_MAX = 1_000  # made contexts; strangers may send endless inline ones


class Contexts:
    """Not for threads."""

    def __init__(
        self,
        folder: Path | None = None,
        hosted: Callable[[str], Any] = lambda url: None,
        used: Callable[[str], None] = lambda url: None,
    ) -> None:
        """`hosted(url)`: the document that clients put here, or nothing. `used(url)` is told of every one named."""
        self._hosted, self._used = hosted, used
        self._folders = [one for one in (folder, SHIPPED) if one is not None]
        self._index: dict[str, Path] = {}
        for one in reversed(self._folders):
            self._index |= index(one)
        self._made: dict[str, Context] = {}
        self._files: dict[Path, Any] = {}
        self.core = self.of([])

    def of(self, given: Any) -> Context:
        """The context of a Link header or of a body's "@context". Raises BadRequest, LdContextNotAvailable."""
        sources = given if isinstance(given, list) else [given]
        sources = [one for one in sources if not (isinstance(one, str) and core.is_core(one))]
        named_core = len(sources) < (len(given) if isinstance(given, list) else 1)
        key = json.dumps(sources, sort_keys=True) + str(named_core)
        for url in sources:
            if isinstance(url, str):
                self._used(url)
        if key not in self._made:
            if len(self._made) >= KEPT_MAX:
                self._made.clear()
            self._made[key] = self._make(sources, given if isinstance(given, list) else [given], named_core)
        return self._made[key]

    def forget(self) -> None:
        """After hosted contexts have changed."""
        self._made.clear()

    def document(self, url: str) -> Any:
        """Raises LdContextNotAvailable."""
        if core.is_core(url):
            return core.document()
        found = self._hosted(url)
        path = None if found is not None else self._index.get(url) or self._mirrored(url)
        if found is None and path is None:
            raise LdContextNotAvailable(
                f"{url}: no such @context here, and none is downloaded; put the file into contexts_dir"
                " (index.json: URL to file), or host it: POST /jsonldContexts"
            )
        if path is not None and path not in self._files:
            self._files[path] = read(path)
        return found if path is None else self._files[path]

    def has(self, url: str) -> bool:
        return core.is_core(url) or url in self._index or self._mirrored(url) is not None

    def reread(self, url: str) -> None:
        """Take a file anew. Raises LdContextNotAvailable."""
        self._files.clear()
        self._made.clear()
        self.document(url)

    def _mirrored(self, url: str) -> Path | None:
        parts = urlsplit(url)
        place = f"{parts.netloc}{parts.path}".strip("/")
        for folder in self._folders:
            path = (folder / place).resolve()
            if place and path.is_relative_to(folder.resolve()) and path.is_file():
                return path
        return None

    def _make(self, sources: list[Any], told: list[Any], named_core: bool) -> Context:
        gathering = Gathering(self)
        for one in sources:
            gathering.take(one, 0)
        gathering.terms |= core.TERMS  # the core has the last word
        knows = named_core or gathering.core
        source = tuple(told) if sources else ()
        return Context(gathering.terms, source, frozenset(gathering.coerced), VOCAB, knows_core=knows)


class Gathering:
    """The terms of one list of sources, in their order: later ones win."""

    def __init__(self, library: Contexts) -> None:
        self.library = library
        self.terms: dict[str, str] = dict(core.TERMS)
        self.coerced: set[str] = set()
        self.core = False
        self._urls = 0

    def take(self, source: Any, depth: int) -> None:
        if depth > DEEP_MAX:
            raise BadRequest(f"@context: deeper than {DEEP_MAX} levels; name the last ones only")
        if isinstance(source, str):
            self._take_url(source, depth)
        elif isinstance(source, list):
            for one in source:
                self.take(one, depth + 1)
        elif isinstance(source, dict):
            self._take_terms(source)
        elif source is not None:
            raise BadRequest(f"@context: {source!r} is no URL, no object and no array of them")

    def _take_url(self, url: str, depth: int) -> None:
        self._urls += 1
        if self._urls > URLS_MAX:
            raise BadRequest(f"@context: more than {URLS_MAX} URLs; name fewer")
        if core.is_core(url):
            self.core = True
            return
        if ":" not in url:
            raise BadRequest(f"@context: {url!r} is no URL")
        content = self.library.document(url)
        if not isinstance(content, dict) or "@context" not in content:
            raise BadRequest(f"{url}: no @context in it")
        self.take(content["@context"], depth + 1)

    def _take_terms(self, terms: Json) -> None:
        if "@context" in terms and len(terms) == 1:
            self.take(terms["@context"], 1)
            return
        for name, given in terms.items():
            if name.startswith("@"):
                continue
            uri, kind = (given.get("@id"), given.get("@type")) if isinstance(given, dict) else (given, None)
            if uri is None:
                uri = self._uri(name, terms, 0) if ":" in name else VOCAB + name
            if not isinstance(uri, str):
                raise BadRequest(f"@context: {name}: {given!r} is no URI and no definition of a term")
            self.terms[name] = self._uri(uri, terms, 0)
            if kind in ("@vocab", "@id"):
                self.coerced.add(name)
        if len(self.terms) > TERMS_MAX:
            raise BadRequest(f"@context: {len(self.terms)} terms, at most {TERMS_MAX}")

    def _uri(self, uri: str, beside: Mapping[str, Any], depth: int) -> str:
        """What a definition means: its prefix may be defined beside it, before or after."""
        if uri in KEYWORDS or depth > DEEP_MAX:
            return uri
        prefix, colon, rest = uri.partition(":")
        if not colon:
            known = beside.get(uri, self.terms.get(uri))
            given = known.get("@id") if isinstance(known, dict) else known
            return self._uri(given, beside, depth + 1) if isinstance(given, str) and given != uri else VOCAB + uri
        if rest.startswith("//"):
            return uri
        known = beside.get(prefix, self.terms.get(prefix))
        given = known.get("@id") if isinstance(known, dict) else known
        return self._uri(given, beside, depth + 1) + rest if isinstance(given, str) else uri


def index(folder: Path) -> dict[str, Path]:
    """URL → file, as the folder's index.json says. Raises LdContextNotAvailable for one that cannot be read."""
    path = folder / "index.json"
    if not path.exists():
        return {}
    content = read(path)
    entries = content.get("contexts", content) if isinstance(content, dict) else None
    if not isinstance(entries, dict):
        raise LdContextNotAvailable(f"{path}: write an object of URLs and file names")
    return {url: folder / (one["file"] if isinstance(one, dict) else one) for url, one in entries.items()}


def read(path: Path) -> Any:
    """Raises LdContextNotAvailable."""
    try:
        if path.stat().st_size > BYTES_MAX:
            raise LdContextNotAvailable(f"{path}: larger than {BYTES_MAX >> 20} MiB")
        return json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise LdContextNotAvailable(f"{path}: {error}") from error
