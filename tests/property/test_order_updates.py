"""Laws of order life: whatever arrives, however often and in whatever order, the same facts give the same order."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from include.domain.enums import OrderStatus
from include.domain.lifecycle import ORDER_TRANSITIONS, is_terminal
from include.domain.order_updates import apply_report
from include.domain.orders import Order, OrderReport
from tests.samples import NOON, sample_candidate, sample_deployment, sample_fill, sample_order, sample_report

S = OrderStatus
_SENT = replace(sample_order(sample_deployment(sample_candidate())), status=S.SUBMITTED)


@dataclass
class Book:
    """What the ledger does around the pure rule: it knows trade ids and the newest report."""

    order: Order
    seen: frozenset[str] = frozenset()
    newest: datetime | None = None

    def apply(self, report: OrderReport) -> Book:
        new_fill = report.fill is not None and report.fill.trade_id not in self.seen
        order = apply_report(self.order, report, new_fill=new_fill, last_reported_at=self.newest)
        if order is self.order:
            return self
        seen = self.seen | {report.fill.trade_id} if report.fill else self.seen
        newest = report.reported_at if self.newest is None else max(self.newest, report.reported_at)
        return Book(order, seen, newest)

    def all(self, reports: list[OrderReport]) -> Book:
        book = self
        for report in reports:
            book = book.apply(report)
        return book


@st.composite
def histories(draw: st.DrawFn) -> list[OrderReport]:
    """What a venue may tell about one order, in its own order: accepted, fills, perhaps an early end."""
    lots = draw(st.lists(st.integers(1, 10), min_size=1, max_size=5))
    complete = draw(st.booleans())
    quantity = Decimal(sum(lots) + (0 if complete else 1)) / 10
    order = replace(_SENT, intent=replace(_SENT.intent, quantity=quantity))
    gap = timedelta(milliseconds=draw(st.sampled_from([0, 1])))
    reports, filled = [sample_report(order, S.ACCEPTED)], Decimal(0)
    for number, lot in enumerate(lots):
        fill = sample_fill(order, str(number), str(Decimal(lot) / 10))
        filled += fill.quantity
        status = S.FILLED if filled == quantity else S.PARTIALLY_FILLED
        reports.append(sample_report(order, status, fill, filled_quantity=filled))
    if not complete:
        end = draw(st.sampled_from([None, S.CANCELED, S.EXPIRED]))
        if end is not None:
            reports.append(sample_report(order, end, filled_quantity=filled))
    return [replace(report, reported_at=NOON + n * gap) for n, report in enumerate(reports)]


def _start(reports: list[OrderReport]) -> Book:
    filled = sum((r.fill.quantity for r in reports if r.fill), Decimal(0))
    complete = any(report.status is S.FILLED for report in reports)
    return Book(replace(_SENT, intent=replace(_SENT.intent, quantity=filled if complete else filled + Decimal("0.1"))))


def _facts(book: Book) -> tuple[OrderStatus, Decimal, str | None]:
    return book.order.status, book.order.filled_quantity, book.order.venue_order_id


@given(histories(), st.data())
def test_any_order_of_arrival_ends_in_the_same_order(reports: list[OrderReport], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(reports))
    assert _facts(_start(reports).all(shuffled)) == _facts(_start(reports).all(reports))


@given(histories(), st.data())
def test_repeats_are_harmless(reports: list[OrderReport], data: st.DataObject) -> None:
    noisy: list[OrderReport] = []
    for report in reports:
        noisy.append(report)
        noisy += data.draw(st.lists(st.sampled_from(noisy), max_size=3))
    clean, repeated = _start(reports).all(reports), _start(reports).all(noisy)
    assert _facts(clean) == _facts(repeated)
    assert clean.order.version == repeated.order.version


@given(histories(), st.data())
def test_filled_quantity_is_the_sum_of_the_fills_at_every_step(reports: list[OrderReport], data: st.DataObject) -> None:
    book, known = _start(reports), dict[str, Decimal]()
    for report in data.draw(st.permutations(reports * 2)):
        book = book.apply(report)
        if report.fill:
            known[report.fill.trade_id] = report.fill.quantity
        assert book.order.filled_quantity == sum(known.values(), Decimal(0)) <= book.order.intent.quantity
        assert (book.order.status is S.FILLED) == (book.order.remaining == 0)


@given(histories(), st.data())
def test_a_finished_order_stays_finished_and_every_move_is_in_the_table(
    reports: list[OrderReport], data: st.DataObject
) -> None:
    book = _start(reports)
    for report in data.draw(st.permutations(reports * 2)):
        before, book = book.order, book.apply(report)
        if book.order.status is not before.status:
            assert book.order.status in ORDER_TRANSITIONS[before.status]
            assert not is_terminal(ORDER_TRANSITIONS, before.status)
        assert book.order.version == before.version + (book.order != before)


@given(histories(), st.sampled_from([S.SUBMISSION_UNKNOWN, S.SUBMITTED]))
def test_an_unknown_submission_is_resolved_by_what_the_venue_says(
    reports: list[OrderReport], start: OrderStatus
) -> None:
    book = _start(reports)
    book.order = replace(book.order, status=start)
    assert _facts(book.all(reports)) == _facts(_start(reports).all(reports))


def test_an_echo_from_before_a_cancel_does_not_undo_it_but_later_news_does() -> None:
    accepted = Book(_SENT).apply(sample_report(_SENT, S.ACCEPTED))
    canceling = Book(replace(accepted.order, status=S.PENDING_CANCEL), accepted.seen, accepted.newest)
    echo = sample_report(_SENT, S.ACCEPTED)
    assert canceling.apply(echo).order.status is S.PENDING_CANCEL
    refused = replace(echo, reported_at=NOON + timedelta(milliseconds=1))
    assert canceling.apply(refused).order.status is S.ACCEPTED
    assert canceling.apply(sample_report(_SENT, S.CANCELED)).order.status is S.CANCELED
