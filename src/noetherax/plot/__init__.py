"""Figures of trajectories, drifts and losses. Needs the extra `plot` (Matplotlib)."""

try:
    import matplotlib as matplotlib
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "noetherax.plot draws with Matplotlib, which is not installed: "
        "pip install 'noetherax[plot]'",
        name=error.name,
    ) from error

from ._figures import STYLES, plot_loss, plot_orbits, plot_series
from ._horizon import plot_horizon
from ._layers import plot_layers
from ._views import plot_history, plot_phase, plot_potential

__all__ = [
    "STYLES",
    "plot_history",
    "plot_horizon",
    "plot_layers",
    "plot_loss",
    "plot_orbits",
    "plot_phase",
    "plot_potential",
    "plot_series",
]
