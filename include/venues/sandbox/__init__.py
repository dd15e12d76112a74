"""The sandbox exchange: a process of its own that speaks Binance USD-M to an unmodified ccxt and replays the lake.

`tape` (market data as text and decimals) and `replay` (the market's clock) feed `exchange` (accounts and what they are
told); `public_routes`, `private_routes`, `control_routes` and `streams` are its doors, `server` the process.
How it differs from the real exchange: `docs/sandbox-exchange.md`.
"""
