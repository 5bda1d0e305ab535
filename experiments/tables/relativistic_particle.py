"""A relativistic particle in a uniform field, of Lagrangian networks (Cranmer et al. 2020).

One coordinate, L = 1 − √(1 − v²) + g q in units of the speed of light, and another g for every motion.
Learned from exact accelerations of random states: rapidity U(−1.5, 1.5), which is nine tenths of the
speed of light, position U(−5, 5), g U(−0.2, 0.2). 40 motions, from rapidities U(−0.5, 0.5), are
followed over 5 units of time, 100 steps. Measures: the
discrepancy of the true energy, relative to the largest of the motion's γ, and that of the true charge
γ v − g t, relative to the largest γ as well. The published result is a figure on which the energy is
seen to stay.

Known is the force g that acts, so that the loss is that of inverse dynamics. Declared is that
translations change L by the total derivative of g t: then L = f(v) + g q with a network f, and the
charge ∂f/∂v − g t is constant for any weights. An arm without that has a network of q and v.
"""

import functools
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from _gravity import Times, follow
from _row import Measure, Row

import noetherax as nx

STATES, MOTIONS, TIMES = 1_024, 40, Times(101, 5.0)
RAPIDITY, PLACE, FORCE, START = 1.5, 5.0, 0.2, 0.5
ARMS = "translations change L by d(gt)/dt", "without that"


def free(q, v):
    """The Lagrangian without field."""
    return jnp.sum(1 - jnp.sqrt(1 - jnp.square(v)))


class InField(nx.Lagrangian):
    """A Lagrangian beside g q."""

    inner: Any
    g: jax.Array

    def __call__(self, q, v):
        return self.inner(q, v) + self.g * jnp.sum(q)


def drawn(rng, count: int, rapidity: float, place: float):
    """Position, velocity and g."""
    q, w, g = (rng.uniform(-x, x, (count, 1, 1)) for x in (place, rapidity, FORCE))
    return q, np.tanh(w), g[:, 0, 0]


def observed(rng, count: int) -> nx.ForceObservations:
    """States with the force that acts."""
    q, v, g = (jnp.asarray(x) for x in drawn(rng, count, RAPIDITY, PLACE))
    a = jax.vmap(lambda q, v, g: nx.acceleration(InField(free, g), q, v))(q, v, g)
    return nx.ForceObservations(q, v, a, g[:, None, None])


def build(arm: str, key) -> nx.NeuralLagrangian:
    group = nx.Translations(1) if arm == ARMS[0] else nx.Trivial(1)
    return nx.NeuralLagrangian(group.invariant_features(1), 32, key=key)


def errors(inner, q, v, g) -> dict:
    """Of energy and charge of the true law, and of the model's own charge, at their worst times."""

    def judged(q, v, g):
        path = follow(InField(inner, g), q[None], v[None], TIMES)
        (q, v), t = (x[0] for x in path), jnp.asarray(TIMES.value)
        γ = 1 / jnp.sqrt(1 - v[:, 0, 0] ** 2)
        own = jax.vmap(functools.partial(nx.momentum, inner))(q, v)[:, 0, 0] - g * t
        kept = γ - g * q[:, 0, 0], γ * v[:, 0, 0] - g * t, own
        return [jnp.max(jnp.abs(x - x[0])) / jnp.max(γ) for x in kept]

    energy, charge, own = (np.asarray(x) for x in jax.jit(jax.vmap(judged))(q, v, g))
    return {
        "energy": float(np.mean(energy)),
        "energy_worst": float(np.max(energy)),
        "charge": float(np.mean(charge)),
        "own_charge_worst": float(np.max(own)),
    }


def main() -> None:
    measures = {
        "energy": Measure("discrepancy of the energy, relative", aim=1e-5),
        "charge": Measure("discrepancy of the charge, relative", aim=1e-5),
        "own_charge_worst": Measure("worst change of the model's own charge, relative"),
    }
    row = Row(__doc__, "relativistic_particle", measures)
    steps, iterations = (3, 2) if row.quick else (2_000, 1_000)
    for seed in row.seeds:
        rng = np.random.default_rng(seed)
        data = observed(rng, 64 if row.quick else STATES)
        begin = drawn(rng, 4 if row.quick else MOTIONS, START, 0.0)
        for arm in row.chosen(ARMS):
            begun = time.perf_counter()
            keys = jax.random.split(jax.random.key(seed))
            options: dict[str, Any] = {"loss": nx.ForceLoss(), "progress": False}
            model, _ = nx.fit(build(arm, keys[0]), data, steps=steps, key=keys[1], **options)
            model, history = nx.polish(model, data, iterations=iterations, tolerance=0, **options)
            found = errors(model, *begin)
            seconds = time.perf_counter() - begun
            row.add(seed, arm, **found, loss=float(history.loss[-1]), seconds=seconds)
    row.show()


if __name__ == "__main__":
    main()
