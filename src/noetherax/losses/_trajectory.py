import math
from typing import Any, final

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float, PyTree

from .._checks import check_count, check_number
from .._derivatives import without_derivatives
from .._types import Time
from ..data import (
    Noise,
    Timing,
    Windows,
    check_noise,
    check_timed_windows,
    timing_of,
)
from ..forces import Kind
from ..solvers import RK4, check_formulated
from ._base import Loss, States
from ._instants import Piece, check_kind, pieces_of, windows_at
from ._links import links_of
from ._window_states import window_states

DEGREE = 6
"""Highest degree of the polynomial through positions that gives the first guess of the states."""

LOCAL = 13
"""Most samples under one such polynomial: over a window of several periods none follows the motion."""

LEAST_TERMS = 3
"""A motion with a force is a parabola at least."""

CAUTION = 2.0
"""Factor by which every further term must lower the score: by cross-validation alone a third of windows
of nine samples would follow their noise."""


@final
class TrajectoryLoss(Loss):
    """How far observations lie from the nearest trajectory of the model, in units of their noise,

        min over trajectories of  Σ_i ‖q(t_i) − q_i‖²/σ_q² + ‖v(t_i) − v_i‖²/σ_v²,

    the mean over windows, divided by the degrees of freedom (numbers observed less those of a state):
    1 for the true law on noisy observations. The second term is there if velocities are observed.

    This is multiple shooting (Bock 1983). The solver goes from every state of a window to the next,
    all at once. What is missing between the pieces, and their derivatives, give the nearest
    trajectory to first order: a Gauss–Newton step, in which the state at the start of the window is
    projected out (variable projection: Golub & Pereyra 1973; Kaufman 1975). It is no parameter of the
    training. The states that the pieces start from are those observed; for positions alone, values and
    slopes of polynomials through 13 samples or fewer (Savitzky & Golay 1964), of the degree up to 6
    that follows the motion and not its noise (Craven & Wahba 1978). One step is enough as long as that
    polynomial follows the window: on Kepler orbits with noise the loss of the
    true law changes by 1e-4 or less with more.

    Use it where no accelerations are known. Since states are fitted, their noise does not enter the
    force, as it does in [`noetherax.AccelerationLoss`][], where the law that fits best is biased. From
    n intervals h an acceleration is known to about √720 σ/(n^(5/2) h²), so that one long window is
    worth many short ones. A Lagrangian that determines no motion (zero, or a total derivative) has no
    finite loss, and the scale of L has no say.

    A batch is [`noetherax.Windows`][], with velocities or without, or without an interval
    [`noetherax.TimedWindows`][]. Accelerations have no part in the loss, but [`noetherax.fit`][]
    prepares a new model by them; where they are not there, by those of a polynomial through each
    window. The model is a [`noetherax.Lagrangian`][] or any function `(q, v) -> scalar`, with forces or
    not. Where it depends on time or takes inputs, the batch is [`noetherax.DrivenWindows`][]. The loss
    has no unit; it is not finite where ∂²L/∂v² is singular or the solver fails.

    !!! example

        ```python
        import jax.numpy as jnp
        import numpy as np
        import noetherax as nx

        t = np.linspace(0.0, 6.0, 61)
        noise = 1e-2 * np.random.default_rng(0).normal(size=61)
        tracks = nx.Tracks(t, (np.cos(t) + noise)[:, None, None])  # positions alone
        windows = tracks.windows(times=21)
        loss = nx.TrajectoryLoss(tracks.interval, noise=1e-2)
        # nx.fit(model, windows, loss=loss, steps=1_000, key=key) trains a model by it.
        value = loss(lambda q, v: jnp.sum(v**2 - q**2) / 2, windows)
        assert 0.5 < value < 1.5  # about one for the true law: in units of the noise
        ```

    **Arguments:**

    - `interval`: time h between observations; `None` for windows that carry their times.
    - `noise`: standard deviation of the observations, one for both or one each for q and v. It sets the
        unit of the loss, which matters to an optimiser that clips, and how q and v are weighed. If it
        is not given, q and v count alike, and [`noetherax.fit`][] divides the loss by that without
        any force.
    - `solver`: a solver as in [`noetherax.rollout`][], for instance a variational one such as
        [`noetherax.VariationalMidpoint`][]; it takes fixed steps. Its error should be below the noise.
    - `substeps`: steps of the solver per interval.
    - `iterations`: Gauss–Newton steps. The gradient is that of the minimum, exact when they converge:
        it leaves out how the last step itself depends on the weights, some per cent of it after one.
    - `inputs`: how inputs go on between samples, as in [`noetherax.Inputs`][]: `"linear"`, `"cubic"`,
        or `"hold"`, which keeps each until the next sample.

    **Raises:**

    `ValueError` or `TypeError` for options that are out of range. `residuals` and `states` raise them
    for a batch that is no windows.
    """

    interval: float | None = eqx.field(static=True)
    noise: float | tuple[float, ...] | None = eqx.field(static=True)
    solver: diffrax.AbstractSolver
    substeps: int = eqx.field(static=True)
    iterations: int = eqx.field(static=True)
    inputs: Kind = eqx.field(static=True)

    def __init__(
        self,
        interval: Time | None = None,
        *,
        noise: Noise | None = None,
        solver: diffrax.AbstractSolver = RK4(),
        substeps: int | np.integer = 1,
        iterations: int | np.integer = 1,
        inputs: Kind = "linear",
    ):
        if not isinstance(solver, diffrax.AbstractSolver):
            raise TypeError(
                f"solver must be a Diffrax solver, such as noetherax.RK4(), but it is {solver!r}."
            )
        check_formulated(solver)
        self.interval = None if interval is None else check_number("interval", interval)
        self.noise = None if noise is None else _hashable(noise)
        self.solver = solver
        self.substeps = check_count("substeps", substeps)
        self.iterations = check_count("iterations", iterations)
        self.inputs = check_kind(inputs)

    def residuals(self, model: PyTree, batch: PyTree) -> Float[Array, "windows components"]:
        times, windows, timing = self._split(batch)
        windows = windows._replace(a=None)
        interval = self.interval if times is None else None
        pieces = pieces_of(model, timing, self.inputs, windows.q.dtype, interval)
        sigma = check_noise(1.0 if self.noise is None else self.noise, windows)
        at = self.interval if times is None else jnp.asarray(times, windows.q.dtype)
        return self._residuals(model, jax.tree.map(jnp.asarray, windows), sigma, at, pieces)

    def _residuals(self, lagrangian, windows: Windows, sigma, at, pieces: Piece | None):
        """Of windows, with their times or the interval between them. The sum of squares of each is χ²
        per degree of freedom."""
        q, v, _ = windows
        count, times, size = *q.shape[:2], 2 * q[0, 0].size
        observed = [q] if v is None else [q, v]
        data = jnp.stack(observed, axis=2).reshape(count, times, -1)
        seen = data.shape[-1]
        weights = jnp.asarray(1 / np.repeat(sigma, q[0, 0].size), q.dtype)
        apart, axis = (at, None) if np.ndim(at) == 0 else (jnp.diff(at), 0)

        def linearise(lagrangian, states):
            """The misfit, its derivative in the first state, and how all states move to close the
            gaps."""
            starts = states[:, :-1]
            ends, transitions = links_of(
                lagrangian, self.solver, self.substeps, self.inputs, starts, apart, pieces
            )
            gaps = (ends - states[:, 1:]).reshape(count, times - 1, size)
            response, shift = jax.vmap(_chain)(transitions, gaps)
            misfit = weights * (data - (states.reshape(count, times, size) + shift)[..., :seen])
            columns = weights[:, None] * response[:, :, :seen]
            return misfit.reshape(count, -1), columns.reshape(count, -1, size), response, shift

        if v is None:
            observed = jax.vmap(_guessed, (0, axis))(q, at)
        states = jnp.stack(observed, axis=2)
        for _ in range(self.iterations - 1):
            states = jax.vmap(_moved)(states, *linearise(without_derivatives(lagrangian), states))
        misfit, columns, *_ = linearise(lagrangian, states)
        return jax.vmap(_remaining)(misfit, columns)

    def states(self, batch: PyTree) -> States:
        times, windows, timing = self._split(batch)
        return window_states(windows, self.interval if times is None else times, timing)

    def _split(self, batch: PyTree) -> tuple[Any, Windows, Timing | None]:
        """The times between samples in a batch, if it has any, the windows, and when they were."""
        if self.interval is not None:
            return None, *windows_at(batch, self.interval)
        states, timing = timing_of(batch)
        timed = check_timed_windows(states)
        return timed.t, Windows(timed.q, timed.v, timed.a), timing


def _hashable(noise: Any) -> float | tuple[float, ...]:
    if np.ndim(noise) == 0:
        return check_number("noise", noise)
    return tuple(check_number(f"noise[{k}]", x) for k, x in enumerate(noise))


def _moved(states, misfit, columns, response, shift):
    """The states of a window on the nearest trajectory, to first order."""
    basis, triangle = jnp.linalg.qr(columns)
    first = solve_triangular(triangle, basis.T @ misfit)
    return states + (response @ first + shift).reshape(states.shape)


def _remaining(misfit, columns):
    """What no initial state removes of a misfit."""
    basis, _ = jnp.linalg.qr(columns)
    remaining = misfit - basis @ (basis.T @ misfit)
    return remaining / math.sqrt(remaining.size - columns.shape[1])


def _chain(transitions, gaps):
    """How all states of a window move with the first, δ_i = A_i δ₀ + b_i, so that no gap is left."""

    def step(carry, link):
        response, shift = carry
        transition, gap = link
        carry = transition @ response, transition @ shift + gap
        return carry, carry

    start = (jnp.eye(gaps.shape[1], dtype=gaps.dtype), jnp.zeros_like(gaps[0]))
    _, rest = lax.scan(step, start, (transitions, gaps))
    return jax.tree.map(lambda x0, x: jnp.concatenate([x0[None], x]), start, rest)


def _guessed(q, at):
    """Values and slopes of polynomials through the positions of a window, at each time of that whose
    middle is nearest."""
    times = len(q)
    if times <= LOCAL:
        return _polynomial(q, at)
    first = np.clip(np.arange(times) - LOCAL // 2, 0, times - LOCAL)
    samples = np.arange(times - LOCAL + 1)[:, None] + np.arange(LOCAL)
    regular = np.ndim(at) == 0
    of_pieces = jax.vmap(_polynomial, (0, None if regular else 0))
    values, slopes = of_pieces(q[samples], at if regular else at[samples])
    place = np.arange(times) - first
    return [values[first, place], slopes[first, place]]


def _polynomial(q, at):
    """Values and slopes of the polynomial that fits the positions of a window best, whose times or the
    interval between them are given."""
    times, regular = len(q), np.ndim(at) == 0
    span = (times - 1) * at if regular else at[-1] - at[0]
    places = np.linspace(-1, 1, times) if regular else 2 * (at - at[0]) / span - 1
    numbers, decompose = (np, np.linalg.qr) if regular else (jnp, jnp.linalg.qr)
    powers = [places**power for power in range(min(times, DEGREE + 1))]
    rates = [0 * places, *(k * x for k, x in enumerate(powers[:-1], 1))]
    basis, triangle = decompose(numbers.stack(powers, axis=1))
    rates = jnp.asarray(numbers.linalg.inv(triangle.T) @ numbers.stack(rates), q.dtype).T
    basis = jnp.asarray(basis, q.dtype)
    size = jnp.mean(q, axis=0)  # far from zero, digits would be lost
    terms = jnp.tensordot(basis, q - size, (0, 0))
    terms = terms * _followed(terms, q - size, basis)[(..., *[None] * (q.ndim - 1))]
    values, slopes = (jnp.tensordot(x, terms, 1) for x in (basis, rates))
    return [size + values, slopes / (span / 2)]


def _followed(terms, q, basis):
    """Which terms of a polynomial tell motion from noise: those up to the degree of least generalised
    cross-validation, RSS/(n − p)² (Craven & Wahba 1978), with caution. Higher ones would put the noise
    of positions into slopes, and so into states that the model need not know."""
    times, most = basis.shape
    remaining = jnp.sum(jnp.square(q - jnp.tensordot(basis, terms, 1)))
    of_terms = jnp.sum(jnp.square(terms), axis=tuple(range(1, terms.ndim)))
    remaining = remaining + jnp.cumsum(of_terms[::-1])[::-1] - of_terms  # after each term
    numbers = np.arange(1, most + 1)
    candidates = (numbers >= min(LEAST_TERMS, most)) & (numbers < max(times, LEAST_TERMS + 1))
    price = jnp.asarray(CAUTION**numbers / np.maximum(times - numbers, 1) ** 2, q.dtype)
    score = jnp.where(candidates, remaining * price, jnp.inf)
    return (jnp.arange(most) <= jnp.argmin(score)).astype(q.dtype)
