"""Six springs in the plane: rollouts of systems never seen, by how many were there to learn from.

The recipe: masses U(0.1, 3.1), constants k of U(0, 5), V = ½ Σ k_i k_j r_ij² over ordered pairs,
positions 0.4 N, momenta 0.6 N. Of every system there is one chunk of five states, 0.01 apart, from a
random place in its first five units of time. Known of each point are its mass and its k; declared are
the isometries of the plane. The true motion is a sum of normal modes, and needs no integrator.

States are exact, so that accelerations follow from the polynomials through the positions and
velocities of a chunk. They are all that is learned from. Then the same weights are used on four and on
eight points, and on thousands.
"""

import itertools
import time

import jax
import jax.numpy as jnp
import numpy as np
from _row import Measure, Row

import noetherax as nx

SPACING, LENGTH, SPAN = 0.01, 5, 5.0
SEEN = 1.0, 5.0
"""Units of time that rollouts are compared over; the first is the measure."""

SIZES = 10, 30, 100, 300, 1000, 3000
POINTS = 6, 4, 8
TESTS, UNSEEN = 100, 1_000_000
"""Test systems, and what is added to the seed for them."""

WIDTH, ITERATIONS = 8, 200
MANY = 4096
ARMS = {"any dependence on the constants": None, "strength": 1}


def systems(rng, count: int, points: int):
    """Masses and constants, positions and velocities."""
    m = rng.uniform(0.1, 3.1, (count, points))
    k = rng.uniform(0, 5, (count, points))
    q = 0.4 * rng.normal(size=(count, points, 2))
    p = 0.6 * rng.normal(size=(count, points, 2))
    return m, k, q, p / m[..., None]


@jax.jit
@jax.vmap
def motion(m, k, q, v, times):
    """Positions and velocities at some times: normal modes, of which one is the free motion."""
    stiffness = -2 * k[:, None] * k
    stiffness = stiffness - jnp.diag(jnp.sum(stiffness, axis=1))
    root = jnp.sqrt(m)
    squares, modes = jnp.linalg.eigh(stiffness / root[:, None] / root)
    free = (squares < 1e-9 * squares[-1])[:, None]
    rate = jnp.sqrt(jnp.where(free, 1, squares[:, None]))
    start, speed = (modes.T @ (root[:, None] * x) for x in (q, v))

    def at(t):
        cos, sin = jnp.cos(rate * t), jnp.sin(rate * t)
        place = jnp.where(free, start + speed * t, start * cos + speed * sin / rate)
        slope = jnp.where(free, speed, speed * cos - start * rate * sin)
        return modes @ place / root[:, None], modes @ slope / root[:, None]

    return jax.vmap(at)(times)


def observed(rng, count: int) -> nx.TimedObservations:
    """The first, middle and last states of one chunk of every system, with accelerations from the
    polynomials of degree nine through the positions and velocities of all five."""
    m, k, q, v = systems(rng, count, 6)
    times = rng.uniform(0, SPAN, (count, 1)) + SPACING * np.arange(LENGTH)
    q, v = motion(m, k, q, v, times)
    places = (-1, 0, 1)
    degree = 2 * LENGTH - 1
    states = nx.smooth(nx.Windows(q, v), interval=SPACING, degree=degree, places=places)
    u = np.repeat(np.stack([m, k], axis=-1).reshape(count, -1), len(places), axis=0)
    return nx.TimedObservations(*states, jnp.zeros(len(u)), jnp.asarray(u))


def learned(seed: int, data: nx.TimedObservations, iterations: int, strength: int | None):
    """A law of pairs, told by mass and constant, by Gauss–Newton from a start by least squares. With a
    strength it is declared that potentials are proportional to the constants of both points."""
    model = nx.PairwiseLagrangian(
        nx.Euclidean(2),
        WIDTH,
        attributes=2,
        mass_attribute=0,
        strength=strength,
        attribute_unit=(3.1, 5.0),
        key=jax.random.key(seed),
    )
    size = float(np.sqrt(np.mean(np.sum(np.square(data.a), axis=(1, 2)))))
    loss = nx.RelativeAccelerationLoss(floor=size)
    model, _ = nx.prepare(model, data, loss=loss)
    options: dict = {"iterations": iterations, "tolerance": 0, "progress": False}
    return nx.polish(model, data, loss=loss, **options)


def errors(model, seed: int, points: int, tests: int) -> dict[str, float]:
    """Mean and median square of the error of a position, over rollouts of systems never seen."""
    m, k, q, v = (jnp.asarray(x) for x in systems(np.random.default_rng(seed), tests, points))
    times = jnp.arange(0, SEEN[-1], 0.05)
    true, _ = motion(m, k, q, v, jnp.broadcast_to(times, (tests, len(times))))

    def rolled(m, k, q, v):
        law = nx.with_attributes(model, jnp.stack([m, k], axis=-1))
        return nx.rollout(law, q, v, ts=times, solver=nx.RK4(), dt=0.0025).q

    found = jax.jit(jax.vmap(rolled))(m, k, q, v)
    square = np.mean(np.square(np.asarray(found - true)), axis=(2, 3))
    first, last = (np.mean(square[:, np.asarray(times) <= span], axis=1) for span in SEEN)
    return {
        f"error of {points} points": float(np.mean(first)),
        f"median of {points} points": float(np.median(first)),
        f"error of {points} points to t = {SEEN[1]:g}": float(np.mean(last)),
    }


def of_many(model, seed: int, points: int, steps: int) -> dict:
    """The same weights for a crowd, its constants such that it is no stiffer than six points are."""
    m, k, q, v = (jnp.asarray(x[0]) for x in systems(np.random.default_rng(seed), 1, points))
    k = k * np.sqrt(5 / (points - 1))
    law = nx.with_attributes(model, jnp.stack([m, k], axis=-1))
    start = time.perf_counter()
    times = SPACING * jnp.arange(steps + 1)
    orbit = nx.rollout(law, q, v, ts=times, solver=nx.VariationalMidpoint())
    charge = nx.Euclidean(2).noether_charge(law)
    drifts = np.max(np.asarray(nx.drift(charge, orbit, per_charge=True)), axis=0)
    return {
        "steps": steps,
        "drift of momentum": float(np.max(drifts[:2])),
        "drift of angular momentum": float(drifts[2]),
        "seconds": time.perf_counter() - start,
    }


def main() -> None:
    measures = {
        f"error of {points} points": Measure(f"square error of a position, {points} points")
        for points in POINTS
    }
    measures |= {name: Measure(name) for name in ("drift of momentum", "drift of angular momentum")}
    row = Row(__doc__, "six_springs", measures, {"--many": (int, MANY, "points of the crowd")})
    sizes, tests, iterations = SIZES, TESTS, ITERATIONS
    many, steps = row.options.many, 5
    if row.quick:
        sizes, tests, iterations, many, steps = (10,), 4, 5, 32, 2
    for seed in row.seeds:
        model = None
        for (arm, strength), size in itertools.product(ARMS.items(), sizes):
            start = time.perf_counter()
            data = observed(np.random.default_rng(seed), size)
            model, history = learned(seed, data, iterations, strength)
            found: dict = {"loss": float(history.loss[-1]), "seconds": time.perf_counter() - start}
            for points in POINTS:
                found |= errors(model, seed + UNSEEN, points, tests)
            row.add(seed, f"{arm}, {size} systems", **found)
        row.add(seed, f"{many} points", **of_many(model, seed + UNSEEN, many, steps))
    row.show()


if __name__ == "__main__":
    main()
