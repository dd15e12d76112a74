"""The engine: decisions, orders, portfolio, reconciliation, kill switch, and the trader that keeps engines running."""
