"""Five charges: where they are a thousand steps later, from a law and an integrator.

The recipe: charges ±1 with probability ½, positions N(0, 1), speed 0.5 in a random direction, force
q_i q_j r/r³ on unit masses, of which every component on a particle is clipped at ±100; leapfrog at
0.001, its velocities half a step on, saved every 100 steps; 3,000 systems to learn from and 2,000 for
the test, from step 3,000 to step 4,000. Charges are known; declared are the isometries of space.

What is learned is a law, not a map. At first accelerations come from polynomials through five saved
states of the training systems, wherever a polynomial through three of them agrees. They see no pair
nearer than about a quarter; the preparation finds that the inverse root of r² explains the data best
(`noetherax.Standardisation`), and so the law goes on nearly right. Then the law is trained through
encounters: the recipe's own steps, with its clipping, lead from a saved state to the next one, where a
pair comes near on the way. At last other intervals between saved states take the place of the
accelerations, whose polynomials are not exact. The prediction takes the same steps.

In one arm the potential of a pair is the product of its charges times a function of the distance; in
the other it is any function of both. Two figures of true laws stand beside them. Without the clipping,
the law of Coulomb: what a smooth law cannot be better than. With it and a tenth of the step: what the
recipe's own step leaves open.
"""

import time
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from _row import Measure, Row

import noetherax as nx

POINTS, STEP, EVERY, LIMIT = 5, 1e-3, 100, 100.0
FIRST, SAVES = 3000, 10
TRAINING, TEST, UNSEEN = 3000, 2000, 1_000_000
FRAMES = 5
"""Saved states under one polynomial."""

AGREE, FLOOR = 1e-2, 1.0
"""Difference of two estimates of an acceleration, relative to it or to the floor, up to which the
better one is used."""

NEAR = ((0.12, 0.3), (0.04, 0.3), (0.01, 0.3))
"""Distances of the nearest pair on the way, of encounters that are learned from, one stage after the
other: from where the law is known to where it is not. Nearer, the clipping rules."""

APART = (0.3, 3.0)
"""The same, of the other intervals of the last stage."""

ENCOUNTERS, BESIDE = 400, 5
"""Encounters that are learned from, and observations beside each."""

WIDTH, ITERATIONS, SAMPLES = 16, 60, 3000
THROUGH = (4, 8, 12)
"""Steps of training in each stage."""

ARMS = "charges multiply", "any function of the charges"


def coulomb(charges, x):
    """The force on every particle."""
    apart = x[:, None] - x
    square = jnp.sum(jnp.square(apart), axis=-1) + jnp.eye(len(x))
    strength = charges[:, None] * charges / square**1.5
    return jnp.sum(strength[..., None] * apart, axis=1)


def clipped(force):
    return lambda known, x: jnp.clip(force(known, x), -LIMIT, LIMIT)


def leapfrog(force, known, x, v, steps: int, step: float = STEP):
    """Some steps from a position, and a velocity half a step on, to such a state."""

    def one(state, _):
        x, v = state
        x = x + step * v
        return (x, v + step * force(known, x)), None

    return jax.lax.scan(one, (x, v), None, length=steps)[0]


def saved(rng, count: int):
    """Charges, and the states of all saves from the first that is used on."""
    charges = rng.choice([-1.0, 1.0], (count, POINTS))
    x = rng.normal(size=(count, POINTS, 3))
    v = rng.normal(size=x.shape)
    v = 0.5 * v / np.linalg.norm(v, axis=-1, keepdims=True)
    force = clipped(coulomb)

    def orbit(charges, x, v):
        state = x, v + STEP / 2 * force(charges, x)
        state = leapfrog(force, charges, state[0], state[1], FIRST)

        def save(state, _):
            return leapfrog(force, charges, state[0], state[1], EVERY), state

        return jax.lax.scan(save, state, None, length=SAVES + 1)[1]

    return jnp.asarray(charges), *jax.jit(jax.vmap(orbit))(charges, x, v)


def filtered(frames: int) -> np.ndarray:
    """What positions, and velocities half a step on, give to position, velocity and acceleration in
    the middle, by the polynomial through all: shape `(3, kinds · frames)`."""
    at = EVERY * STEP * (np.arange(frames) - frames // 2)
    powers = np.arange(2 * frames)
    rates = powers * (at[:, None] + STEP / 2) ** np.maximum(powers - 1, 0)
    fit = np.linalg.inv(np.concatenate([at[:, None] ** powers, rates]))
    return np.stack([fit[0], fit[1], 2 * fit[2]])


def observed(charges, x, v) -> nx.TimedObservations:
    """States and accelerations where two polynomials agree."""

    def estimates(frames: int):
        skip = (FRAMES - frames) // 2
        windows = SAVES + 1 - FRAMES + 1
        chosen = np.arange(windows)[:, None] + skip + np.arange(frames)
        both = np.concatenate([np.asarray(x)[:, chosen], np.asarray(v)[:, chosen]], axis=2)
        result = np.einsum("of,swfpc->oswpc", filtered(frames), both)
        return result.reshape(3, -1, POINTS, 3)

    states = estimates(FRAMES)
    a = states[2]
    size = np.linalg.norm(a, axis=(1, 2)) + FLOOR
    good = np.linalg.norm(a - estimates(FRAMES - 2)[2], axis=(1, 2)) < AGREE * size
    u = np.repeat(np.asarray(charges), len(a) // len(charges), axis=0)
    print(f"{np.mean(good):.0%} of {len(a)} states have an acceleration", flush=True)
    chosen = np.random.default_rng(0).permutation(np.flatnonzero(good))[:SAMPLES]
    i, j = np.triu_indices(POINTS, 1)
    nearest = np.linalg.norm(states[0][good][:, i] - states[0][good][:, j], axis=-1).min()
    print(f"the nearest pair among them is {nearest:.2f} apart", flush=True)
    found = nx.Observations(*(jnp.asarray(y[chosen]) for y in states))
    return nx.TimedObservations(*found, jnp.zeros(len(chosen)), jnp.asarray(u[chosen]))


def force_of(model):
    """The force of a law, as a function of charges and positions."""

    def force(charges, x):
        law = nx.with_attributes(model, charges[:, None])
        return nx.acceleration(law, x, jnp.zeros_like(x))

    return force


class Encounter(NamedTuple):
    """A saved state and the next one, and the two particles that come nearest to each other."""

    charges: jax.Array
    x: jax.Array
    v: jax.Array
    later_x: jax.Array
    later_v: jax.Array
    pair: jax.Array


class ThroughEncounters(nx.Loss):
    """Where the steps of the recipe lead a pair, relative to what the encounter changes; and
    accelerations of other states beside it, if there are any, as `nx.RelativeAccelerationLoss` has
    them."""

    def residuals(self, model, batch):
        encounters, observed = batch
        force = force_of(model)

        def of_pair(of: Encounter):
            x, v = leapfrog(clipped(force), of.charges, of.x, of.v, EVERY)
            span = EVERY * STEP
            errors = jnp.stack([(x - of.later_x) / span, v - of.later_v])[:, of.pair]
            change = jnp.linalg.norm(of.later_v - of.v)
            return (errors[:, 0] - errors[:, 1]).reshape(-1) / (span * FLOOR + change)

        def of_state(q, a, u):
            return (force(u, q) - a) / (jnp.linalg.norm(a) + FLOOR)

        pairs = jax.vmap(of_pair)(encounters)
        if observed is None:
            return pairs
        states = jax.vmap(jax.vmap(of_state))(*observed)
        return jnp.concatenate([pairs, states.reshape(len(pairs), -1)], axis=1)

    def states(self, batch):
        return None  # of models that are prepared


def encounters_of(model, near: tuple, charges, x, v) -> Encounter:
    """Some intervals between saved states in which a pair comes near, as the law has it."""
    first_x, first_v = (y[:, :-1].reshape(-1, POINTS, 3) for y in (x, v))
    later_x, later_v = (y[:, 1:].reshape(-1, POINTS, 3) for y in (x, v))
    charges = jnp.repeat(charges, SAVES, axis=0)
    force = clipped(force_of(model))

    def nearest(charges, x, v):
        def one(state, _):
            x, v = leapfrog(force, charges, state[0], state[1], 1)
            itself = jnp.diag(jnp.full(POINTS, jnp.inf))
            return (x, v), jnp.linalg.norm(x[:, None] - x, axis=-1) + itself

        apart = jax.lax.scan(one, (x, v), None, length=EVERY)[1].min(axis=0)
        return apart.min(), jnp.stack(jnp.unravel_index(apart.argmin(), apart.shape))

    distance, pair = jax.jit(jax.vmap(nearest))(charges, first_x, first_v)
    chosen = np.flatnonzero((distance > near[0]) & (distance < near[1]))
    chosen = np.random.default_rng(0).permutation(chosen)[:ENCOUNTERS]
    found = Encounter(charges, first_x, first_v, later_x, later_v, pair)
    return jax.tree.map(lambda y: y[chosen], found)


def learned(arm: str, seed: int, motions: tuple, data: nx.TimedObservations, quick: bool):
    """A law of pairs, told by charge."""
    told: dict = {"attributes": 1, "strength": 0 if arm == ARMS[0] else None}
    model = nx.PairwiseLagrangian(nx.Euclidean(3), WIDTH, key=jax.random.key(seed), **told)
    loss = nx.RelativeAccelerationLoss(floor=FLOOR)
    model, done = nx.prepare(model, data, loss=loss)
    print(f"{arm}: {done}", flush=True)
    options: dict = {"tolerance": 0, "progress": False}
    model, _ = nx.polish(model, data, loss=loss, iterations=5 if quick else ITERATIONS, **options)
    options["loss"] = ThroughEncounters()
    first, then, last = (1, 1, 1) if quick else THROUGH
    encounters = beside(data, encounters_of(model, NEAR[0], *motions))
    model, _ = nx.polish(model, encounters, iterations=first, **options)
    encounters = beside(data, encounters_of(model, NEAR[1], *motions))
    model, _ = nx.polish(model, encounters, iterations=then, **options)
    near, apart = (encounters_of(model, distances, *motions) for distances in (NEAR[2], APART))
    intervals = jax.tree.map(lambda *y: jnp.concatenate(y), near, apart)
    return nx.polish(model, (intervals, None), iterations=last, **options)


def beside(data: nx.TimedObservations, encounters: Encounter) -> tuple:
    """Encounters, and some observations beside each."""
    count = len(encounters.x)
    chosen = np.resize(np.arange(len(data.q)), count * BESIDE)
    observed = [jnp.asarray(y)[chosen] for y in (data.q, data.a, data.u)]
    print(f"{count} encounters", flush=True)
    return encounters, tuple(y.reshape(count, BESIDE, *y.shape[1:]) for y in observed)


def errors(forces: dict, charges, x, v) -> dict:
    """Of each law with its step: mean and median square of the error of a position at the end."""
    result = {}
    for name, (force, step) in forces.items():
        steps = round(SAVES * EVERY * STEP / step)

        def end(charges, x, v, force=force, step=step, steps=steps):
            # The velocity is half a step of the recipe on, and not of this one.
            v = v + (step - STEP) / 2 * force(charges, x)
            return leapfrog(force, charges, x, v, steps, step)[0]

        found = jax.jit(jax.vmap(end))(charges, x[:, 0], v[:, 0])
        square = np.mean(np.square(np.asarray(found - x[:, -1])), axis=(1, 2))
        result[name] = {"error": float(np.mean(square)), "median": float(np.median(square))}
    return result


def main() -> None:
    published = {"EGNN": 0.0071, "SEGNN": 0.0043, "CGENN": 0.0039}
    measures = {
        "error": Measure("square error of a position", published, 1e-4),
        "median": Measure("median of it over the systems"),
    }
    row = Row(__doc__, "five_charges", measures)
    training, test = (50, 10) if row.quick else (TRAINING, TEST)
    for seed in row.seeds:
        motions = saved(np.random.default_rng(seed), training)
        data = observed(*motions)
        of_test = saved(np.random.default_rng(seed + UNSEEN), test)
        for arm in row.chosen(ARMS):
            start = time.perf_counter()
            model, history = learned(arm, seed, motions, data, row.quick)
            seconds = time.perf_counter() - start
            found = force_of(model)
            laws = {f"{arm}, clipped as in the recipe": (clipped(found), STEP), arm: (found, STEP)}
            for name, numbers in errors(laws, *of_test).items():
                row.add(seed, name, **numbers, loss=float(history.loss[-1]), seconds=seconds)
        true_laws = {
            "true, not clipped": (coulomb, STEP),
            "true, not clipped, a tenth of the step": (coulomb, STEP / 10),
            "true, a tenth of the step": (clipped(coulomb), STEP / 10),
        }
        for name, numbers in errors(true_laws, *of_test).items():
            row.add(seed, name, **numbers)
    row.show()


if __name__ == "__main__":
    main()
