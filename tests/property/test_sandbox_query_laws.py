"""Laws of reading a request: the quick way and the library's way say the same."""

from __future__ import annotations

from urllib.parse import parse_qsl

from hypothesis import given
from hypothesis import strategies as st

from include.venues.sandbox.http import _pairs


@given(st.text(alphabet="ab1&=.:;_-/?", max_size=40))
def test_a_query_is_read_as_the_library_reads_it(text: str) -> None:
    assert _pairs(text) == parse_qsl(text, keep_blank_values=True)
