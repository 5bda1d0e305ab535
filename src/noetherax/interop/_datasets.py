"""What datasets of xarray have in common: their dimensions, and how a variable is read."""

from collections.abc import Hashable
from functools import singledispatch
from typing import Any

import numpy as np

from .._checks import needed

STATE = ("point", "axis")
"""The dimensions of a configuration."""


@singledispatch
def to_xarray(motion: Any) -> Any:
    """A trajectory, a recording or tracks as an `xarray.Dataset`, to store as netCDF or Zarr, say.

    - A trajectory has the dimensions `time`, `point`, `axis` and the variables `q`, `v`, and `p` where
      it has momenta. Leading axes, as of a `jax.vmap`, are dimensions `batch_0`, `batch_1`, …; where
      the members of a batch have times of their own, these are the variable `t`. The variable `result`
      names how the solve ended, as Diffrax does. The solver and its steps are not kept, so that
      [`noetherax.balance`][] of what is read back does without them.
    - A recording has those dimensions, and also `a` and `u` (`time`, `input`) where they were recorded.
        Its name is the coordinate `recording`.
    - Tracks have their recordings one after the other along `time`, with the coordinate `recording`
        along it.
      Periods of angles are the variable `period`, NaN where none was declared. What
      [`noetherax.Tracks.smooth`][] said of its error is not kept.

    !!! example

        ```python
        import jax.numpy as jnp
        import noetherax as nx

        ts = jnp.linspace(0.0, 1.0, 5)
        q0, v0 = jnp.array([[1.0, 0.0]]), jnp.array([[0.0, 1.0]])
        kepler = nx.systems.KeplerLagrangian(mass=1.0, strength=1.0)
        trajectory = nx.rollout(kepler, q0, v0, ts=ts, solver=nx.RK4())
        dataset = nx.interop.to_xarray(trajectory)
        assert dict(dataset.sizes) == {"time": 5, "point": 1, "axis": 2}
        assert dataset.q.sel(time=0.5).shape == (1, 2)
        ```

    **Arguments:**

    - `motion`: a [`noetherax.Trajectory`][], [`noetherax.Recording`][] or [`noetherax.Tracks`][].

    **Returns:**

    The dataset.

    **Raises:**

    `TypeError` for anything else; `ValueError` where names of recordings would not come back as they
    are, such as 1 beside '1'; `ModuleNotFoundError` without xarray.
    """
    raise TypeError(
        "noetherax.interop.to_xarray takes a Trajectory, a Recording or Tracks, not a "
        f"{type(motion).__name__}."
    )


def variable(dataset: Any, name: Hashable) -> Any:
    """A variable or coordinate; `ValueError` with those that there are."""
    xarray = library()
    if not isinstance(dataset, xarray.Dataset):
        raise TypeError(f"An xarray.Dataset is needed, not a {type(dataset).__name__}.")
    if name not in dataset.variables:
        there = ", ".join(repr(x) for x in dataset.variables)
        raise ValueError(f"The dataset has no {name!r}, but {there or 'nothing'}.")
    return dataset[name]


def ordered(name: Hashable, array: Any, dimensions: tuple) -> np.ndarray:
    if set(array.dims) != set(dimensions):
        raise ValueError(
            f"{name!r} must have the dimensions {dimensions}, but it has {array.dims}."
        )
    return array.transpose(*dimensions).values


def library() -> Any:
    return needed("xarray", "noetherax.interop makes and reads datasets of xarray", "interop")
