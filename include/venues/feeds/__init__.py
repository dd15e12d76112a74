"""Market data of one or several venues as one stream of bars in which none is missing and none comes twice.

`source` is what a feed is made of, `sequence` judges bars, `resilient_feed` keeps the stream going when a source is
silent, cut or wrong. Operators find the rules in `docs/venues.md`.
"""
