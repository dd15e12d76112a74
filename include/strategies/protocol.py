"""What a strategy is, and how one is loaded by name."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from include.domain.bars import Bars, Signals
from include.domain.errors import ConfigurationError


@runtime_checkable
class Strategy(Protocol):
    """Constructed with the candidate's params as keyword arguments; holds no state between calls."""

    warmup: int
    """Bars of history a decision needs: the last row of `signals` over the last `warmup` bars is the decision."""

    def signals(self, bars: Bars) -> Signals:
        """Vectorised and causal: row t may use rows <= t only. Pure: same bars, same signals."""
        ...


def load_strategy(name: str, params: Mapping[str, Any]) -> Strategy:
    """Import `module:Class` and construct it with the params.

    Raises:
        ConfigurationError: module or class missing, params refused, or the result is not a Strategy.
    """
    module_name, _, class_name = name.partition(":")
    try:
        cls = getattr(importlib.import_module(module_name), class_name)
    except ImportError as error:
        raise ConfigurationError(f"strategy {name}: cannot import ({error})") from None
    except AttributeError:
        raise ConfigurationError(f"strategy {name}: module has no {class_name!r}") from None
    try:
        strategy = cls(**params)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"strategy {name}: params refused ({error})") from None
    if not isinstance(strategy, Strategy):
        raise ConfigurationError(f"strategy {name}: needs an integer `warmup` and a `signals(bars)` method")
    return strategy
