"""Acceptance of a venue: numbered cards that every implementation of `ports.Venue` must pass.

The test suite runs all of them against every venue, in lockstep with an exchange that can be moved; `airlock venue
check` runs the safe ones against a configured account. The list in `docs/venues.md` is generated from them.
"""
