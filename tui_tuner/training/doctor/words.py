"""Numbers as the advice says them."""

from __future__ import annotations


def loss(value: float) -> str:
    """A loss with three places, or with two digits when it is smaller than that shows."""
    return f"{value:.3f}" if abs(value) >= 0.01 or value == 0 else f"{value:.1e}"


def rate(value: float) -> str:
    """A learning rate such as 1e-5 or 2.5e-4."""
    mantissa, _, exponent = f"{value:.1e}".partition("e")
    return f"{mantissa.removesuffix('.0')}e{int(exponent)}"


def percent(share: float) -> str:
    """A share as whole percent."""
    return f"{100 * share:.0f} %"


def step(value: float) -> str:
    """A step with thousands separators."""
    return f"{value:,.0f}"
