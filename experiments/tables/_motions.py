"""The motion of a model that is nearest to a recording, and how good an estimate noise permits."""

from collections.abc import Callable
from typing import Any, NamedTuple, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import noetherax as nx

ITERATIONS, STEEPER, FLATTER = 60, 10.0, 0.2
"""Of Levenberg and Marquardt's method for the one or two states of a start."""

DRAWS = 4_000
"""Of an estimate, to know the mean of its largest error."""


@eqx.filter_jit
def follow(model: Any, state, interval, steps: int, substeps: int):
    """States (q, v) at equal times from zero, shape `(steps + 1, 2, points, space)`, by Runge and
    Kutta's method: unlike a rollout, it has derivatives in both directions."""
    h = interval / substeps

    def slope(t, state):
        q, v = state
        return jnp.stack([v, nx.acceleration(model, q, v, t, throw=False)])

    def step(state, index):
        t = h * index
        a = slope(t, state)
        b = slope(t + h / 2, state + h / 2 * a)
        c = slope(t + h / 2, state + h / 2 * b)
        d = slope(t + h, state + h * c)
        return state + h / 6 * (a + 2 * b + 2 * c + d), None

    def to_next(state, index):
        state, _ = jax.lax.scan(step, state, index * substeps + jnp.arange(substeps))
        return state, state

    _, rest = jax.lax.scan(to_next, state, jnp.arange(steps))
    return jnp.concatenate([state[None], rest])


@eqx.filter_jit
def _misfit(model, state, observed, interval, substeps: int):
    """How far a motion lies from the positions observed, and the derivatives in its start."""

    def misfit(flat):
        path = follow(model, flat.reshape(state.shape), interval, len(observed) - 1, substeps)
        return (path[:, 0] - observed).ravel()

    return slopes_of(misfit, state.ravel())


def slopes_of(function: Callable, x):
    """The value and its derivatives, one column for each component of `x`."""

    def along(unit):
        return jax.jvp(function, (x,), (unit,))

    values, slopes = jax.vmap(along, out_axes=-1)(jnp.eye(x.size, dtype=x.dtype))
    return values[..., 0], slopes


def nearest_start(model: Any, tracks: nx.Tracks, smooth: nx.Tracks, substeps: int):
    """The state at the first sample from which the model's motion stays nearest to all positions of a
    recording, by least squares. The search begins at the first smoothed state."""
    observed, h, first = jnp.asarray(tracks[0].q), tracks.interval, smooth[0]
    if h is None or first.v is None:
        raise ValueError("A start is sought of regular tracks, from smoothed ones.")
    before = round((first.t[0] - tracks[0].t[0]) / h)
    state = jnp.stack([jnp.asarray(first.q[0]), jnp.asarray(first.v[0])])
    state = follow(model, state, -h, before, substeps)[-1] if before else state
    misfit, slopes = _misfit(model, state, observed, h, substeps)
    damping = 1e-3
    for _ in range(ITERATIONS):
        square, matrix = float(jnp.sum(misfit**2)), slopes.T @ slopes
        matrix = matrix + damping * jnp.diag(jnp.diagonal(matrix))
        move = jnp.linalg.solve(matrix, -slopes.T @ misfit)
        trial = state + move.reshape(state.shape)
        found = _misfit(model, trial, observed, h, substeps)
        if float(jnp.sum(found[0] ** 2)) < square:  # never of what is not finite
            gained = square - float(jnp.sum(found[0] ** 2))
            state, (misfit, slopes), damping = trial, found, damping * FLATTER
            if gained < 1e-12 * square:
                break
        elif damping > 1e12:
            break
        else:
            damping *= STEEPER
    return state


@final
class WithPrior(nx.Loss):
    """A trajectory loss and a normal prior on the weights of networks: the minimum is the most probable
    model. Without a prior a network follows the noise of a short recording.

    - `loss`: in the unit of the data, noise 1.
    - `noise`: its standard deviation. An array, so that one program serves all.
    - `prior`: the inverse of the variance of a weight; zero for none.
    - `freedom`: degrees of freedom of all windows together, each of which has its share of the prior.
    """

    loss: nx.TrajectoryLoss
    noise: jax.Array
    prior: jax.Array
    freedom: int = eqx.field(static=True)

    def residuals(self, model, batch):
        found = self.loss.residuals(model, batch) / self.noise
        weights = jnp.sqrt(self.prior / self.freedom) * weights_of(model)
        rows = jnp.broadcast_to(weights, (len(found), len(weights)))
        return jnp.concatenate([found.reshape(len(found), -1), rows.astype(found.dtype)], axis=1)

    def states(self, batch):
        return self.loss.states(batch)


def weights_of(model: Any):
    """All weights of networks in a model."""
    nodes = jax.tree.leaves(model, is_leaf=lambda node: isinstance(node, eqx.nn.MLP))
    leaves = jax.tree.leaves([x for x in nodes if isinstance(x, eqx.nn.MLP)])
    return jnp.concatenate([x.ravel() for x in leaves if eqx.is_inexact_array(x)] or [jnp.zeros(0)])


class Permitted(NamedTuple):
    """What noise permits, to first order: standard deviations of all parameters, and the mean of the
    largest error of what is not seen."""

    deviations: np.ndarray
    largest: float


def permitted(
    motion: Callable, x, seen: int, noise: float, *, prior: Any = 0.0, draws: int = DRAWS
) -> Permitted:
    """Cramér and Rao's bound at parameters `x` of a motion, of which the positions at the first `seen`
    times are observed. With a prior, it is the covariance of a posterior: `prior` is the inverse of its
    variance, one for all parameters or one each."""
    _, slopes = slopes_of(lambda x: motion(x).reshape(-1), jnp.asarray(x))
    slopes = np.asarray(slopes)
    # Every time has as many components.
    rows = seen * (len(slopes) // len(motion(x)))
    known, unknown = slopes[:rows] / noise, slopes[rows:]
    values, vectors = np.linalg.eigh(known.T @ known + np.diag(np.broadcast_to(prior, len(x))))
    root = vectors / np.sqrt(np.maximum(values, np.finfo(float).tiny))
    drawn = root @ np.random.default_rng(0).normal(size=(len(x), draws))
    largest = np.max(np.abs(unknown @ drawn), axis=0)
    return Permitted(np.sqrt(np.sum(root**2, axis=1)), float(np.mean(largest)))
