import helpers
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import noetherax as nx
from noetherax import testing


@pytest.mark.parametrize("name", ["Kepler", "sum"])  # of the others it is a law of the Lagrangian
def test_energy_is_conserved(name):
    lagrangian, group, points, strategy = helpers.LAGRANGIANS[name]()
    testing.check_charge(
        nx.Energy(lagrangian),
        lagrangian,
        points=points,
        space=group.space,
        state_strategy=strategy,
    )


def test_a_plain_network_loses_angular_momentum():
    plain = helpers.neural(nx.Trivial(3), 1)
    charge = nx.Rotations(3).noether_charge(plain)
    with pytest.raises(AssertionError, match="constant along the equations of motion"):
        testing.check_charge(charge, plain, points=1, space=3)


class Galilean(nx.SymmetryGroup):
    """Boosts ξ_a = t e_a: generators that depend on time, and a boundary term."""

    space: int = 3
    dimension: int = 3

    def generators(self, q, t=0.0):
        t = jnp.asarray(t, q.dtype)
        return t * jnp.broadcast_to(jnp.eye(3, dtype=q.dtype)[:, None], (3, *q.shape))

    def act(self, coefficients, q, v, t=0.0):
        return q + t * coefficients, v + coefficients

    def invariant_features(self, points):
        raise NotImplementedError


def two_bodies(q, v):
    masses = jnp.array([[1.0], [3.0]])
    return 0.5 * jnp.sum(masses * v**2) - jnp.sum((q[0] - q[1]) ** 2)


def test_boosts_conserve_the_centre_of_mass_motion():
    def boundary(q, t):
        return q[0] + 3 * q[1]

    charge = Galilean().noether_charge(two_bodies, boundary=boundary)
    testing.check_charge(charge, two_bodies, points=2, space=3)
    without = Galilean().noether_charge(two_bodies)
    with pytest.raises(AssertionError, match="constant along"):
        testing.check_charge(without, two_bodies, points=2, space=3)


def test_the_lift_of_a_time_dependent_generator_moves_velocities():
    q, v = np.zeros((2, 1, 3))
    of_q, of_v = nx.lift(Galilean().generators, q, v, 0.0)
    assert not np.any(of_q)
    assert np.array_equal(of_v[:, 0], np.eye(3))


def test_charges_from_momenta_are_the_same():
    lagrangian = helpers.neural(nx.Rotations(3), 1)
    charge = nx.Rotations(3).noether_charge(lagrangian)
    q, v = np.random.default_rng(0).normal(size=(2, 1, 3))
    p = nx.momentum(lagrangian, q, v)
    assert np.array_equal(charge(q, v), charge.at_momentum(q, p))


@pytest.mark.parametrize("solver", [nx.RK4(), nx.VariationalMidpoint()])
def test_what_conserves_keeps_every_bit_on_accelerators(solver):
    """Their default would round the factors of products to eleven bits. No CPU shows that."""
    group = nx.Rotations(3)
    lagrangian = helpers.neural(group, 1)
    q, v = np.random.default_rng(0).normal(size=(2, 1, 3))

    def path(q, v):
        return nx.rollout(lagrangian, q, v, ts=np.linspace(0, 1, 3), solver=solver, throw=False).q

    assert len(helpers.products(path, q, v)) > len(helpers.products(lagrangian, q, v))
    helpers.check_precision(path, q, v)
    helpers.check_precision(group.noether_charge(lagrangian), q, v)
    helpers.check_precision(nx.Energy(lagrangian), q, v)
    helpers.check_precision(lambda q, v: nx.momentum(lagrangian, q, v), q, v)


def test_charges_that_a_precision_cannot_resolve_are_told():
    """An atom on a spring, in SI units and float32: its angular momentum is 8e-36."""

    atom = jax.tree_util.Partial(
        lambda m, q, v: m * jnp.sum(v**2) / 2 - jnp.sum(q**2) / 2, jnp.float32(6.6e-26)
    )
    q, v = jnp.array([[1e-11, 0.0]], jnp.float32), jnp.array([[0.0, 11.7]], jnp.float32)
    path = nx.rollout(atom, q, v, ts=np.linspace(0, 1e-11, 5), dt=1e-13, solver=nx.RK4())
    charge = nx.Rotations(2).noether_charge(atom)
    with pytest.warns(UserWarning, match="float32 has no numbers for changes of it"):
        nx.drift(charge, path)
    tracks = nx.Tracks(np.asarray(path.ts), np.asarray(path.q), np.asarray(path.v))
    with pytest.warns(UserWarning, match="Charge 'L' is"):
        nx.evaluate(atom, tracks, charges={"L": nx.Rotations(2).noether_charge})
