"""Exchanges: the ccxt adapter that trades on them, and the sandbox exchange that stands in for one.

Reached only through `bootstrap`.
"""
