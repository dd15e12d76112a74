"""The Strategy protocol and the built-in strategies."""
