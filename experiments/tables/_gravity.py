"""Points of mass one that attract each other by Newton's law, its constant one: motions of them, what
is learned from, and judgements of a model."""

import functools

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import noetherax as nx

TEST = 0.2
"""The part of the states that is not learned from."""

TOLERANCE, MOST_STEPS = 1e-10, 100_000
"""Of rollouts. What takes more steps has collided, and is no motion of points."""

TOGETHER = 250
"""Motions in one loop, of which the slowest sets the time."""


def law(q, v):
    """The Lagrangian of gravity."""
    first, second = np.triu_indices(len(q), 1)
    distances = jnp.linalg.norm(q[first] - q[second], axis=-1)
    return jnp.sum(jnp.square(v)) / 2 + jnp.sum(1 / distances)


def closest(q) -> np.ndarray:
    """The least distance of two points, of a configuration or a stack of them."""
    first, second = np.triu_indices(q.shape[-2], 1)
    q = np.asarray(q)
    return np.min(np.linalg.norm(q[..., first, :] - q[..., second, :], axis=-1), axis=-1)


class Times(eqx.Module):
    """So many times from zero to the last one; static, as they set what is compiled."""

    number: int = eqx.field(static=True)
    last: float = eqx.field(static=True)

    @property
    def value(self) -> np.ndarray:
        return np.linspace(0.0, self.last, self.number)


@eqx.filter_jit
def follow(model, q, v, times: Times):
    """(q, v) of motions from a stack of states, by a method that chooses its steps."""

    def one(state):
        path = nx.rollout(
            model,
            *state,
            ts=times.value,
            solver=diffrax.Dopri8(),
            stepsize_controller=diffrax.PIDController(TOLERANCE, TOLERANCE),
            max_steps=MOST_STEPS,
            throw=False,
        )
        return path.q, path.v

    return jax.lax.map(one, (q, v), batch_size=TOGETHER)


def motions(q, v, times: Times) -> nx.Observations:
    """States of the true motions at equal steps, one after the other, with their accelerations."""
    q, v = follow(law, q, v, times)
    q, v = (jnp.reshape(x, (-1, *x.shape[2:])) for x in (q, v))
    whole = jnp.all(jnp.isfinite(q) & jnp.isfinite(v), axis=(1, 2))
    q, v = q[whole], v[whole]
    return nx.Observations(q, v, jax.jit(jax.vmap(functools.partial(nx.acceleration, law)))(q, v))


def split(rng, states: nx.Observations) -> tuple[nx.Observations, nx.Observations]:
    """In random order: what is learned from, and the test."""
    order = rng.permutation(len(states.q))
    parts = np.split(order, [round((1 - TEST) * len(order))])
    train, test = (nx.Observations(*(x[of] for x in states)) for of in parts)
    return train, test


def slopes(model, test: nx.Observations) -> np.ndarray:
    """The square error of d(q, v)/dt of every state, in the mean over components. The model gives the
    accelerations; dq/dt = v is exact."""
    found = jax.jit(jax.vmap(functools.partial(nx.acceleration, model)))(test.q, test.v)
    return np.mean(np.square(np.asarray(found - test.a)), axis=(1, 2)) / 2


def energies(model, test: nx.Observations, rollouts: int, times: Times) -> np.ndarray:
    """The square error of the true energy, in the mean over the times of each rollout."""
    q, v = test.q[:rollouts], test.v[:rollouts]
    path = follow(model, q, v, times)
    energy = jax.vmap(jax.vmap(functools.partial(nx.energy, law)))(*path)
    return np.mean(np.square(np.asarray(energy - energy[:, :1])), axis=1)


def judge(model, test: nx.Observations, rollouts: int, times: Times) -> dict:
    """Both measures, their medians, and how many of the rollouts diverge."""
    slope = slopes(model, test)
    energy = energies(model, test, rollouts, times)
    diverged = ~np.isfinite(energy)
    return {
        "slope": float(np.mean(slope)),
        "slope_median": float(np.median(slope)),
        "energy": float(np.mean(energy)),
        "energy_median": float(np.median(np.where(diverged, np.inf, energy))),
        "diverged": int(np.sum(diverged)),
    }
