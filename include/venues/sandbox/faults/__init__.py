"""Faults on purpose: a seeded plan of what goes wrong, when and for how long.

`kinds` is the list of faults, `plan` reads a plan, `injector` decides (pure), `market` changes what happens in the
market. The shells (`http`, `ws_api`, `hub`) only carry out what the injector decides. User page:
docs/sandbox-exchange.md.
"""
