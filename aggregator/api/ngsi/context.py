"""A JSON-LD @context as NGSI-LD needs it (5.5.5, 5.5.7): names to URIs and back.

Only names are expanded: of types, Attributes, and the words of VocabProperties. Values stay as they were given. So a
context is two dictionaries, made once per list of sources and kept; expanding an entity costs one look-up a name, where
a general processor (PyLD, which the tests compare with) walks and rebuilds the document, some hundred times slower.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from aggregator.api.ngsi.errors import BadRequest
from aggregator.api.ngsi.words import CORE, VOCAB, is_name

KEYWORDS = {"@id", "@type", "@value", "@json", "@vocab", "@none", "@graph", "@language", "@list", "@set", "@nest"}
ENDS = (":", "/", "?", "#", "[", "]", "@")  # of a URI that may be a prefix (JSON-LD 1.1, 4.1.5)


@dataclass(frozen=True, eq=False)
class Context:
    """`terms`: name → URI. `source`: what it was made from, as it is told to clients."""

    terms: Mapping[str, str]
    source: tuple[Any, ...] = ()  # of URLs and inline objects, without the core's
    coerced: frozenset[str] = frozenset()  # names whose values are words or URIs ("@type": "@vocab" or "@id")
    vocab: str = VOCAB
    knows_core: bool = False  # whether the core context is named somewhere in its sources
    _expanded: dict[str, str] = field(default_factory=dict)

    @cached_property
    def _names(self) -> Mapping[str, str]:
        """URI → the shortest name, the first in the alphabet of equals."""
        names: dict[str, str] = {}
        for name, uri in sorted(self.terms.items(), key=lambda item: (len(item[0]), item[0])):
            if not uri.startswith("@"):
                names.setdefault(uri, name)
        return names

    @cached_property
    def _prefixes(self) -> list[tuple[str, str]]:
        found = [(uri, name) for name, uri in self.terms.items() if uri.endswith(ENDS) and ":" not in name]
        return sorted(found, key=lambda one: (-len(one[0]), one[1]))

    def expand(self, name: str, what: str = "name") -> str:
        """The URI of a name. Raises BadRequest for what is no name."""
        if (known := self._expanded.get(name)) is not None:
            return known
        if not is_name(name):
            raise BadRequest(f"{what} {name!r}: write letters, digits and _, the first a letter; or a URI")
        uri = self.terms.get(name)
        if uri is None or uri in KEYWORDS:
            prefix, colon, rest = name.partition(":")
            if colon and not rest.startswith("//") and prefix in self.terms:
                uri = self.terms[prefix] + rest
            else:
                uri = name if colon else self.vocab + name
        if len(self._expanded) < 100_000:  # strangers may send endless names
            self._expanded[name] = uri
        return uri

    def compact(self, uri: str) -> str:
        """The name of a URI: a term, what follows the vocabulary, prefix:rest, or the URI itself."""
        if (name := self._names.get(uri)) is not None:
            return name
        if uri.startswith(self.vocab):
            rest = uri[len(self.vocab) :]
            if rest and ":" not in rest and rest not in self.terms:
                return rest
        for start, prefix in self._prefixes:
            if uri.startswith(start) and len(uri) > len(start):
                return f"{prefix}:{uri[len(start) :]}"
        return uri

    def told(self) -> list[Any]:
        """As it stands in a body: what the client named, and the core context unless that names it itself."""
        return list(self.source) if self.knows_core and self.source else [*self.source, CORE]

    @property
    def link(self) -> str:
        """The one URL for a Link header; the core's where the client named none."""
        return next((one for one in self.source if isinstance(one, str)), CORE)
