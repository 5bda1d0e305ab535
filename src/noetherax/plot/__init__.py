"""Figures of trajectories, drifts and losses. Needs the extra `plot` (Matplotlib)."""

from ._figures import STYLES, plot_loss, plot_orbits, plot_series
from ._layers import plot_layers

__all__ = ["STYLES", "plot_layers", "plot_loss", "plot_orbits", "plot_series"]
