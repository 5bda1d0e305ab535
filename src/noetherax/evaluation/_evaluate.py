import inspect
from collections.abc import Callable, Mapping
from typing import Any, overload

import diffrax
import numpy as np
from jaxtyping import PRNGKeyArray, Real

from .._checks import check_count, check_number
from .._types import FloatArray
from ..data import Tracks
from ..forces import Kind
from ..systems import System
from ._judged import judged
from ._motions import MOST_STEPS
from ._record import Evaluation


@overload
def evaluate(
    model: Callable,
    against: Tracks,
    *,
    times: int | None = None,
    charges: Mapping[str, Callable] | None = None,
    inputs: Kind = "linear",
    threshold: float = 0.1,
    solver: diffrax.AbstractSolver | None = ...,
    dt: float | None = None,
    max_steps: int = ...,
) -> Evaluation: ...
@overload
def evaluate(
    model: Callable,
    against: System,
    *,
    ts: Real[FloatArray, " times"],
    orbits: int = 8,
    twin: float = 1e-3,
    key: PRNGKeyArray | None = None,
    charges: Mapping[str, Callable] | None = None,
    threshold: float = 0.1,
    solver: diffrax.AbstractSolver | None = ...,
    dt: float | None = None,
    max_steps: int = ...,
) -> Evaluation: ...
@overload
def evaluate(model: Callable, against: object, **options: Any) -> Evaluation: ...
def evaluate(
    model: Callable,
    against: Any,
    *,
    threshold: float = 0.1,
    solver: diffrax.AbstractSolver | None = None,
    dt: float | None = None,
    max_steps: int = MOST_STEPS,
    **options: Any,
) -> Evaluation:
    """Judges a model by what was recorded, or by the truth, where it is known.

    A low loss is no proof of a law: it may be the mean of noisy samples on one curve. What counts is
    what a model does. Everything is relative, in the unit that the table names, and a motion that fails
    counts as infinitely wrong in every median.

    - `distance`: the largest ‖q(t) − q̂(t)‖ over the size of the motion, which is its own largest
        distance from its mean.
    - `horizon`: the time until that passes `threshold`, over the time followed.
    - `explained`: 1 − Σ ‖a − â‖²/Σ ‖a‖², the share of the acceleration that the model gives. No force
        at all explains nothing.
    - `model drift of …`: the largest ‖I(t) − I(0)‖/‖I(0)‖ of the model's own charge along its own
        motion.
    - `recorded drift of …`, for tracks: of the model's charge along the recorded motion.
    - `true drift of …`, for systems: of the true charge, with the true momenta, along the model's
        motion.
    - `twin ratio`, for systems: how far apart two motions of the model get that start a little beside
        each other, over how far apart the true ones get. One means that the law is known beside the
        motion as well; far below one, that a model knows a single orbit by heart.
    - `error of da/dq`, `error of da/dv`, for systems: ‖∂a/∂q − ∂â/∂q‖, and likewise for v, over both
        true ones together.

    **Tracks** are followed from the first sample of each recording, or of each window of `times`
    samples. Noise of the samples is part of the distance, and that of the first one of all that
    follows. A model that depends on time, or takes inputs, is followed at the recording's own times and
    under its inputs.

    **A system** judges by the motion from its initial state, by motions from random states
    (`unseen`), and by that from its initial state as moved by elements of its group (`moved`). Each has
    a twin that starts beside it. The law is compared along the true motion from the initial state.
    Where the true motion is chaotic, nothing follows it for long; the horizon then says more than the
    distance.

    Coordinates are taken to share a unit, as points of space do. Angles with a period in tracks are
    compared the shorter way round. The drift of a charge that has cancelled to less than 1 % of its
    terms is measured by those, see [`noetherax.drift`][].

    !!! example

        ```python
        import jax.numpy as jnp
        import numpy as np
        import noetherax as nx


        def guess(q, v):
            return jnp.sum(v**2) / 2 - 1.1 * jnp.sum(q**2) / 2


        t = np.linspace(0.0, 5.0, 51)
        q = np.stack([np.cos(t), np.sin(t)], axis=-1)[:, None]
        v = np.stack([-np.sin(t), np.cos(t)], axis=-1)[:, None]
        charges = {"L": nx.Rotations(2).noether_charge}
        found = nx.evaluate(guess, nx.Tracks(t, q, v), charges=charges, solver=nx.RK4())
        assert found["distance"].median > 0.1  # it does not know the motion,
        assert found["model drift of L"].worst < 1e-3  # but keeps the angular momentum
        print(found)
        ```

    **Arguments:**

    - `model`: a [`noetherax.Lagrangian`][], a [`noetherax.AccelerationLaw`][], or any function
        `(q, v) -> scalar`.
    - `against`: [`noetherax.Tracks`][] with velocities, or a [`noetherax.systems.System`][]. For a type
        of your own register a rule, `noetherax.evaluation.judged.register`.
    - `threshold`: the error at which the horizon ends.
    - `charges`: functions from a Lagrangian to a charge of it, by name, such as
        `{"L": nx.Rotations(3).noether_charge, "energy": nx.Energy}`. By default the energy, and for a
        system the charges of its group. Their time is that of the recording's clock;
        where the precision of the model cannot tell its times apart, the time since the start.
    - `solver`, `dt`: as for [`noetherax.rollout`][]. Tracks with times of their own take no `dt`.
    - `max_steps`: most steps of a motion whose steps are chosen; one that needs more has failed.
    - `times`: for tracks, samples in a window; whole recordings if not given.
    - `inputs`: for tracks, how inputs go on between samples, as in [`noetherax.Inputs`][].
    - `ts`: for a system, times from 0 on.
    - `orbits`: for a system, how many unseen motions, and how many moved ones.
    - `twin`: for a system, how far away twins start (standard deviation), in sizes of the motion.
    - `key`: for a system, random key of states, elements and twins; the same ones each time if not
        given.

    **Returns:**

    An [`noetherax.Evaluation`][], which prints as a table.

    **Raises:**

    `ValueError` or `TypeError` if an option is wrong, the tracks have no velocities, or `against` is
    neither; `RuntimeError` if the truth itself cannot be followed.
    """
    if not callable(model):
        raise TypeError(
            f"model must be a Lagrangian or a function (q, v) -> scalar, but it is {model!r:.200}."
        )
    _check_options(type(against), options)
    threshold, max_steps = check_number("threshold", threshold), check_count("max_steps", max_steps)
    if isinstance(dt, np.floating | np.integer):  # known when programs are made, as to `rollout`
        dt = float(dt)
    rollout: dict[str, Any] = dict(solver=solver, dt=dt)
    if dt is None:
        rollout["max_steps"] = max_steps
    return judged(against, model, threshold=threshold, rollout=rollout, **options)


def _check_options(kind: type, options: dict[str, Any]) -> None:
    """Raises a `TypeError` that names the option that there is not, and those that there are."""
    parameters = inspect.signature(judged.dispatch(kind)).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return  # the rule says itself what it takes
    known = [x.name for x in parameters if x.kind is x.KEYWORD_ONLY and x.default is not x.empty]
    for name in options.keys() - known:
        raise TypeError(
            f"evaluate by {kind.__name__} has no option {name}=. There are: {', '.join(known)}; and "
            "for all threshold, solver, dt, max_steps."
        )
