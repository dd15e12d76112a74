"""The engine's decisions and protection on a paper account give what the fill rule gives, on random markets."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from include.domain.times import to_ms
from tests.adapters.rules_on_paper import Paper
from tests.integration.test_case_table import merged
from tests.property.test_kernel_laws import Market, markets
from tests.unit.fill_rule_cases import ExpectedFill


def told(market: Market, paper: Paper) -> list[ExpectedFill]:
    opens = [to_ms(bar.open_time) for bar in market.bars]
    rows = [max(i for i, o in enumerate(opens) if o <= to_ms(fill.filled_at)) for _, fill in paper.fills]
    return merged(
        ExpectedFill(row, fill.side, fill.quantity, fill.price, purpose)
        for row, (purpose, fill) in zip(rows, paper.fills, strict=True)
    )


@settings(max_examples=250, deadline=None)
@given(markets())
def test_the_engines_rules_play_the_fill_rule(market: Market) -> None:
    paper = Paper(market.instrument, market.allocation, market.timeframe)
    paper.play(market.bars, market.signals, market.rates)
    played = market.play()
    assert told(market, paper) == merged(played.fills)
    opens = [to_ms(bar.open_time) for bar in market.bars]
    assert [(opens.index(to_ms(p.paid_at)), -p.amount) for p in paper.funding] == list(played.funding)


@settings(max_examples=100, deadline=None)
@given(markets(), st.data())
def test_a_restart_at_any_close_decides_the_same(market: Market, data: st.DataObject) -> None:
    """What is read back from orders, fills and funding at a close continues as if nothing had happened."""
    through = Paper(market.instrument, market.allocation, market.timeframe)
    through.play(market.bars, market.signals, market.rates)
    stopped = Paper(market.instrument, market.allocation, market.timeframe)
    stopped.restart_before = data.draw(st.sets(st.integers(0, len(market.bars) - 1), max_size=4))
    stopped.play(market.bars, market.signals, market.rates)
    assert stopped.fills == through.fills
