"""One repository per aggregate; each implements the protocol of the same name in `include.ports`.

A repository works inside the transaction it was given, holds no business rule and keeps no state.
"""
