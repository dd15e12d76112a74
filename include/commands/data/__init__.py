"""`airlock data`: fill the lake, look into it, judge what it holds.

With `--json` one document goes to standard output and nothing else; progress and messages always go to standard error.
"""

from __future__ import annotations

import typer

from include.commands.data import exporting, gating, importing, looking, repairing

app = typer.Typer(help="Bars: bring them into the lake, look at them, judge, export, repair.", no_args_is_help=True)
for module in (importing, exporting, gating, looking, repairing):
    app.registered_commands.extend(module.app.registered_commands)
