"""The command line: wires the commands together and turns expected failures into one line and an exit status.

Exit codes: 0 PASS or done, 1 FAIL, 2 usage or configuration error, 3 INCONCLUSIVE or ERROR.
Commands import what they need when they run, so `airlock --help` answers at once.
"""

from __future__ import annotations

import sys

import typer

from include.commands import (
    alerts,
    audit,
    data,
    database,
    deploy,
    exchange,
    new,
    node,
    qualify,
    report,
    stack,
    trading,
    venue,
)
from include.domain.errors import AirlockError

app = typer.Typer(
    name="airlock",
    help="Takes a trading strategy from a backtest to production money, one gate at a time.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode="rich",
)
app.add_typer(data.app, name="data")
app.add_typer(report.app, name="report")
app.add_typer(audit.app, name="audit")
app.add_typer(alerts.app, name="alerts")
app.add_typer(venue.app, name="venue")


@app.callback()
def prepare() -> None:
    """Takes a trading strategy from a backtest to production money, one gate at a time."""
    from include.config.settings import load_settings

    folder = str(load_settings().strategies_root)
    if folder not in sys.path:
        sys.path.append(folder)  # last, so that nothing of a user's own hides a module of ours


for module in (qualify, new, deploy, exchange, node, trading, stack, database):
    app.registered_commands.extend(module.app.registered_commands)


def main() -> None:
    """Entry point of the `airlock` script."""
    try:
        status = app(standalone_mode=False)  # typer.Exit comes back as its code here, it does not propagate
        sys.exit(status if isinstance(status, int) else 0)
    except typer.Abort:
        sys.exit(2)
    except AirlockError as error:
        print(f"airlock: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(error.exit_code)
    except Exception as error:
        if (show := getattr(error, "show", None)) and hasattr(error, "exit_code"):  # a click usage error
            show()
            sys.exit(2)
        raise


if __name__ == "__main__":
    main()
