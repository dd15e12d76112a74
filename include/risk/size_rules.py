"""Rules about size: of the order, of the position it leads to, and of all positions together.

Each rule returns the reason to deny, or None. What it needs and does not have is a reason to deny.
"""

from __future__ import annotations

from decimal import Decimal

from include.domain.enums import OrderPurpose, Side
from include.domain.reason_codes import RiskCode
from include.risk.exposure import Exposure, base_asset
from include.risk.question import ZERO, Question, Reason, money


def order_value(q: Question, _: Exposure) -> Reason | None:
    most, fraction, equity = q.limits.max_order_notional, q.limits.max_order_fraction, q.account.equity
    price = max(q.account.marks.get(q.intent.symbol, ZERO), q.intent.reference_price)
    notional = q.intent.quantity * price
    if most is not None and notional > most:
        return Reason(RiskCode.ORDER_VALUE, f"notional={notional:.2f} limit={most}")
    if fraction is not None and (equity is None or notional > fraction * equity):
        return Reason(RiskCode.ORDER_VALUE, f"notional={notional:.2f} equity={money(equity)} limit={fraction}")
    return None


def leverage_set(q: Question, _: Exposure) -> Reason | None:
    limit = q.limits.max_set_leverage
    if limit is None or (q.instrument is not None and q.instrument.leverage <= limit):
        return None
    return Reason(RiskCode.LEVERAGE_SET, f"leverage={_leverage(q)} limit={limit}")


def position_size(q: Question, exposure: Exposure) -> Reason | None:
    notional = exposure.notional.get(q.intent.symbol, ZERO)
    return _over(q, RiskCode.POSITION_SIZE, "notional", notional, q.limits.max_position_fraction)


def positions_open(q: Question, exposure: Exposure) -> Reason | None:
    limit, found = q.limits.max_open_positions, len(exposure.notional)
    if limit is None or found <= limit:
        return None
    return Reason(RiskCode.POSITIONS_OPEN, f"positions={found} limit={limit}")


def exposure_asset(q: Question, exposure: Exposure) -> Reason | None:
    limit = q.limits.max_asset_fraction
    if limit is None:
        return None
    asset = base_asset(q.intent.symbol)
    return _over(q, RiskCode.EXPOSURE_ASSET, f"asset={asset} notional", exposure.assets.get(asset, ZERO), limit)


def exposure_sector(q: Question, exposure: Exposure) -> Reason | None:
    limit, sectors = q.limits.max_sector_fraction, q.limits.sectors
    if limit is None:
        return None
    assets = exposure.assets
    if unknown := [asset for asset in assets if asset not in sectors]:
        return Reason(RiskCode.EXPOSURE_SECTOR, f"sector=None assets={','.join(sorted(unknown))}")
    sector = sectors[base_asset(q.intent.symbol)]
    notional = sum([value for asset, value in assets.items() if sectors[asset] == sector], ZERO)
    return _over(q, RiskCode.EXPOSURE_SECTOR, f"sector={sector} notional", notional, limit)


def exposure_net(q: Question, exposure: Exposure) -> Reason | None:
    limit = q.limits.max_net_fraction
    return None if limit is None else _over(q, RiskCode.EXPOSURE_NET, "net", exposure.net, limit)


def exposure_gross(q: Question, exposure: Exposure) -> Reason | None:
    return _over(q, RiskCode.EXPOSURE_GROSS, "gross", exposure.gross, q.limits.max_leverage)


def margin_used(q: Question, exposure: Exposure) -> Reason | None:
    """Initial margin of everything that may be open, at the leverage the account is set to."""
    limit = q.limits.max_margin_fraction
    if limit is None:
        return None
    if q.instrument is None:
        return Reason(RiskCode.MARGIN_USED, "leverage=None")
    return _over(q, RiskCode.MARGIN_USED, "margin", exposure.gross / q.instrument.leverage, limit)


def balance(q: Question, exposure: Exposure) -> Reason | None:
    """What the exchange will ask: margin of everything that may be open and the fee of this order."""
    if not q.limits.check_balance:
        return None
    equity, wallet = q.account.equity, q.account.wallet
    if equity is None or wallet is None or q.instrument is None:
        return Reason(RiskCode.BALANCE, f"equity={money(equity)} wallet={money(wallet)}")
    fee = q.intent.quantity * q.intent.reference_price * q.instrument.taker_fee_rate
    needed, available = exposure.gross / q.instrument.leverage + fee, min(equity, wallet)
    if needed <= available:
        return None
    return Reason(RiskCode.BALANCE, f"needed={needed:.2f} available={available:.2f}")


def liquidation_distance(q: Question, exposure: Exposure) -> Reason | None:
    limit = q.limits.min_liquidation_distance_fraction
    if limit is None:
        return None
    level, price = exposure.liquidation, _mark(q)
    if level is None or price <= 0:
        return Reason(RiskCode.LIQUIDATION_DISTANCE, f"level={level} price={price}")
    distance = q.intent.side.sign * (price - level) / price
    if distance >= limit:
        return None
    return Reason(RiskCode.LIQUIDATION_DISTANCE, f"distance={distance:.4f} level={level} limit={limit}")


def stop_beyond_liquidation(q: Question, exposure: Exposure) -> Reason | None:
    if not q.limits.stop_before_liquidation:
        return None
    level, stop = exposure.liquidation, _stop(q)
    if level is None:
        return Reason(RiskCode.STOP_BEYOND_LIQUIDATION, "level=None")
    if stop is None:
        # Nothing but the exchange would end the position, unless it cannot be liquidated at all.
        return None if level <= 0 else Reason(RiskCode.STOP_BEYOND_LIQUIDATION, f"stop=None level={level}")
    if q.intent.side.sign * (stop - level) > 0:
        return None
    return Reason(RiskCode.STOP_BEYOND_LIQUIDATION, f"stop={stop} level={level}")


def _over(q: Question, code: RiskCode, what: str, notional: Decimal, limit: Decimal) -> Reason | None:
    """A reason when an amount is above its share of equity, or equity is not known."""
    equity = q.account.equity
    if equity is not None and notional <= limit * equity:
        return None
    return Reason(code, f"{what}={notional:.2f} equity={money(equity)} limit={limit}")


def _leverage(q: Question) -> int | None:
    return None if q.instrument is None else q.instrument.leverage


def _mark(q: Question) -> Decimal:
    return q.account.marks.get(q.intent.symbol, ZERO)


def _stop(q: Question) -> Decimal | None:
    """The stop that will protect the position: decided with an entry, resting already for what is added to one."""
    if q.intent.purpose is OrderPurpose.ENTRY:
        return _nearer(q, [q.intent.protective_stop, _trailing(q, q.intent.protective_trailing)])
    resting = [o.intent for o in q.account.working if o.intent.symbol == q.intent.symbol and o.intent.reduce_only]
    return _nearer(q, [level for wish in resting for level in (wish.stop_price, _trailing(q, wish.callback_rate))])


def _trailing(q: Question, distance: Decimal | None) -> Decimal | None:
    """Where a trailing stop rests at first; later it only comes nearer."""
    return None if distance is None else q.intent.reference_price * (1 - q.intent.side.sign * distance)


def _nearer(q: Question, levels: list[Decimal | None]) -> Decimal | None:
    known = [level for level in levels if level is not None]
    if not known:
        return None
    return max(known) if q.intent.side is Side.BUY else min(known)
