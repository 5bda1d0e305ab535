"""What every special route is worth: a step with it, and with the general one in its place.

A training step is the gradient of the acceleration loss over a batch; a step of a rollout one of RK4
or of the variational method of order six, in float64.
"""

import contextlib
import functools
from collections.abc import Callable
from typing import Any, NamedTuple
from unittest import mock

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from _timing import LOOPS, forget_programs, gradient_loop, milliseconds

import noetherax as nx
from noetherax import _integration
from noetherax.dynamics import RULES, _motion
from noetherax.features import _determinants
from noetherax.losses import _acceleration
from noetherax.solvers import _term

BATCH, WIDTH, REPEATS, HUGE = 128, 128, 25, 10**9
GENERAL = {function.__name__: function.dispatch(object) for function in RULES}


class Quartic(nx.SeparableLagrangian):
    """A network for a potential, and constant masses."""

    network: Any

    def inertia(self):
        return 1.0, 3.0

    def potential(self, q):
        return self.network(jnp.ravel(q))


def neural(group: nx.SymmetryGroup, points: int) -> nx.NeuralLagrangian:
    features = group.invariant_features(points)
    return nx.NeuralLagrangian(features, width=WIDTH, key=jax.random.key(0))


def pair() -> nx.NeuralLagrangian:
    return neural(nx.Translations(4) * nx.Rotations(4), 2)


def kepler() -> nx.NeuralLagrangian:
    return neural(nx.Rotations(3), 1)


def ring() -> nx.AveragedLagrangian:
    shifts = [tuple((i + k) % 4 for i in range(4)) for k in range(4)]
    return nx.AveragedLagrangian(neural(nx.Translations(1), 4), permutations=shifts)


def corrected() -> nx.LagrangianSum:
    return nx.LagrangianSum(nx.systems.Kepler().lagrangian, kepler())


def separable() -> Quartic:
    return Quartic(neural(nx.Trivial(2), 1).network)  # of four numbers, as two points of the plane


def turning(points: int, space: int = 3) -> Callable:
    return lambda: neural(nx.Rotations(space), points)


MODELS: dict[str, tuple[Callable, tuple[int, int]]] = {
    "Kepler, rotations": (kepler, (1, 3)),
    "two particles, both": (pair, (2, 4)),
    "two particles, rotations": (turning(2, 4), (2, 4)),
    "Kepler and a network": (corrected, (1, 3)),
    "ring of four": (ring, (4, 1)),
    "separable, two points": (separable, (2, 2)),
    "rotations, two points": (turning(2), (2, 3)),
    "rotations, three points": (turning(3), (3, 3)),
    "rotations, four points": (turning(4), (4, 3)),
}


class Route(NamedTuple):
    """What replaces a route, and the models and kind of step to see it in."""

    without: dict[str, Callable[[], Any]]
    models: tuple[str, ...]
    step: str = "training"


def plain_solve(matrix, vector):
    return jnp.linalg.solve(matrix, vector[..., None])[..., 0]


def replaced(module, name: str, value) -> Callable:
    return lambda: mock.patch.object(module, name, value)


def unrolled(terms: int) -> Callable:
    return lambda: mock.patch.object(_determinants, "UNROLLED", terms)


def ruleless(module, name: str) -> dict[str, Callable]:
    return {"general rule": replaced(module, name, GENERAL[name])}


ROUTES = {
    "elimination": Route(
        {"LAPACK": replaced(_acceleration, "solve_symmetric", plain_solve)},
        ("Kepler, rotations", "two particles, both"),
    ),
    "determinants": Route(
        {
            "written out": unrolled(HUGE),
            "indexed sum": unrolled(0),
        },
        (
            "two particles, rotations",
            "rotations, two points",
            "rotations, three points",
            "rotations, four points",
        ),
    ),
    "terms_and_change": Route(
        ruleless(_motion, "terms_and_change"),
        ("Kepler, rotations", "two particles, both", "Kepler and a network", "ring of four"),
    ),
    "solve_motion in training": Route(
        ruleless(_acceleration, "solve_motion"), ("separable, two points",)
    ),
    "solve_motion in a rollout": Route(
        ruleless(_integration, "solve_motion"), ("separable, two points",), "RK4"
    ),
    "lagrangian_gradient": Route(
        ruleless(_term, "lagrangian_gradient"),
        ("Kepler, rotations", "two particles, both", "ring of four"),
        "Gauss 6",
    ),
}


def training_step(lagrangian, shape) -> tuple[Any, tuple]:
    q, v, a = jax.random.normal(jax.random.key(1), (3, BATCH, *shape))
    return gradient_loop(nx.AccelerationLoss()), (lagrangian, (q, v, a))


def rollout_step(solver, lagrangian, shape) -> tuple[Any, tuple]:
    ts = np.linspace(0.0, LOOPS * 1e-3, LOOPS + 1)
    q, v = jax.random.normal(jax.random.key(1), (2, *shape)).astype(jnp.float64)

    def steps(lagrangian, q, v):
        options: dict[str, Any] = dict(solver=solver, throw=False)
        return nx.rollout(lagrangian, q, v, ts=ts, **options).q

    double = jax.tree.map(
        lambda x: x.astype(jnp.float64) if eqx.is_inexact_array(x) else x, lagrangian
    )
    return eqx.filter_jit(steps), (double, q, v)


STEPS: dict[str, Callable] = {
    "training": training_step,
    "RK4": functools.partial(rollout_step, nx.RK4()),
    "Gauss 6": functools.partial(rollout_step, nx.VariationalGauss6()),
}


def compiled(step: Callable, model: str, context) -> tuple[Callable, tuple]:
    """A step traced and compiled within a context."""
    construct, shape = MODELS[model]
    lagrangian = construct()
    q, v = jax.random.normal(jax.random.key(2), (2, BATCH, *shape))
    if hasattr(lagrangian, "standardisation"):
        lagrangian = nx.standardise(lagrangian, q, v)
    function, arguments = step(lagrangian, shape)
    forget_programs()
    with context:
        return function.lower(*arguments).compile(), arguments


def measure_routes() -> dict:
    """Milliseconds with a route and without, and the ratio of both."""
    rows = {}
    for name, route in ROUTES.items():
        for model in route.models:
            with jax.enable_x64(route.step != "training"):
                ways = {"with": contextlib.nullcontext()}
                ways |= {way: context() for way, context in route.without.items()}
                times = milliseconds(
                    {way: compiled(STEPS[route.step], model, x) for way, x in ways.items()},
                    repeats=REPEATS,
                )
            # Of all repeats the least: other work on the machine only adds.
            least = {way: float(np.min(x)) for way, x in times.items()}
            for way in route.without:
                row = {"with": least["with"], "without": least[way]}
                rows[f"{name}, {model}: {way}"] = row | {"ratio": least[way] / least["with"]}
                print(f"{name}, {model}: {way}: {least[way] / least['with']:.2f}", flush=True)
    return rows
