"""Motions and recordings as datasets of xarray, and back."""

import importlib
from collections.abc import Hashable
from functools import singledispatch
from typing import Any

import diffrax
import jax
import jax.numpy as jnp
import numpy as np

from .._trajectory import Trajectory
from ..data import Recording, Tracks

STATE = ("point", "axis")
"""The dimensions of a configuration."""

SUCCESSFUL, FAILED = "successful", "failed"
"""How a solve ended. Why it failed are Diffrax' own codes, which change with its versions."""


@singledispatch
def to_xarray(motion: Any) -> Any:
    """A trajectory, a recording or tracks as an `xarray.Dataset`, to store as netCDF or Zarr, say.

    - A trajectory has the dimensions `time`, `point`, `axis` and the variables `q`, `v`, and `p` where
      it has momenta. Leading axes, as of a `jax.vmap`, are dimensions `batch_0`, `batch_1`, …; where
      the members of a batch have times of their own, these are the variable `t`. The attribute `result`
      tells how the solve ended. The solver and its steps are not kept, so that
      [`noetherax.balance`][] of what is read back does without them.
    - A recording has those dimensions, and also `a` and `u` (`time`, `input`) where they were recorded.
    - Tracks have their recordings one after the other along `time`, with the coordinate `recording`.
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

    `TypeError` for anything else; `ModuleNotFoundError` without xarray.
    """
    raise TypeError(
        "noetherax.interop.to_xarray takes a Trajectory, a Recording or Tracks, not a "
        f"{type(motion).__name__}."
    )


@to_xarray.register
def _(motion: Trajectory):
    leading = motion.ts.shape[:-1]
    batch = tuple(f"batch_{i}" for i in range(len(leading)))
    members = {"q": motion.q, "v": motion.v, "p": motion.p}
    variables: dict[str, Any] = {
        name: ((*batch, "time", *STATE), np.asarray(x))
        for name, x in members.items()
        if x is not None
    }
    times = np.asarray(motion.ts)
    first = times.reshape(-1, times.shape[-1])[:1].reshape(-1)
    coordinates = {}
    if times.size and np.array_equal(times, np.broadcast_to(first, times.shape)):
        coordinates["time"] = first
    else:
        variables["t"] = (*batch, "time"), times
    successful = bool(np.all(np.asarray(diffrax.is_successful(motion.result))))
    return _xarray("to_xarray").Dataset(
        variables, coordinates, {"result": SUCCESSFUL if successful else FAILED}
    )


@to_xarray.register
def _(motion: Recording):
    dataset = _dataset([motion])
    return dataset.drop_vars("recording").assign_attrs(recording=str(motion.name))


@to_xarray.register
def _(motion: Tracks):
    dataset = _dataset(motion.recordings)
    if np.isnan(motion.periods).all():
        return dataset
    return dataset.assign(period=(STATE, motion.periods))


def _dataset(recordings):
    arrays = {
        name: np.concatenate([recording.arrays[name] for recording in recordings])
        for name in recordings[0].arrays
    }
    dimensions = {"u": ("time", "input")}
    names = np.array([name for r in recordings for name in [r.name] * len(r)])
    return _xarray("to_xarray").Dataset(
        {n: (dimensions.get(n, ("time", *STATE)), x) for n, x in arrays.items() if n != "t"},
        {"time": arrays["t"], "recording": ("time", names)},
    )


def trajectory_from_xarray(dataset: Any) -> Trajectory:
    """A trajectory from a dataset that [`noetherax.interop.to_xarray`][] made of one.

    !!! example

        ```python
        import jax.numpy as jnp
        import noetherax as nx

        ts = jnp.linspace(0.0, 1.0, 5)
        q0, v0 = jnp.array([[1.0, 0.0]]), jnp.array([[0.0, 1.0]])
        kepler = nx.systems.KeplerLagrangian(mass=1.0, strength=1.0)
        trajectory = nx.rollout(kepler, q0, v0, ts=ts, solver=nx.RK4())
        again = nx.interop.trajectory_from_xarray(nx.interop.to_xarray(trajectory))
        assert (again.q == trajectory.q).all()
        assert nx.drift(nx.Energy(kepler), again).max() < 1e-3  # that of the steps
        ```

    **Arguments:**

    - `dataset`: with `time`, or `t` of members of a batch, `q` and `v`, and `p` if there are momenta.

    **Returns:**

    The [`noetherax.Trajectory`][], without statistics, solver and steps.

    **Raises:**

    `ValueError` if a variable or a dimension is missing.
    """
    times = "t" if "t" in dataset else "time"
    found = {name: _variable(dataset, name) for name in (times, "q", "v")}
    if "p" in dataset:
        found["p"] = _variable(dataset, "p")
    ts, rest = found.pop(times), [d for d in found["q"].dims if d not in ("time", *STATE)]
    states = {
        name: jnp.asarray(_ordered(name, x, (*rest, "time", *STATE))) for name, x in found.items()
    }
    ts = _ordered(times, ts, (*(d for d in rest if d in ts.dims), "time"))
    failed = dataset.attrs.get("result", SUCCESSFUL) != SUCCESSFUL
    result = diffrax.RESULTS.internal_error if failed else diffrax.RESULTS.successful

    def made(ts, states):
        return Trajectory(
            ts=ts, p=states.get("p"), q=states["q"], v=states["v"], stats={}, result=result
        )

    for _ in rest:
        made = jax.vmap(made)
    return made(jnp.broadcast_to(jnp.asarray(ts), states["q"].shape[:-2]), states)


def tracks_from_xarray(
    dataset: Any,
    *,
    time: Hashable = "time",
    position: Hashable = "q",
    velocity: Hashable | None = None,
    acceleration: Hashable | None = None,
    inputs: Hashable | None = None,
    recording: Hashable | None = None,
) -> Tracks:
    """Tracks from a dataset of arrays: one of yours, or of [`noetherax.interop.to_xarray`][].

    Where every coordinate is a variable of its own, as in a table,
    [`noetherax.Tracks.from_table`][] takes the dataset as it is.

    !!! example

        ```python
        import numpy as np
        import noetherax as nx
        import xarray

        t = np.linspace(0.0, 6.0, 61)
        circle = np.stack([np.cos(t), np.sin(t)], axis=-1)
        dataset = xarray.Dataset({"place": (("time", "xy"), circle)}, {"time": t})
        tracks = nx.interop.tracks_from_xarray(dataset, position="place")
        assert tracks[0].q.shape == (61, 1, 2)
        assert dict(nx.interop.to_xarray(tracks).sizes) == {"time": 61, "point": 1, "axis": 2}
        ```

    **Arguments:**

    - `dataset`: an `xarray.Dataset`.
    - `time`: the variable or coordinate of times, along one dimension. Dates become seconds.
    - `position`: the variable of positions. Beside the dimension of times it has `point` and `axis`;
        other names of dimensions are taken in this order, and a single one is the axis of one point.
    - `velocity`, `acceleration`, `inputs`: likewise; `v`, `a` and `u` if not given, where there are
        such.
    - `recording`: what tells recordings apart, along the dimension of times; the coordinate
        `recording` if not given, where there is one.

    **Returns:**

    The [`noetherax.Tracks`][], with periods of angles from the variable `period` if there is one.

    **Raises:**

    `ValueError` that names the variable that is missing or has other dimensions, or that says what
    [`noetherax.Tracks`][] says of its data.
    """
    t = _variable(dataset, time)
    if t.ndim != 1:
        raise ValueError(f"{time!r} must have one dimension, that of times, but it has {t.dims}.")
    along = t.dims[0]
    given = {"a": acceleration, "u": inputs, "v": velocity}
    names = {member: name if name is not None else member for member, name in given.items()}
    members = {"q": _samples(dataset, position, along, STATE)}
    for member, name in names.items():
        if given[member] is not None or name in dataset:
            dimensions = ("input",) if member == "u" else STATE
            members[member] = _samples(dataset, name, along, dimensions)
    samples: dict[Hashable, list[int]] = {}
    for i, label in enumerate(_labels(dataset, recording, along)):
        samples.setdefault(label, []).append(i)
    times, parts = np.asarray(t.values), samples.values()
    return Tracks(
        [times[part] for part in parts],
        *([members[m][part] for part in parts] if m in members else None for m in "qvau"),
        names=list(samples),
        periods=_variable(dataset, "period").values if "period" in dataset else None,
    )


def _samples(dataset, name: Hashable, along: Hashable, wanted: tuple[str, ...]) -> np.ndarray:
    """An array of shape `(times, *wanted)`. Dimensions of other names are taken in their order, and a
    missing first one is that of a single point."""
    array = _variable(dataset, name)
    rest = [d for d in array.dims if d != along]
    if set(rest) == set(wanted):
        rest = list(wanted)
    if along not in array.dims or not 0 < len(rest) <= len(wanted):
        raise ValueError(
            f"{name!r} must have the dimensions {(along, *wanted)}, or the last alone for one point, "
            f"but it has {array.dims}."
        )
    values = _ordered(name, array, (along, *rest))
    return values if len(rest) == len(wanted) else values[:, None]


def _labels(dataset, name: Hashable | None, along: Hashable) -> list:
    """The name of the recording of each sample."""
    if name is None and ("recording" not in dataset or not dataset["recording"].dims):
        told = dataset["recording"].item() if "recording" in dataset else None
        return [dataset.attrs.get("recording", 0) if told is None else told] * dataset.sizes[along]
    labels = _variable(dataset, "recording" if name is None else name)
    if labels.dims != (along,):
        raise ValueError(
            f"{labels.name!r} must tell the recording of each sample, along {along!r}, but it has "
            f"the dimensions {labels.dims}."
        )
    return labels.values.tolist()


def _variable(dataset: Any, name: Hashable) -> Any:
    """A variable or coordinate; `ValueError` with those that there are."""
    xarray = _xarray("tracks_from_xarray")
    if not isinstance(dataset, xarray.Dataset):
        raise TypeError(f"An xarray.Dataset is needed, not a {type(dataset).__name__}.")
    if name not in dataset.variables:
        there = ", ".join(repr(x) for x in dataset.variables)
        raise ValueError(f"The dataset has no {name!r}, but {there or 'nothing'}.")
    return dataset[name]


def _ordered(name: Hashable, array: Any, dimensions: tuple) -> np.ndarray:
    if set(array.dims) != set(dimensions):
        raise ValueError(
            f"{name!r} must have the dimensions {dimensions}, but it has {array.dims}."
        )
    return array.transpose(*dimensions).values


def _xarray(function: str) -> Any:
    try:
        return importlib.import_module("xarray")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"noetherax.interop.{function} needs xarray, which is not installed: "
            "pip install 'noetherax[interop]'",
            name=error.name,
        ) from error
