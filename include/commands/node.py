"""`airlock node`: a historical data node that serves the lake to other Airlocks."""

from __future__ import annotations

import logging
import os
import sys
from typing import Annotated

import typer

from include.commands.console import print_json

app = typer.Typer()


@app.command()
def node(
    host: Annotated[str, typer.Option(help="Address to listen on; others than loopback need a token.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 0,
    venue: Annotated[str, typer.Option("--venue", help="Serve this venue of the lake only.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print address and process id as one JSON document.")] = False,
) -> None:
    """Serve bars over HTTP until stopped. Prints one line with its address once it accepts requests.

    Readers must send the token in AIRLOCK_NODE_TOKEN, if one is set.
    """
    from include import bootstrap
    from include.config.settings import load_settings

    def announce(url: str) -> None:
        if as_json:
            print_json({"url": url, "pid": os.getpid()})
        else:
            typer.echo(url)
        sys.stdout.flush()

    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    bootstrap.run_node(load_settings(), host=host, port=port, venue=venue, ready=announce)
