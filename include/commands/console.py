"""What commands share on a terminal: JSON out, progress on standard error."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer

from include.ports import Progress


def print_json(document: Any) -> None:
    """One document on standard output."""
    typer.echo(json.dumps(document, allow_nan=False))


@contextmanager
def progress_bar(title: str) -> Iterator[Progress]:
    """A progress bar on standard error; silent when that is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Bar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=1.0)
        yield lambda done, message: bar.update(task, completed=done, description=f"{title}: {message}")
