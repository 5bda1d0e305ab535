"""Registries: every group, feature map, Lagrangian and solver listed here goes through every law.

To add one, write its file and add its line.
"""

from collections.abc import Callable
from typing import ClassVar

import diffrax
import equinox as eqx
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import optax

import noetherax as nx
from noetherax._content import inner_jaxprs
from noetherax.dynamics import known, lagrangian_gradient, resolved, solve_motion
from noetherax.features import ConfigurationFeatures


class Cylindrical(nx.AffineGroup):
    """The worked example of the docs: spin about z, lift along z."""

    def algebra(self):
        spin = jnp.array([[[0.0, -1, 0], [1, 0, 0], [0, 0, 0]], jnp.zeros((3, 3))])
        lift = jnp.array([[0.0, 0, 0], [0, 0, 1]])
        return spin, lift


class Declared(nx.AffineGroup):
    """A group known by its generators alone, as hashable static data."""

    linear: tuple
    shift: tuple

    def __init__(self, linear, shift=None):
        linear = np.asarray(linear, float)
        shift = np.zeros(linear.shape[:2]) if shift is None else np.asarray(shift, float)
        self.linear = tuple(tuple(map(tuple, matrix)) for matrix in linear.tolist())
        self.shift = tuple(map(tuple, shift.tolist()))

    def algebra(self):
        return np.array(self.linear), np.array(self.shift)


def turn_about(axis) -> np.ndarray:
    """Generator of rotations about an axis of R³, x → n × x."""
    x, y, z = np.asarray(axis, float) / np.linalg.norm(axis)
    return np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])


def binary_forms(degree: int) -> np.ndarray:
    """sl(2) on polynomials of two variables: the irreducible representation of dimension degree + 1."""
    raising = np.diag(np.arange(1.0, degree + 1), 1)
    lowering = np.diag(np.arange(degree, 0.0, -1), -1)
    return np.array([raising @ lowering - lowering @ raising, raising, lowering])


def upper_triangular(size: int) -> np.ndarray:
    """The nilpotent algebra of strictly upper triangular matrices."""
    identity = np.eye(size)
    return np.array(
        [np.outer(identity[j], identity[k]) for j in range(size) for k in range(j + 1, size)]
    )


def charged_pair_beside_a_vector() -> np.ndarray:
    """Rotations of (x, y, z) and changes of phase of (Re ψ, Im ψ), as block matrices on one point."""
    linear = np.zeros((4, 5, 5))
    linear[:3, :3, :3] = [turn_about(axis) for axis in np.eye(3)]
    linear[3, 3:, 3:] = [[0.0, -1.0], [1.0, 0.0]]
    return linear


GROUPS: dict[str, Callable[[], nx.SymmetryGroup]] = {
    "Trivial(2)": lambda: nx.Trivial(2),
    "Rotations(2)": lambda: nx.Rotations(2),
    "Rotations(3)": lambda: nx.Rotations(3),
    "Rotations(4)": lambda: nx.Rotations(4),
    "Rotations(4, axes=(3, 1))": lambda: nx.Rotations(4, axes=(3, 1)),
    "Translations(3)": lambda: nx.Translations(3),
    "Translations(4) * Rotations(4)": lambda: nx.Translations(4) * nx.Rotations(4),
    "spatial rotations * time translation": lambda: (
        nx.Rotations(4, axes=(0, 1, 2)) * nx.Translations(4, axes=(3,))
    ),
    "Orthogonal(3)": lambda: nx.Orthogonal(3),
    "Orthogonal(1) * Translations": lambda: (
        nx.Orthogonal(2, axes=(0,)) * nx.Translations(2, axes=(1,))
    ),
    "Euclidean(2)": lambda: nx.Euclidean(2),
    "Lorentz()": lambda: nx.Lorentz(),
    "Poincare(3)": lambda: nx.Poincare(3, speed_of_light=2.0),
    "AxialRotations": lambda: nx.AxialRotations((1.0, 2.0, 3.0), (0.5, 0.0, -1.0)),
    "Symplectic(4)": lambda: nx.Symplectic(4),
    "Unitary(2)": lambda: nx.Unitary(2),
    "SpecialUnitary(4)": lambda: nx.SpecialUnitary(4),
    "SpecialLinear(2)": lambda: nx.SpecialLinear(2),
    "Cylindrical": Cylindrical,
    "oblique translation": lambda: Declared(np.zeros((1, 3, 3)), [[1.0, 1, 0]]),
    "squeeze": lambda: Declared([np.diag([1.0, -1])]),
    "weights 1 and -2": lambda: Declared([np.diag([1.0, -2])]),
    "parabolic": lambda: Declared([[[0.0, 1], [0, 0]]], [[0.0, 1]]),
    "binary cubics": lambda: Declared(binary_forms(3)),
    "charges 1 and 2 on two planes": lambda: Declared(
        [np.kron(np.diag([1.0, 2]), [[0.0, -1], [1, 0]])]
    ),
    "a height and an angle": lambda: nx.Translations(2, axes=(0,)) * nx.Periodic(2, axes=(1,)),
    "charged pair beside a vector": lambda: Declared(charged_pair_beside_a_vector()),
}
"""Groups by name. Points for each law are 1 and 2."""

SINGULAR_ON_ONE_POINT = {"Symplectic(4)", "SpecialLinear(2)"}
"""Groups that force a singular ∂²L/∂v² on one point."""


class HarmonicOscillator(nx.Lagrangian):
    """½ v² − ½ k q², isotropic."""

    stiffness: float = 2.0

    def __call__(self, q, v):
        return 0.5 * jnp.sum(v**2) - 0.5 * self.stiffness * jnp.sum(q**2)


class PotentialNetwork(nx.SeparableLagrangian):
    """A learned potential, and masses that train as well."""

    masses: jax.Array
    network: eqx.nn.MLP

    def __init__(self):
        self.masses = jnp.array([1.0, 3.0])
        key = jax.random.key(3)
        self.network = eqx.nn.MLP(4, "scalar", 8, 1, jnp.tanh, dtype=jnp.float64, key=key)

    def inertia(self):
        return self.masses

    def potential(self, q):
        return self.network(jnp.ravel(q))


class Places(ConfigurationFeatures):
    """The coordinates themselves."""

    num_features: int

    def __call__(self, q):
        return jnp.ravel(q)


class Separation(ConfigurationFeatures):
    """The squared distance of two points, which Euclidean motions keep."""

    num_features = 1

    def __call__(self, q):
        return jnp.sum(jnp.square(q[0] - q[1]))[None]


class Lengths(ConfigurationFeatures):
    """q_i · q_j of two points, which rotations about the origin keep."""

    num_features = 3

    def __call__(self, q):
        return (q @ q.T)[np.triu_indices(2)]


def structured(kind, features: ConfigurationFeatures, space: int, seed: int = 0, **options):
    """A neural Lagrangian of two points with a kinetic energy of its own, standardised."""
    options = {"width": 8, "dtype": jnp.float64, "masses": (1.0, 3.0)} | options
    lagrangian = kind(features, key=jax.random.key(seed), **options)
    q, v = np.random.default_rng(seed).normal(size=(2, 64, 2, space))
    return nx.standardise(lagrangian, q, v)


def neural(group: nx.SymmetryGroup, points: int, seed: int = 0, **options) -> nx.NeuralLagrangian:
    """A neural Lagrangian with random weights and a standardisation fitted to random states."""
    key = jax.random.key(seed)
    options = {"width": 16} | options
    features = group.invariant_features(points)
    lagrangian = nx.NeuralLagrangian(features, key=key, dtype=jnp.float64, **options)
    q, v = np.random.default_rng(seed).normal(size=(2, 64, points, group.space))
    return nx.standardise(lagrangian, q, v)


def away_from_origin(points: int, space: int) -> st.SearchStrategy:
    """States for Lagrangians that are singular at q = 0: the first axis is between 1 and 3."""

    def generic(seed: int):
        q, v = np.random.default_rng(seed).normal(size=(2, points, space)).clip(-2, 2)
        q[:, 0] = 2 + q[:, 0] / 2
        return q, v

    return st.integers(0, 2**32 - 1).map(generic)


def true_law(system, points: int, strategy: st.SearchStrategy | None = None) -> tuple:
    """A line of the registry below for a system of `nx.systems`."""
    return system.lagrangian, system.group, points, strategy


def coupled_oscillators() -> nx.systems.HarmonicOscillator:
    """Two points of the plane; one mode is free and one runs away."""
    random = np.random.default_rng(5).normal(size=(4, 4))
    turn = np.linalg.qr(random)[0]
    stiffness = turn @ np.diag([3.0, 1.0, 0.0, -0.05]) @ turn.T
    return nx.systems.HarmonicOscillator(
        np.eye(4) + random @ random.T, stiffness, points=2, space=2
    )


def quarter_turns() -> np.ndarray:
    """The four rotations of the plane by multiples of a right angle."""
    turn = np.array([[0.0, -1], [1, 0]])
    return np.array([np.linalg.matrix_power(turn, k) for k in range(4)])


LAGRANGIANS: dict[str, Callable[[], tuple]] = {
    "harmonic oscillator": lambda: (HarmonicOscillator(), nx.Rotations(3), 2, None),
    "Kepler": lambda: (
        nx.systems.Kepler().lagrangian,
        nx.Rotations(3),
        1,
        away_from_origin(1, 3),
    ),
    "Schwarzschild": lambda: true_law(nx.systems.Schwarzschild(), 1, away_from_origin(1, 4)),
    "two particles": lambda: true_law(nx.systems.TwoParticles(space=3), 2),
    "coupled oscillators": lambda: true_law(coupled_oscillators(), 2),
    "potential network": lambda: (PotentialNetwork(), nx.Trivial(2), 2, None),
    "spin chain": lambda: true_law(nx.systems.SpinChain(4), 4),
    "double pendulum": lambda: true_law(nx.systems.DoublePendulum((1.0, 0.5), (0.7, 1.2)), 2),
    "double well": lambda: true_law(nx.systems.DoubleWell(space=3), 1),
    "charge in uniform fields": lambda: true_law(nx.systems.RelativisticCharge(), 1),
    "charge in a growing field": lambda: true_law(nx.systems.RelativisticCharge(uniform=False), 1),
    "sum": lambda: (
        nx.LagrangianSum(HarmonicOscillator(), neural(nx.Rotations(3), 1, depth=1)),
        nx.Rotations(3),
        1,
        None,
    ),
    "average over shifts": lambda: (
        nx.AveragedLagrangian(
            neural(nx.Translations(1), 4, depth=1), permutations=nx.systems.SpinChain(4).shifts
        ),
        nx.Translations(1),
        4,
        None,
    ),
    "average over quarter turns": lambda: (
        nx.AveragedLagrangian(neural(nx.Translations(2), 2, depth=1), matrices=quarter_turns()),
        nx.Translations(2),
        2,
        None,
    ),
    "average over turns and exchange together": lambda: (
        nx.AveragedLagrangian(
            neural(nx.Trivial(2), 2),
            permutations=[(0, 1), (1, 0), (0, 1), (1, 0)],
            matrices=quarter_turns(),
        ),
        nx.Trivial(2),
        2,
        None,
    ),
    "neural separable": lambda: (
        structured(nx.NeuralSeparableLagrangian, Separation(), 2),
        nx.Euclidean(2),
        2,
        None,
    ),
    "linear in features": lambda: (
        nx.LinearLagrangian(nx.Rotations(3).invariant_features(2), key=jax.random.key(1)),
        nx.Rotations(3),
        2,
        None,
    ),
    "neural mechanical": lambda: (
        structured(nx.NeuralMechanicalLagrangian, Lengths(), 2),
        nx.Rotations(2),
        2,
        None,
    ),
    "pairs": lambda: (
        pairwise(nx.Euclidean(2), masses=(1.0, 2.0, 0.5), attributes=np.array([[1.0], [2], [-1]])),
        nx.Euclidean(2),
        3,
        None,
    ),
    "pairs that see velocities": lambda: (
        general_pairwise(
            nx.Euclidean(2), masses=(1.0, 2.0, 0.5), attributes=np.array([[1.0], [2], [-1]])
        ),
        nx.Euclidean(2),
        3,
        None,
    ),
    "neural, one hidden layer": lambda: (
        neural(nx.Rotations(3), 1, depth=1),
        nx.Rotations(3),
        1,
        None,
    ),
    "neural, three hidden layers, tanh": lambda: (
        neural(nx.Rotations(3), 1, depth=3, activation=jnp.tanh),
        nx.Rotations(3),
        1,
        None,
    ),
}
"""Lagrangians by name: `(lagrangian, group, points, state strategy or None)`. A random-weight neural
Lagrangian of every group in `GROUPS` is tested beside these."""


class Attracted(nx.AccelerationLaw):
    """The harmonic oscillator above, by its acceleration."""

    def __call__(self, q, v):
        return -2.0 * q


def on_the_line(**options) -> nx.NeuralLagrangian:
    """A small network of one coordinate: derivatives of it compile quickly."""
    return neural(nx.Trivial(1), 1, width=4, depth=1, activation=jnp.tanh, **options)


class Doubled(nx.Lagrangian):
    """A Lagrangian of a type that is not of a library, and made of another."""

    inner: nx.Lagrangian

    def __call__(self, q, v):
        return 2.0 * self.inner(q, v)


@solve_motion.register
def _(lagrangian: Doubled, q, v, solve):
    return solve_motion(lagrangian.inner, q, v, solve)


@lagrangian_gradient.register
def _(lagrangian: Doubled, q, v):
    return tuple(2.0 * x for x in lagrangian_gradient(lagrangian.inner, q, v))


class Quartic(nx.SeparableLagrangian):
    """Two masses on the line that train."""

    masses: jax.Array

    def inertia(self):
        return self.masses

    def potential(self, q):
        return jnp.sum(q**4) + jnp.sum(q[:1] * q[1:])


POINT = np.ones((1, 1))


def winding(q, v, t):
    """A momentum that grows with time, as if a constant force held the point back."""
    return jnp.sum(v**2) / 2 - jnp.sum(q**2) / 2 + t * jnp.sum(v)


def held_back(q, v):
    """The same motion without explicit time."""
    return jnp.sum(v**2) / 2 - jnp.sum(q**2) / 2 - jnp.sum(q)


def pairwise(group, width: int = 4, seed: int = 0, **options) -> nx.PairwiseLagrangian:
    """A small pairwise Lagrangian with random weights."""
    options = dict(depth=1, activation=jnp.tanh) | options
    return nx.PairwiseLagrangian(group, width, key=jax.random.key(seed), **options)


def general_pairwise(group, width: int = 4, seed: int = 0, **options):
    """A small law of pairs that see velocities, with random weights: those of the last layer are at
    their start too small to show."""
    options = dict(depth=1, activation=jnp.tanh) | options
    model = nx.GeneralPairwiseLagrangian(group, width, key=jax.random.key(seed), **options)
    last = model.pair.network.layers[-1].weight
    return eqx.tree_at(lambda x: x.pair.network.layers[-1].weight, model, 20 * last)


RULED: dict[str, Callable[[], tuple]] = {
    "NeuralLagrangian": lambda: (on_the_line(), 1, None),
    "LinearLagrangian": lambda: (
        # A quadratic form of one coordinate; what Trivial lists is linear in q and v.
        nx.LinearLagrangian(nx.Orthogonal(1).invariant_features(1), key=jax.random.key(0)),
        1,
        None,
    ),
    "NeuralMechanicalLagrangian": lambda: (
        structured(nx.NeuralMechanicalLagrangian, Places(2), 1, width=4, activation=jnp.tanh),
        2,
        None,
    ),
    "PairwiseLagrangian": lambda: (
        pairwise(nx.Trivial(1), attributes=np.array([[1.0], [3.0], [-1.0]]), cutoff=2.0),
        3,
        None,
    ),
    "GeneralPairwiseLagrangian": lambda: (
        general_pairwise(nx.Trivial(1), attributes=np.array([[1.0], [3.0], [-1.0]]), cutoff=2.0),
        3,
        None,
    ),
    "ChangingAttributes": lambda: (
        resolved(
            nx.Driven(
                general_pairwise(nx.Trivial(1), attributes=1, mass_attribute=0),
                lambda t: jnp.stack([1 + t, 3 - t, 2 + jnp.sin(t)]),
            ),
            jnp.array(0.7),
            None,
        ),
        3,
        None,
    ),
    "SeparableLagrangian": lambda: (Quartic(jnp.array([1.0, 3.0])), 2, None),
    "LagrangianSum": lambda: (nx.LagrangianSum(on_the_line(), HarmonicOscillator()), 1, None),
    "AveragedLagrangian": lambda: (
        nx.AveragedLagrangian(on_the_line(), matrices=np.array([[[1.0]], [[-1.0]]])),
        1,
        None,
    ),
    "Known": lambda: (
        known(Doubled(on_the_line()), POINT, POINT, lambda *x: x[0](*x[1:])),
        1,
        None,
    ),
    "AccelerationLaw": lambda: (Attracted(), 1, HarmonicOscillator()),
    "Forced": lambda: (
        nx.Forced(HarmonicOscillator(), lambda q, v: -q),
        1,
        nx.LagrangianSum(HarmonicOscillator(), lambda q, v: -jnp.sum(q**2) / 2),
    ),
    "Instant": lambda: (nx.at_time(winding, 0.7), 1, held_back),
    "AtInstant": lambda: (resolved(winding, jnp.array(0.7), None), 1, held_back),
}
"""Of every type with rules for the equations of motion, by its name: `(lagrangian, points, referee)` on
the line. The referee has the same motion; `None` for the Lagrangian itself."""


class Distances(nx.features.ConfigurationFeatures):
    """The squares of all distances: invariants of any Euclidean group."""

    num_features: int

    def __init__(self, points: int):
        self.num_features = points * (points - 1) // 2

    def __call__(self, q):
        first, second = np.triu_indices(len(q), 1)
        return jnp.sum((q[first] - q[second]) ** 2, axis=-1)


KEPT = {"keeps_charges": True, "dissipative": True}


def friction(kind: Callable, *arguments, **options) -> tuple:
    """A line of the registry below: friction of the distances of three bodies in the plane."""
    return kind(Distances(3), *arguments, **options), nx.Euclidean(2), 3, KEPT


def small(seed: int = 0) -> dict:
    """Options of a small network."""
    return {"width": 4, "depth": 1, "key": jax.random.key(seed)}


def of_their_size(model) -> st.SearchStrategy:
    """Models with weights as large as they are. A convex friction is a difference of slopes of one
    network: where much larger weights or rates saturate it, rounding is all that is left."""
    weights, constants = eqx.partition(model, nx.trainable(model))

    def drawn(seed: int):
        rng = np.random.default_rng(seed)
        new = jax.tree.map(lambda x: jnp.asarray(np.std(x) * rng.normal(size=x.shape)), weights)
        return eqx.combine(new, constants)

    return st.integers(0, 2**32 - 1).map(drawn)


def convex() -> tuple:
    force, group, points, promises = friction(nx.Friction, "convex", **small())
    strategies = {
        "weight_strategy": of_their_size(force),
        "state_strategy": nx.testing.states(points, group.space, bound=2.0),
    }
    return force, group, points, promises | strategies


def two_bodies() -> nx.InvariantFeatures:
    return nx.Euclidean(2).invariant_features(2)


FORCES: dict[str, Callable[[], tuple]] = {
    "LinearFriction": lambda: friction(nx.LinearFriction, (0.1, 1.0, 3.0)),
    "QuadraticFriction": lambda: friction(nx.QuadraticFriction, 0.1),
    "DryFriction": lambda: friction(nx.DryFriction, 0.1, width=0.1),
    "Friction": lambda: friction(nx.Friction, **small()),
    "Friction, convex": convex,
    "PairFriction": lambda: (nx.PairFriction(nx.Euclidean(2), **small()), nx.Euclidean(2), 3, KEPT),
    "Drag": lambda: (
        nx.Drag(two_bodies(), 2, **small()),
        nx.Euclidean(2),
        2,
        {"dissipative": True},
    ),
    "NeuralForce": lambda: (nx.NeuralForce(two_bodies(), **small()), nx.Euclidean(2), 2, {}),
    "NeuralControl": lambda: (
        nx.NeuralControl(nx.Rotations(3).invariant_features(1), 2, **small()),
        nx.Rotations(3),
        1,
        {"inputs": 2},
    ),
}
"""Forces by name, which begins with that of their type: `(force, group, points, promises)`."""


class StormerVerlet(diffrax.AbstractSolver):
    """A user's solver: half a kick, a drift and half a kick, for L = vᵀ M v/2 − V(q)."""

    term_structure: ClassVar = (diffrax.AbstractTerm, diffrax.AbstractTerm)
    interpolation_cls: ClassVar = diffrax.LocalLinearInterpolation

    def order(self, terms):
        return 2

    def init(self, terms, t0, t1, y0, args):
        return None

    def step(self, terms, t0, t1, y0, args, solver_state, made_jump):
        (drift, kick), (q, p) = terms, y0
        middle = t0 + (t1 - t0) / 2
        p = p + kick.vf_prod(t0, q, args, kick.contr(t0, middle))
        q = q + drift.vf_prod(middle, p, args, drift.contr(t0, t1))
        p = p + kick.vf_prod(t1, q, args, kick.contr(middle, t1))
        return (q, p), None, dict(y0=y0, y1=(q, p)), None, diffrax.RESULTS.successful

    def func(self, terms, t0, y0, args):
        (drift, kick), (q, p) = terms, y0
        return drift.vf(t0, p, args), kick.vf(t0, q, args)


@nx.solvers.formulate.register
def _(solver: StormerVerlet, lagrangian, q, v, accelerate):
    mass = nx.euler_lagrange_terms(lagrangian, q, v).mass_matrix

    def velocity(mass, p):
        return jnp.linalg.solve(mass, jnp.ravel(p)).reshape(p.shape)

    def drift(t, p, args):
        return velocity(args[1], p)

    def kick(t, q, args):
        return lagrangian_gradient(nx.at_time(args[0], t), q, jnp.zeros_like(q))[0]

    def read(t, state):
        q, p = state
        return q, velocity(mass, p), p

    terms = diffrax.ODETerm(drift), diffrax.ODETerm(kick)
    state = q, nx.momentum(lagrangian, q, v)
    return nx.solvers.Formulation(terms, state, (lagrangian, mass), read)


SOLVERS: dict[str, Callable[[], diffrax.AbstractSolver]] = {
    "RK4": nx.RK4,
    "Tsit5": diffrax.Tsit5,
    "Compensated": lambda: nx.Compensated(diffrax.Tsit5()),
    "LeapfrogMidpoint": diffrax.LeapfrogMidpoint,
    "StormerVerlet": StormerVerlet,
    "VariationalMidpoint": nx.VariationalMidpoint,
    "VariationalGauss4": nx.VariationalGauss4,
    "VariationalGauss6": nx.VariationalGauss6,
}
"""Solvers by name: of (q, v), of (q, p) by a user, and variational."""


@eqx.filter_jit
def compiled(function: Callable, *arguments):
    """`function(*arguments)` by one program: operation by operation, a first call compiles dozens. The
    function is traced once, and may read nothing that changes."""
    return function(*arguments)


def equal(one, other) -> bool:
    """`eqx.tree_equal` on the host, where no array compiles a comparison."""
    return eqx.tree_equal(
        *jax.tree.map(lambda x: np.asarray(x) if eqx.is_array(x) else x, (one, other))
    )


def stacked(models: list):
    """Models as an ensemble: arrays with a leading axis of members."""
    return jax.tree.map(lambda *x: jnp.stack(x) if eqx.is_array(x[0]) else x[0], *models)


def member(ensemble, index: int):
    """One model of an ensemble."""
    return jax.tree.map(lambda x: x[index] if eqx.is_array(x) else x, ensemble)


def equations(function, *args):
    """All operations of a function, those of the programs in it included."""

    def inside(jaxpr):
        for equation in jaxpr.eqns:
            yield equation
            for inner in inner_jaxprs(equation.params):
                yield from inside(inner)

    return inside(eqx.filter_make_jaxpr(function)(*args)[0].jaxpr)


def products(function, *args) -> list:
    """The precision of every matrix product of a function."""
    dots = (x for x in equations(function, *args) if x.primitive.name == "dot_general")
    return [x.params["precision"] for x in dots]


def check_precision(function, *args) -> None:
    """All products keep every bit of their factors, wherever they run."""
    lower = [x for x in products(function, *args) if x != (jax.lax.Precision.HIGHEST,) * 2]
    assert not lower, f"products of lower precision: {lower}"


def clipped(optimizer: optax.GradientTransformation) -> optax.GradientTransformation:
    """An optimiser that does not see how gradients explode where ∂²L/∂v² is near singular."""
    return optax.chain(optax.clip_by_global_norm(1.0), optimizer)
