"""Doors to the files and containers of others: weights as safetensors, recordings and motions as
xarray. Each needs its own library; the extra `interop` brings both."""

from ..training import load_safetensors, save_safetensors
from ._datasets import to_xarray
from ._recordings import tracks_from_xarray
from ._trajectories import trajectory_from_xarray

__all__ = [
    "load_safetensors",
    "save_safetensors",
    "to_xarray",
    "tracks_from_xarray",
    "trajectory_from_xarray",
]
