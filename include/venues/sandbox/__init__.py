"""The sandbox exchange: a process of its own that speaks Binance USD-M and spot to unmodified clients.

`tape` (the lake's bars as decimals) and `replay` (the market's clock) feed `exchange` (accounts and what they hear).
`market` is what a symbol shows of itself: `klines`, and `prints` (trades) and `depth`, which are made up from its bars;
`market_messages` and `market_streams` tell it, and `spot` does all this for the other protocol. `public_routes`,
`private_routes`, `control_routes`, `streams` and `ws_api` are the doors, `gateway` the way in, `server` the process.
How it differs from the real exchange: `docs/sandbox-exchange.md`.
"""
