"""`airlock data`: fill the lake, look into it, judge what it holds.

With `--json` one document goes to standard output and nothing else; progress and messages always go to standard error.
"""

from __future__ import annotations

import typer

from include.commands.data import gating, importing, looking

app = typer.Typer(help="Market data: import, list, show and judge it.", no_args_is_help=True)
for module in (importing, gating, looking):
    app.registered_commands.extend(module.app.registered_commands)
