"""Names of all metrics a criterion may ask for, with unit and meaning. `docs/metrics.md` is generated from here.

Formulas live with the code that computes them (`include/backtesting/metrics.py`, `include/validators`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Metric:
    """What a metric is; `unit` is `fraction`, `count`, `quote`, `ratio`, `bps`, `days` or `ms`."""

    unit: str
    meaning: str


METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        # data gate
        "completeness": Metric("fraction", "bars present over bars the window should hold, worst symbol"),
        "quality": Metric("fraction", "share of bars that break no rule, worst symbol"),
        "compatibility": Metric("fraction", "lower of completeness and quality, worst symbol"),
        "history_days": Metric("days", "span from first to last bar, shortest symbol"),
        "max_gap_minutes": Metric("count", "longest hole between consecutive bars in minutes beyond one timeframe"),
        "max_jump": Metric("fraction", "largest close-to-close move, absolute"),
        # trading
        "trades": Metric("count", "closed trades, flat to flat"),
        "win_rate": Metric("fraction", "trades with net profit above zero over all trades"),
        "win_rate_clustered": Metric("fraction", "win rate with the interval of a block bootstrap over trades"),
        "win_rate_always_valid": Metric("fraction", "win rate with an interval that holds at every look at once"),
        "win_rate_throughout": Metric("fraction", "lowest running win rate once 100 trades are closed"),
        "net_profit": Metric("quote", "final equity less initial capital, net of fees and funding"),
        "total_return": Metric("fraction", "net profit over initial capital"),
        "annual_return": Metric("fraction", "compound annual growth rate of equity, 365 days"),
        "max_drawdown": Metric("fraction", "largest fall from a peak of bar-level equity, open profit included"),
        "sharpe": Metric("ratio", "mean over standard deviation of daily UTC returns, times sqrt(365)"),
        "sortino": Metric("ratio", "mean over downside deviation of daily UTC returns, times sqrt(365)"),
        "calmar": Metric("ratio", "annual return over max drawdown"),
        "profit_factor": Metric("ratio", "sum of winning trades over sum of losing trades, net"),
        "recovery_factor": Metric("ratio", "net profit over max drawdown in money"),
        "expectancy": Metric("quote", "mean net profit of a trade"),
        "exposure": Metric("fraction", "share of bars with an open position, mean over symbols"),
        "turnover": Metric("ratio", "traded notional over initial capital"),
        "fees": Metric("quote", "fees paid"),
        "funding": Metric("quote", "funding paid less funding received"),
        "liquidations": Metric("count", "positions that the exchange closed because their margin was used up"),
        "daily_return_mean": Metric("fraction", "mean daily UTC return"),
        "sharpe_30d": Metric("ratio", "Sharpe of the last 30 days"),
        "win_rate_100": Metric("fraction", "win rate of the last 100 trades"),
        "profit_factor_30d": Metric("ratio", "profit factor of the trades closed in the last 30 days"),
        # honesty of the strategy
        "lookahead_rows": Metric("count", "past decisions that change when later bars are taken away"),
        "warmup_mismatches": Metric("count", "decisions that differ when only `warmup` bars are shown"),
        # robustness battery
        "walk_forward_folds": Metric("count", "completed out-of-sample folds of the walk-forward analysis"),
        "out_of_sample_sharpe": Metric("ratio", "Sharpe of the stitched out-of-sample equity of the walk-forward"),
        "out_of_sample_sharpe_anchored": Metric("ratio", "the same with training that always begins at the first day"),
        "walk_forward_profitable_folds": Metric("fraction", "share of the folds that end with a profit out of sample"),
        "walk_forward_efficiency": Metric("ratio", "Sharpe out of sample over Sharpe in training, over all folds"),
        "break_even_slippage_bps": Metric(
            "bps", "most additional slippage a fill that leaves a profit; negative: so much less"
        ),
        "break_even_fee_bps": Metric("bps", "most additional fee a fill that leaves a profit; negative: so much less"),
        "stress_drawdown": Metric("fraction", "largest drawdown over all historical shocks laid over the bars"),
        "excess_sharpe": Metric("ratio", "Sharpe of the daily returns less those of buy and hold"),
        "benchmark_beta": Metric("ratio", "slope of daily returns on those of buy and hold"),
        "benchmark_correlation": Metric("ratio", "correlation of daily returns with those of buy and hold"),
        "capacity": Metric("quote", "capital at which market impact eats half of the profit"),
        "worst_regime_sharpe": Metric("ratio", "lowest Sharpe over the covered market regimes"),
        "regimes_covered": Metric("count", "market regimes with enough trades to judge"),
        "parameter_plateau": Metric("fraction", "share of neighbouring parameter points that keep their profit"),
        "monte_carlo_drawdown": Metric("fraction", "95th percentile of max drawdown over resampled trade orders"),
        "monte_carlo_ruin_probability": Metric("fraction", "share of trade orders that lose the ruin limit of capital"),
        "bootstrap_drawdown": Metric("fraction", "95th percentile of max drawdown over block-bootstrapped days"),
        "bootstrap_loss_probability": Metric("fraction", "share of block-bootstrapped paths that end in a loss"),
        "bootstrap_breach_probability": Metric("fraction", "share of those paths that reach the drawdown limit"),
        "execution_profitable_share": Metric("fraction", "share of runs with execution noise that end with a profit"),
        "execution_net_profit": Metric("quote", "5th percentile of net profit over runs with execution noise"),
        "execution_sharpe": Metric("ratio", "5th percentile of the Sharpe over runs with execution noise"),
        "execution_drawdown": Metric("fraction", "95th percentile of max drawdown of daily closes over those runs"),
        # overfitting
        "probabilistic_sharpe": Metric("fraction", "probability that the true Sharpe ratio is above zero"),
        "deflated_sharpe": Metric("fraction", "probability that it is above the best that luck gives that many trials"),
        "probability_of_overfitting": Metric("fraction", "PBO: chance that the best trial is below the median after"),
        "out_of_sample_loss_probability": Metric("fraction", "chance that the best trial in sample loses money after"),
        "track_record_coverage": Metric("ratio", "days observed over the minimum track record length"),
        "backtest_length_coverage": Metric("ratio", "days observed over the minimum backtest length for the trials"),
        # simulation
        "simulated_days": Metric("days", "event time from the first to the last simulated bar"),
        "uptime": Metric("fraction", "bars handled in time over bars the venue published"),
        "trade_parity": Metric("fraction", "simulated trades equal to the backtest's on the same bars"),
        "sharpe_drift": Metric("fraction", "absolute difference of simulated and backtest Sharpe over the latter"),
        "win_rate_drift": Metric("fraction", "absolute difference of simulated and backtest win rate"),
        "fill_rate": Metric("fraction", "filled over accepted market orders"),
        # feed of a running engine (docs/operations.md)
        "feed_uptime": Metric("fraction", "time in which the feed was not silent, dead engines included; worst symbol"),
        "feed_missing_bars": Metric("count", "bars that were due and did not come, all symbols"),
        "feed_duplicates": Metric("count", "bars that came again"),
        "feed_out_of_order": Metric("count", "bars that came after a later one of their symbol"),
        "feed_stale": Metric("fraction", "time beyond the limit for which a price stayed the same; worst symbol"),
        "feed_reconnects": Metric("count", "times a stream was opened again"),
        "feed_latency_p50_ms": Metric("ms", "median delay of data; not measured on a replayed clock"),
        "feed_latency_p95_ms": Metric("ms", "95th percentile of the delay"),
        "feed_latency_p99_ms": Metric("ms", "99th percentile of the delay"),
        "feed_latency_max_ms": Metric("ms", "longest delay"),
        # qualification check
        "stages_passed": Metric("fraction", "required stages whose latest evidence is PASS; absent if one has none"),
    }
)
