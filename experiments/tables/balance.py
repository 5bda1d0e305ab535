"""What forces put into charges, accounted for to rounding: machines with random weights, in float64.

Bodies in the plane or in space, or about a centre, with the Lagrangian of a spring between all bodies
and a network of the group's invariants with random weights; friction that keeps the charges of the
group, convex in the rates, random weights as well; a drive that is a function of time; and control by
an input. 10⁵ steps of a variational solver of order 4, of 0.01, 0.1 and 0.3. Measures: what is left of
the change of every charge when the part of all forces is taken off, relative to the largest size of
that charge.

With friction alone: in how many of 1,000 draws of weights the energy went up in any of 200 steps of
0.05, by more than rounding (64 roundings of the largest kinetic and potential energy of the motion),
and in how many friction did positive work in a step, to the same rounding; how far all charges drift
while the energy of the springs falls, and what is left of that energy.
"""

import time

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from _row import Measure, Row

import noetherax as nx

GROUPS = {
    "three bodies in the plane": (nx.Euclidean(2), 3),
    "two bodies in space": (nx.Euclidean(3), 2),
    "two bodies about a centre": (nx.Rotations(3), 2),
}
STEPS = {"001": 0.01, "01": 0.1, "03": 0.3}
ROUNDINGS = 64
"""Of sizes in an energy, below which a change of it is none: it is the sum of some tens of terms."""


class Springs(nx.SeparableLagrangian):
    """Between all bodies, and from a centre if there is one."""

    masses: tuple[float, ...] = eqx.field(static=True)
    centred: bool = eqx.field(static=True)

    def inertia(self):
        return self.masses

    def potential(self, q):
        between = q[:, None] - q[None]
        return jnp.sum(between**2) / 4 + self.centred * jnp.sum(q**2) / 2


class Saturated(nx.ConfigurationFeatures):
    """Invariants of a group between −1 and 1: no random potential then drives bodies apart for ever."""

    inner: nx.ConfigurationFeatures
    num_features: int

    def __init__(self, inner: nx.ConfigurationFeatures):
        self.inner, self.num_features = inner, inner.num_features

    def __call__(self, q):
        return jnp.tanh(self.inner(q))


def springs(name: str) -> Springs:
    return Springs((1.0, 2.0, 1.5)[: GROUPS[name][1]], name == "two bodies about a centre")


def lagrangian(name: str, key) -> nx.LagrangianSum:
    group, points = GROUPS[name]
    features = Saturated(group.configuration_features(points))
    network = nx.NeuralSeparableLagrangian(features, width=16, key=key)
    return nx.LagrangianSum(springs(name), network)


def friction(name: str, key) -> nx.Friction:
    group, points = GROUPS[name]
    return nx.Friction(group.configuration_features(points), "convex", width=16, key=key)


def start(name: str, key):
    group, points = GROUPS[name]
    return jax.random.normal(key, (2, points, group.space))


def drive(q, v, t):
    return jnp.zeros_like(q).at[0, 0].set(jnp.cos(2 * t))


def command(q, v, t, u):
    return jnp.zeros_like(q).at[-1, :2].set(u)


def steering(t):
    return jnp.stack([jnp.cos(0.7 * t), jnp.cos(3 * t)]) / 5


def balances(name: str, seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Of the charges and of the energy, relative to the largest size of each, for every step size."""
    keys = jax.random.split(jax.random.key(seed), 3)
    forced = nx.Forced(lagrangian(name, keys[0]), friction(name, keys[1]), drive, command)
    machine = nx.Driven(forced, steering)
    state, solver = start(name, keys[2]), nx.VariationalGauss4()
    charges = GROUPS[name][0].noether_charge(machine), nx.Energy(machine)

    def left(charge, orbit):
        sizes = jnp.max(jnp.abs(jax.vmap(charge)(orbit.q, orbit.v, orbit.ts)), axis=0)
        return jnp.max(jnp.max(jnp.abs(nx.balance(charge, orbit)), axis=0) / sizes)

    @jax.jit
    @jax.vmap  # one program for all steps
    def largest(h):
        orbit = nx.rollout(machine, *state, ts=h * jnp.arange(count + 1.0), solver=solver)
        return [left(charge, orbit) for charge in charges]

    of_charges, of_energy = largest(jnp.array(list(STEPS.values())))
    return np.asarray(of_charges), np.asarray(of_energy)


@eqx.filter_jit
def gains(name: str, keys, h: float, count: int):
    """Of every draw, the largest rise of the energy in a step and the largest work of friction, both in
    roundings of the energies in the motion."""

    def one(key):
        keys = jax.random.split(key, 3)
        model = nx.Forced(lagrangian(name, keys[0]), friction(name, keys[1]))
        state, ts = start(name, keys[2]), h * jnp.arange(count + 1)
        orbit = nx.rollout(model, *state, ts=ts, solver=nx.VariationalGauss4(), throw=False)
        assert orbit.p is not None  # of a variational solver
        energy = nx.Energy(model)
        values = jax.vmap(energy)(orbit.q, orbit.v)[:, 0]
        kinetic = jnp.sum(orbit.p * orbit.v, axis=(1, 2)) / 2
        size = jnp.max(kinetic) + jnp.max(jnp.abs(values - kinetic))
        unit = size * jnp.finfo(size.dtype).eps
        work = jnp.diff(nx.impulses(energy, orbit)[:, 0, 0])
        return jnp.max(jnp.diff(values)) / unit, jnp.max(work) / unit, values[-1] - values[0]

    return jax.lax.map(one, keys, batch_size=100)


def kept(name: str, seed: int, end: float) -> tuple[float, float]:
    """Under friction alone, the drift of all charges and what is left of the springs' energy."""
    keys = jax.random.split(jax.random.key(seed), 2)
    model = nx.Forced(springs(name), friction(name, keys[0]))
    ts = 0.1 * np.arange(round(end / 0.1) + 1)
    orbit = nx.rollout(model, *start(name, keys[1]), ts=ts, solver=nx.VariationalGauss4())
    energy = jax.vmap(nx.Energy(model))(orbit.q, orbit.v)[:, 0]
    drift = nx.drift(GROUPS[name][0].noether_charge(model), orbit)
    return float(jnp.max(drift)), float(energy[-1] / energy[0])


def main() -> None:
    measures = {
        f"balance_{k}": Measure(f"balance of charges, steps of {h:g}, relative", aim=1e-12)
        for k, h in STEPS.items()
    }
    measures |= {
        f"energy_{k}": Measure(f"balance of the energy, steps of {h:g}, relative")
        for k, h in STEPS.items()
    }
    measures |= {
        "rises": Measure("draws of 1,000 in which the energy rose in a step", aim=0.0),
        "works": Measure("draws of 1,000 in which friction did positive work in a step", aim=0.0),
        "drift": Measure("drift of all charges under friction, relative", aim=1e-12),
        "left": Measure("energy left of one, in the same motion", aim=0.5),
    }
    row = Row(__doc__, "balance", measures)
    count, draws, end = (50, 4, 2.0) if row.quick else (100_000, 1_000, 200.0)
    for seed in row.seeds:
        for name in row.chosen(list(GROUPS)):
            begun, found = time.perf_counter(), {}
            for name_of, numbers in zip(
                ("balance", "energy"), balances(name, seed, count), strict=True
            ):
                found |= {f"{name_of}_{k}": float(x) for k, x in zip(STEPS, numbers, strict=True)}
            keys = jax.random.split(jax.random.key(1_000 + seed), draws)
            rise, work, _ = (np.asarray(x) for x in gains(name, keys, 0.05, 200))
            found["rises"] = int(np.sum(~(rise <= ROUNDINGS)))
            found["works"] = int(np.sum(~(work <= ROUNDINGS)))
            found["drift"], found["left"] = kept(name, seed, end)
            found["largest_rise"] = float(np.max(rise))
            row.add(seed, name, **found, seconds=time.perf_counter() - begun)
    row.show()


if __name__ == "__main__":
    main()
