"""A user's own strategy to start from: a package with a few lines of code, a candidate file and a test."""

from __future__ import annotations

import importlib.util
import keyword
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from include.config.files import CONFIG
from include.domain.errors import ConfigurationError

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_OURS = ("include", "plugins", "dags", "tests")
_FILES = ("strategy.py", "candidate.yaml", "test_strategy.py")


@dataclass(frozen=True, slots=True)
class Scaffold:
    """What a new strategy is about.

    Attributes:
        name: of the candidate, words in lower case with dashes; the package has underscores, the class capitals.
    """

    name: str
    symbols: tuple[str, ...]
    timeframe: str
    venue: str
    owner: str

    @property
    def package(self) -> str:
        return self.name.replace("-", "_")

    @property
    def class_name(self) -> str:
        return "".join(word.capitalize() for word in self.name.split("-"))


def write_scaffold(scaffold: Scaffold, folder: Path) -> Path:
    """Write the package below `folder`, whole or not at all; returns its directory.

    Raises:
        ConfigurationError: a name that is no package name, one that is taken, or a folder that cannot be written.
    """
    package = scaffold.package
    if not _NAME.fullmatch(scaffold.name) or keyword.iskeyword(package):
        raise ConfigurationError(
            f"name {scaffold.name!r}: use lower-case words with dashes and no word of Python, for example my-breakout"
        )
    target, draft = folder / package, folder / f".{package}.part"
    if target.exists():
        raise ConfigurationError(f"{target}: is there already; choose another name or remove it")
    if package in _OURS or importlib.util.find_spec(package) is not None:
        raise ConfigurationError(f"name {scaffold.name!r}: there is a module {package!r} already; take another name")
    templates = Environment(
        loader=FileSystemLoader(CONFIG / "scaffold"), undefined=StrictUndefined, keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - Python and YAML of our own, no HTML
    )  # fmt: skip
    values = {
        "name": scaffold.name, "package": package, "class_name": scaffold.class_name, "owner": scaffold.owner,
        "title": scaffold.name.replace("-", " ").capitalize(), "symbols": ", ".join(scaffold.symbols),
        "timeframe": scaffold.timeframe, "venue": scaffold.venue,
    }  # fmt: skip
    try:
        draft.mkdir(parents=True)
        (draft / "__init__.py").touch()
        for name in _FILES:
            (draft / name).write_text(templates.get_template(f"{name}.j2").render(values), encoding="utf-8")
        draft.rename(target)
    except OSError as error:
        raise ConfigurationError(f"{folder}: cannot be written ({error.strerror or error})") from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return target
