"""Values, enums, ids, reason codes and lifecycle tables: the words every other package speaks.

Pure: standard library and numpy only, no I/O, no clock.
"""
