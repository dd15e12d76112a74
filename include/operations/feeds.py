"""Where scheduled ingestion gets a venue's bars: its generator, a data node, or its exchange."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from include import bootstrap
from include.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from include.config.settings import Settings
    from include.config.venues import VenueFacts
    from include.market_data.sources.protocol import Source


class Feed(StrEnum):
    """Where a venue's bars are asked for."""

    AUTO = "auto"
    CCXT = "ccxt"
    NODE = "node"
    SYNTHETIC = "synthetic"


def find_venue(name: str) -> VenueFacts:
    """A declared venue. Raises ConfigurationError that says which there are."""
    declared = bootstrap.venue_facts()
    if name not in declared:
        known = ", ".join(sorted(declared))
        raise ConfigurationError(f"venue {name!r} is not declared in venues.yaml (known: {known})")
    return declared[name]


def choose_feed(settings: Settings, venue: VenueFacts, wanted: str) -> Feed:
    """Where a venue's bars come from: as asked, or the first there is of its generator, the data node, its exchange.

    Raises:
        ConfigurationError: no such feed, or this venue or installation does not have it.
    """
    try:
        feed = Feed(wanted)
    except ValueError:
        raise ConfigurationError(f"source {wanted!r} is none of: {', '.join(Feed)}") from None
    available = {
        Feed.SYNTHETIC: venue.synthetic, Feed.NODE: bool(settings.historical_node_url), Feed.CCXT: bool(venue.exchange),
    }  # fmt: skip
    if feed is Feed.AUTO:
        feed = next((one for one, there in available.items() if there), Feed.AUTO)
    if not available.get(feed, False):
        needs = {
            Feed.SYNTHETIC: "it is not declared synthetic", Feed.NODE: "HISTORICAL_NODE_URL is not set",
            Feed.CCXT: "venues.yaml declares no exchange for it",
            Feed.AUTO: "HISTORICAL_NODE_URL is not set and venues.yaml declares no exchange for it",
        }  # fmt: skip
        raise ConfigurationError(f"venue {venue.name!r} cannot be ingested from {wanted}: {needs[feed]}")
    return feed


def open_source(settings: Settings, venue: VenueFacts, feed: Feed) -> Source:
    """The source behind a feed that `choose_feed` chose."""
    if feed is Feed.NODE:
        return bootstrap.node_source(settings, venue.name)
    if feed is Feed.CCXT:
        return bootstrap.exchange_source(settings, venue.name)
    from include.market_data import synthetic
    from include.market_data.sources.synthetic import SyntheticSource

    return SyntheticSource(synthetic.DEFAULT_SEED)
