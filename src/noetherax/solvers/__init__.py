"""Diffrax solvers that Diffrax lacks."""

from ._rk4 import RK4

__all__ = ["RK4"]
