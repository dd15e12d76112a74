"""Benchmarks: each measures beside a peer or the naive way and prints ratios. `make bench` runs them all."""
