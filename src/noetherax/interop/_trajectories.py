"""Trajectories as datasets of xarray, and back."""

from typing import Any

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from .._trajectory import Trajectory
from ._datasets import STATE, library, ordered, to_xarray, variable

SUCCESSFUL = "successful"

ENDINGS = (
    SUCCESSFUL,
    "max_steps_reached",
    "max_steps_rejected",
    "dt_min_reached",
    "event_occurred",
    "nonlinear_max_steps_reached",
    "nonlinear_divergence",
    "nonfinite",
    "nonfinite_input",
    "singular",
    "breakdown",
    "stagnation",
    "conlim",
    "internal_error",
)
"""Results of Diffrax, by name: their numbers change with its versions."""


@to_xarray.register
def _(motion: Trajectory):
    if isinstance(motion.q, Tracer):
        raise TypeError("to_xarray was given a traced trajectory: call it outside of jax.jit.")
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
    variables["result"] = batch, _ending_names(motion.result)
    return library().Dataset(variables, coordinates)


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
    found = {name: variable(dataset, name) for name in (times, "q", "v")}
    if "p" in dataset:
        found["p"] = variable(dataset, "p")
    ts, rest = found.pop(times), [d for d in found["q"].dims if d not in ("time", *STATE)]
    states = {
        name: jnp.asarray(ordered(name, x, (*rest, "time", *STATE))) for name, x in found.items()
    }
    ts = ordered(times, ts, (*(d for d in rest if d in ts.dims), "time"))
    names = np.full(states["q"].shape[: len(rest)], SUCCESSFUL)
    if "result" in dataset:
        names = ordered("result", dataset["result"], tuple(rest))
    endings = _endings()
    if strange := sorted(set(names.flat) - endings.keys()):
        raise ValueError(
            f"'result' holds {str(strange[0])!r}, but Diffrax has {', '.join(endings)}."
        )

    def made(ts, states, name):
        result = diffrax.RESULTS.successful
        for index, ending in enumerate(endings.values()):
            result = diffrax.RESULTS.where(name == index, ending, result)
        return Trajectory(ts=ts, **{"p": None} | states, stats={}, result=result)

    for _ in rest:
        made = jax.vmap(made)
    index = {name: number for number, name in enumerate(endings)}
    ts = jnp.broadcast_to(jnp.asarray(ts), states["q"].shape[:-2])
    return made(ts, states, jnp.asarray(np.vectorize(index.get, [int])(names)))


def _endings() -> dict[str, Any]:
    """The results that this version of Diffrax has, by name."""
    named = {name: getattr(diffrax.RESULTS, name, None) for name in ENDINGS}
    return {name: ending for name, ending in named.items() if ending is not None}


def _ending_names(result: Any) -> np.ndarray:
    """Of results, in the shape of a batch."""
    names = np.array("internal_error")
    for name, ending in _endings().items():
        names = np.where(result == ending, name, names)
    return names
