"""Systems with a known law: the truth that learned dynamics are judged by."""

from ._kepler import Kepler, KeplerFamily, KeplerLagrangian

__all__ = ["Kepler", "KeplerFamily", "KeplerLagrangian"]
