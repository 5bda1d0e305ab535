from collections.abc import Callable

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from ..dynamics import euler_lagrange_terms, momentum
from ..solvers import RK4, LagrangianTerm, VariationalSolver, velocity
from ._windows import Windows, check_windows

DEGREE = 6
"""Degree of the polynomial whose slope is the first guess of a velocity."""

DAMPING = 1e-3
"""Of a Gauss–Newton step, relative to the diagonal: for models that know nothing yet."""


def trajectory_loss(
    lagrangian: Callable,
    batch: tuple,
    *,
    interval: float,
    noise: float | tuple[float, float] = 1.0,
    solver: diffrax.AbstractSolver = RK4(),
    substeps: int = 1,
    refinements: int = 1,
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
    for name, value, least in (("substeps", substeps, 1), ("refinements", refinements, 0)):
        if not isinstance(value, int) or value < least:
            raise ValueError(f"{name} must be an integer of at least {least}, not {value!r}.")
    sigma = noise if isinstance(noise, tuple) else (noise, noise)
    if not all(0 < s < np.inf for s in sigma):
        raise ValueError(f"noise must be positive and finite, but it is {noise!r}.")

    def one(window: Windows):
        q, v = window
        centre, half = len(q) // 2, len(q) // 2
        time = half * interval  # velocities times this are lengths: unknowns of one unit

        def residual(lagrangian, unknowns):
            start = unknowns[0], unknowns[1] / time
            path = _both_ways(
                lagrangian, solver, *start, interval / substeps, half * substeps, v is not None
            )
            observed = [q] if v is None else [q, v]
            parts = [
                (x[::substeps][: len(q)] - y) / s
                for x, y, s in zip(path, observed, sigma, strict=False)
            ]
            return jnp.stack(parts)

        slope = _slope(q) / interval if v is None else v[centre]
        guess = jnp.stack([q[centre], time * slope])
        state = lax.stop_gradient(_refine(residual, lagrangian, guess, refinements))
        r = residual(lagrangian, state)
        return jnp.sum(jnp.square(r)) / (r.size - guess.size)

    windows = jax.tree.map(jnp.asarray, windows)
    return jnp.mean(jax.vmap(one)(windows))


def _refine(residual, lagrangian, guess, count):
    """The best state that `count` Gauss–Newton steps find; a step that does not help is halved."""
    if count == 0:
        return guess
    shape = guess.shape
    lagrangian = jax.tree.map(
        lambda x: lax.stop_gradient(x) if isinstance(x, jax.Array) else x, lagrangian
    )

    def flat(x):
        r = residual(lagrangian, x.reshape(shape)).reshape(-1)
        return r, r

    def step(_, carry):
        best, least, trial = carry
        jacobian, r = jax.jacfwd(flat, has_aux=True)(trial)
        cost = jnp.sum(jnp.square(r))
        better = cost < least
        normal = jacobian.T @ jacobian
        normal = normal + DAMPING * jnp.diag(jnp.diag(normal))
        next_trial = trial - jnp.linalg.solve(normal, jacobian.T @ r)
        best = jnp.where(better, trial, best)
        trial = jnp.where(better, next_trial, (best + trial) / 2)
        return best, jnp.minimum(cost, least), trial

    x = lax.stop_gradient(guess.reshape(-1))
    start = (x, jnp.array(jnp.inf, x.dtype), x)
    best, least, trial = lax.fori_loop(0, count, step, start)
    better = jnp.sum(jnp.square(flat(trial)[0])) < least
    return jnp.where(better, trial, best).reshape(shape)


def _both_ways(lagrangian, solver, q, v, dt, steps, velocities):
    """Positions, and velocities if asked for, at `2 steps + 1` times about the one given."""
    dt = jnp.asarray(dt, q.dtype)
    zero = jnp.zeros_like(dt)
    if isinstance(solver, VariationalSolver):
        terms = LagrangianTerm(lagrangian)
        start = (q, momentum(lagrangian, q, v), v)
    else:
        terms, start = diffrax.ODETerm(_vector_field), (q, v)

    def one_way(dt):
        def step(carry, _):
            y, memory = carry
            y, _, _, memory, _ = solver.step(terms, zero, dt, y, lagrangian, memory, False)
            return (y, memory), y

        memory = solver.init(terms, zero, dt, start, lagrangian)
        return lax.scan(step, (start, memory), None, length=steps)[1]

    q1, p1, *v1 = jax.vmap(one_way)(jnp.stack([-dt, dt]))
    if v1 and velocities:
        recover = jax.vmap(jax.vmap(lambda q, p, v: velocity(terms, zero, q, p, v)))
        p1 = recover(q1, p1, v1[0])
    paths = [(q1, q), (p1, v)] if velocities else [(q1, q)]
    return [jnp.concatenate([x[0, ::-1], x0[None], x[1]]) for x, x0 in paths]


def _vector_field(t, state, lagrangian):
    q, v = state
    mass_matrix, force = euler_lagrange_terms(lagrangian, q, v)
    return v, jnp.linalg.solve(mass_matrix, force).reshape(v.shape)


def _slope(q):
    """Derivative at the middle of a window of a polynomial fitted to it, for unit intervals."""
    times = np.arange(len(q)) - len(q) // 2
    scale = len(q) // 2
    powers = np.vander(times / scale, min(len(q), DEGREE + 1), increasing=True)
    weights = np.linalg.pinv(powers)[1] / scale
    return jnp.tensordot(jnp.asarray(weights, q.dtype), q, 1)
