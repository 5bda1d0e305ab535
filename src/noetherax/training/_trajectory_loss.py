from collections.abc import Callable

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float

from ..dynamics import euler_lagrange_terms, momentum
from ..solvers import RK4, LagrangianTerm, VariationalSolver, velocity
from ._windows import Windows, check_windows

DEGREE = 6
"""Degree of the polynomial through positions that gives the first guess of the states."""


def trajectory_loss(
    lagrangian: Callable,
    batch: tuple,
    *,
    interval: float,
    noise: float | tuple[float, float] = 1.0,
    solver: diffrax.AbstractSolver = RK4(),
    substeps: int = 1,
    iterations: int = 1,
) -> Float[Array, ""]:
    """How far observations lie from the nearest trajectory of the model, in units of their noise,

        min over (q_c, v_c) of  Σ_i ‖q(t_i) − q_i‖²/σ_q² + ‖v(t_i) − v_i‖²/σ_v²,

    the mean over windows, divided by the degrees of freedom (numbers observed less those of a state):
    1 for the true law on noisy observations. The second term is there if velocities are observed.

    This is multiple shooting (Bock 1983) with a free state in the middle of every window, from where
    the solver goes both ways. The state is no parameter of the training: for the model as it is, a
    few damped Gauss–Newton steps find it, from the observed state, or, for positions alone, from the
    slope of a polynomial through them (Savitzky & Golay 1964). At the minimum the derivative in the
    state vanishes, so that the gradient in the weights needs none of these steps (variable
    projection: Golub & Pereyra 1973).

    Use it where no accelerations are known. The state is fitted, not observed, and so the noise of
    positions does not enter the force as it does in [`noetherax.acceleration_loss`][], where the model
    that fits best is biased. Of n intervals h an acceleration is known to about √720 σ/(n^(5/2) h²):
    long windows are worth much more than many, as long as the first guess leads to the right state.
    A Lagrangian that determines no motion (zero, or a total derivative) has no finite loss, and the
    scale of L has no say.

    Bind the options with `functools.partial`, and give [`noetherax.fit`][] `standardise=False`.

    **Arguments:**

    - `lagrangian`: a [`noetherax.Lagrangian`][] or any function `(q, v) -> scalar`.
    - `batch`: [`noetherax.Windows`][], with velocities or without.
    - `interval`: time h between observations.
    - `noise`: standard deviation of the observations, one for both or one each for q and v. It sets the
        unit of the loss, which matters to an optimiser that clips, and how q and v are weighed.
    - `solver`: a Diffrax solver of ordinary differential equations, or a variational one such as
        [`noetherax.VariationalMidpoint`][]; it takes fixed steps. Its error should be below the noise.
    - `substeps`: steps of the solver per interval.
    - `refinements`: Gauss–Newton steps. With 0 the state is as observed, or as the polynomial has it.

    **Returns:**

    A scalar without unit; not finite where ∂²L/∂v² is singular or the solver fails.

    **Raises:**

    `ValueError` or `TypeError` for a batch that is no windows, or options that are out of range.
    """
    windows = check_windows(batch, interval)
    for name, value in (("substeps", substeps), ("iterations", iterations)):
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"{name} must be a positive integer, but it is {value!r}.")
    sigma = noise if isinstance(noise, tuple) else (noise, noise)
    if not all(0 < s < np.inf for s in sigma):
        raise ValueError(f"noise must be positive and finite, but it is {noise!r}.")

    def flow(lagrangian, state):
        return _flow(lagrangian, solver, state, interval / substeps, substeps)

    frozen = jax.tree.map(
        lambda x: lax.stop_gradient(x) if isinstance(x, jax.Array) else x, lagrangian
    )

    def one(window: Windows):
        q, v = window
        observed = [q] if v is None else [q, v]
        size = 2 * q[0].size
        seen = size // 2 * len(observed)
        scale = np.repeat(sigma[: len(observed)], size // 2)
        data = jnp.stack(observed, axis=1).reshape(len(q), seen)
        states = jnp.stack(_polynomial(q, interval) if v is None else observed, axis=1)

        for remaining in reversed(range(iterations)):
            states = lax.stop_gradient(states)
            transitions = jax.vmap(jax.jacfwd(lambda x: flow(frozen, x)))(states[:-1])
            transitions = transitions.reshape(len(q) - 1, size, size)
            ends = jax.vmap(lambda x: flow(lagrangian if remaining == 0 else frozen, x))(states[:-1])
            gaps = (ends - states[1:]).reshape(len(q) - 1, size)
            response, shift = _chain(lax.stop_gradient(transitions), gaps)
            unit = jnp.asarray(1 / scale, q.dtype)
            columns = (response[:, :seen] * unit[:, None]).reshape(-1, size)
            misfit = data - states.reshape(len(q), size)[:, :seen] - shift[:, :seen]
            misfit = (misfit * unit).reshape(-1)
            basis, triangle = jnp.linalg.qr(columns)
            if remaining:
                start = solve_triangular(triangle, basis.T @ misfit)
                states = states + (response @ start + shift).reshape(states.shape)
        # The part of the misfit that no initial state removes.
        rest = misfit - basis @ (basis.T @ misfit)
        return jnp.sum(jnp.square(rest)) / (rest.size - size)

    windows = jax.tree.map(jnp.asarray, windows)
    return jnp.mean(jax.vmap(one)(windows))


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


def _flow(lagrangian, solver, state, dt, steps: int):
    """The state (q, v), stacked, `steps` steps of the solver later."""
    q, v = state
    dt = jnp.asarray(dt, q.dtype)
    zero = jnp.zeros_like(dt)
    variational = isinstance(solver, VariationalSolver)
    if variational:
        terms, y = LagrangianTerm(lagrangian), (q, momentum(lagrangian, q, v), v)
    else:
        terms, y = diffrax.ODETerm(_vector_field), (q, v)
    memory = solver.init(terms, zero, dt, y, lagrangian)
    for _ in range(steps):
        y, _, _, memory, _ = solver.step(terms, zero, dt, y, lagrangian, memory, False)
    if variational:
        q, p, guess = y
        y = q, velocity(terms, zero, q, p, guess, lagrangian)
    return jnp.stack(y)


def _vector_field(t, state, lagrangian):
    q, v = state
    mass_matrix, force = euler_lagrange_terms(lagrangian, q, v)
    return v, jnp.linalg.solve(mass_matrix, force).reshape(v.shape)


def _polynomial(q, interval: float):
    """Values and slopes of the polynomial that fits the positions of a window best."""
    times = np.linspace(-1, 1, len(q))
    fit = np.polynomial.legendre
    degree = min(len(q) - 1, DEGREE)
    inverse = np.linalg.pinv(fit.legvander(times, degree))
    values = fit.legvander(times, degree)
    slopes = np.stack(
        [fit.legval(times, fit.legder(unit)) for unit in np.eye(degree + 1)], axis=1
    ) / ((len(q) - 1) / 2 * interval)
    return [jnp.tensordot(jnp.asarray(x @ inverse, q.dtype), q, 1) for x in (values, slopes)]
