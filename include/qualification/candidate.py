"""Candidate: strategy code, parameters, symbols, timeframe and models, addressed by their content."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import Field, ValidationError, field_validator

from include.domain.errors import ConfigurationError
from include.domain.ids import digest
from include.domain.instruments import MAX_LEVERAGE, symbol_id
from include.domain.times import Timeframe
from include.qualification.profile import Document, load_yaml, one_line


class CandidateDocument(Document):
    """A candidate file. `owner` is who may not sign off his own work."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    strategy: Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")]
    """`module:Class`; the module may live outside the project, anywhere on the Python path."""
    params: dict[str, bool | int | float | str] = {}
    symbols: Annotated[list[str], Field(min_length=1)]
    timeframe: str
    venue: str
    owner: str = ""
    model_digests: dict[str, str] = {}
    leverage: Annotated[int, Field(ge=1, le=MAX_LEVERAGE)] = 1
    """What the account is set to for each symbol; entries and their liquidation follow from it."""

    @field_validator("timeframe")
    @classmethod
    def _timeframe_parses(cls, value: str) -> str:
        try:
            return str(Timeframe.parse(value))
        except ConfigurationError as error:
            raise ValueError(str(error)) from None

    @field_validator("symbols")
    @classmethod
    def _symbols_differ(cls, value: list[str]) -> list[str]:
        if len({symbol_id(symbol) for symbol in value}) != len(value):
            raise ValueError("symbols must not repeat")
        return value


@dataclass(frozen=True, slots=True)
class Candidate:
    """Immutable and content-addressed: change anything that trades and it is another candidate.

    `name`, `venue` and `owner` describe; they are not part of the id, so renaming a file voids nothing.
    """

    name: str
    strategy: str
    params: Mapping[str, Any]
    symbols: tuple[str, ...]
    timeframe: Timeframe
    venue: str
    owner: str
    source_digest: str
    model_digests: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    leverage: int = 1

    def document(self) -> dict[str, Any]:
        """Plain JSON form with the id; enough to rebuild the candidate."""
        return {**self.identity(), "id": self.id, "name": self.name, "venue": self.venue, "owner": self.owner}

    def identity(self) -> dict[str, Any]:
        """What the id covers. Leverage 1 is left out: candidates from before it existed keep their ids."""
        leverage = {} if self.leverage == 1 else {"leverage": self.leverage}
        return {
            "strategy": self.strategy,
            "source_digest": self.source_digest,
            "params": dict(self.params),
            "symbols": list(self.symbols),
            "timeframe": str(self.timeframe),
            "model_digests": dict(self.model_digests),
            **leverage,
        }

    @property
    def id(self) -> str:
        """SHA-256 of the canonical JSON of the identity, 64 hex digits."""
        return digest(self.identity())


def load_candidate(path: Path) -> Candidate:
    """Read a candidate file and digest the strategy's source as it is on disk now.

    Raises:
        ConfigurationError: file, key and reason in one line; also when the strategy's module is not found.
    """
    try:
        document = CandidateDocument.model_validate(load_yaml(path))
    except ValidationError as error:
        unknown = any(item["type"] == "extra_forbidden" for item in error.errors())
        keys = f" (keys are {', '.join(CandidateDocument.model_fields)})" if unknown else ""
        raise ConfigurationError(one_line(error, str(path)) + keys) from None
    module = document.strategy.split(":")[0]
    try:
        source = source_digest(module)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: strategy: {error}") from None
    return Candidate(
        document.name, document.strategy, MappingProxyType(dict(document.params)), tuple(document.symbols),
        Timeframe.parse(document.timeframe), document.venue, document.owner, source,
        MappingProxyType(dict(document.model_digests)), document.leverage,
    )  # fmt: skip


def rebuild_candidate(document: Mapping[str, Any]) -> Candidate:
    """Candidate from its stored document, source digest as recorded then (not re-read from disk).

    Raises:
        ConfigurationError: the stored id does not match the content.
    """
    candidate = Candidate(
        document["name"], document["strategy"], MappingProxyType(dict(document["params"])),
        tuple(document["symbols"]), Timeframe.parse(document["timeframe"]), document["venue"], document["owner"],
        document["source_digest"], MappingProxyType(dict(document["model_digests"])), document.get("leverage", 1),
    )  # fmt: skip
    if candidate.id != document["id"]:
        raise ConfigurationError(f"candidate {document['name']}: stored id {document['id'][:12]} is not its content's")
    return candidate


def source_digest(module: str) -> str:
    """SHA-256 over a strategy's module and every module of its own package that it imports, transitively.

    Read from disk without importing, so the digest is of the code that would run next. The package is the
    module's parent for built-ins (`include.strategies`) and the top-level package for a user's own.

    Raises:
        ConfigurationError: the module cannot be found or is not Python source.
    """
    home = "include.strategies" if module.startswith("include.strategies") else module.split(".", maxsplit=1)[0]
    sources: dict[str, bytes] = {}
    queue = [module]
    while queue:
        name = queue.pop()
        if name in sources:
            continue
        sources[name] = path_bytes = _module_path(name).read_bytes()
        queue += [n for n in _imports(path_bytes, name) if n.split(".")[: len(home.split("."))] == home.split(".")]
    hasher = hashlib.sha256()
    for name in sorted(sources):
        hasher.update(name.encode() + b"\0" + hashlib.sha256(sources[name]).digest())
    return hasher.hexdigest()


def _module_path(module: str) -> Path:
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        spec = None
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        raise ConfigurationError(f"module {module!r} is not found on the Python path; check the name or PYTHONPATH")
    return Path(spec.origin)


def _imports(source: bytes, module: str) -> set[str]:
    """Modules that `source` imports and that exist; `from package import name` counts when name is a module."""
    found: set[str] = set()
    package = module.rsplit(".", 1)[0] if "." in module else module
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        raise ConfigurationError(f"module {module!r} is not valid Python (line {error.lineno})") from None
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = package.split(".")
                base = ".".join([*parts[: len(parts) - node.level + 1], *([base] if base else [])])
            for name in [base, *(f"{base}.{alias.name}" for alias in node.names)]:
                found.add(name)
    return {name for name in found if _exists(name)}


def _exists(name: str) -> bool:
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return False
    return spec is not None and spec.origin is not None and spec.origin.endswith(".py")
