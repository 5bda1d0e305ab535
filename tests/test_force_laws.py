"""The laws of forces: ours keep them, and what breaks one is caught."""

import re

import equinox as eqx
import helpers
import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import noetherax as nx
from noetherax import testing

PLANE = nx.Euclidean(2)
FEW = 32
"""Cases: enough to meet what is broken somewhere."""


def kinds_of_force() -> set[str]:
    """The final types of the package."""

    def below(kind):
        for inner in kind.__subclasses__():
            yield inner
            yield from below(inner)

    ours = (x for x in below(nx.Force) if x.__module__.startswith("noetherax."))
    return {kind.__name__ for kind in ours if getattr(kind, "__final__", False)}


def test_every_type_of_force_is_registered():
    assert kinds_of_force() == {name.partition(",")[0] for name in helpers.FORCES}


def judge(subject, skipped=()) -> dict:
    """What all laws of a subject but some have seen."""
    return {x.__name__: x(subject) for x in testing.laws(subject) if x.__name__ not in skipped}


@pytest.mark.parametrize("name", helpers.FORCES)
def test_forces_keep_what_they_promise(name):
    force, group, points, promises = helpers.FORCES[name]()
    assert type(force).__name__ == name.partition(",")[0]
    # The balance compiles a solver, which takes longer than all else: below, once.
    seen = judge(testing.Force(force, group, points, **promises), skipped={"balance_law"})
    assert all(x.cases - x.skipped >= 64 for x in seen.values() if x.cases)


def test_the_balance_of_a_model_with_friction_is_kept():
    force, group, points, promises = helpers.FORCES["LinearFriction"]()
    model = nx.Forced(lambda q, v: jnp.sum(v**2) / 2 + jnp.sum(helpers.Distances(3)(q)), force)
    subject = testing.Force(model, group, points, max_examples=FEW, **promises)
    (law,) = (law for law in testing.laws(subject) if law.__name__ == "balance_law")
    assert law(subject).cases == 8


def friction(strength):
    """What holds back the approach of every two of three bodies, times a strength of (q, v, t, u), one
    for all or a matrix of one on the other."""

    def force(q, v, t, u):
        r = q[:, None] - q
        pulls = -r * jnp.sum(r * (v[:, None] - v), axis=-1, keepdims=True)
        strengths = jnp.asarray(strength(q, v, t, u)).astype(q.dtype)
        return jnp.sum(jnp.broadcast_to(strengths, (3, 3))[..., None] * pulls, axis=1)

    return force


def square(x):
    return jnp.sum(x**2)


def area(q):
    r, s = q[1] - q[0], q[2] - q[0]
    return r[0] * s[1] - r[1] * s[0]


def where(condition, instead=-1.0):
    """Friction with another sign, or strength, where a condition of the state and instant holds."""
    return friction(lambda *state: jnp.where(condition(*state), instead, 1.0))


def with_part(part):
    """Friction and a part that does not belong to it."""
    whole = friction(lambda *state: 1.0)
    return lambda q, v, t, u: whole(q, v, t, u) + part(q, v, t, u).astype(q.dtype)


def turning(q):
    """A force that keeps momentum and has a torque, where three points are not collinear."""
    return area(q) * jnp.stack([q[1] - q[2], q[2] - q[0], q[0] - q[1]])


def in_single(x):
    return x.astype(jnp.float32).astype(x.dtype)


BROKEN = {  # by the law that has to see it
    "leaks momentum by 1e-6": (
        friction(lambda *state: jnp.ones((3, 3)).at[0].add(1e-6)),
        "charges_law",
    ),
    "third law of one pair with the wrong sign": (
        friction(lambda *state: jnp.ones((3, 3)).at[1, 2].set(-1)),
        "charges_law",
    ),
    "leaks angular momentum off a line": (
        with_part(lambda q, v, t, u: 1e-6 * turning(q) * square(v)),
        "charges_law",
    ),
    "leaks momentum late": (
        with_part(lambda q, v, t, u: jnp.where(t > 3, 1e-6, 0.0) * v),
        "charges_law",
    ),
    "leaks momentum at large inputs": (
        with_part(lambda q, v, t, u: jnp.where(u[1] > 5, 1e-6, 0.0) * v),
        "charges_law",
    ),
    "gains energy at high speed": (where(lambda q, v, t, u: square(v) > 100), "power_law"),
    "gains energy at low speed": (where(lambda q, v, t, u: square(v) < 1e-6), "power_law"),
    "gains energy of close points": (
        where(lambda q, v, t, u: square(q[0] - q[1]) < 1e-4),
        "power_law",
    ),
    "gains energy along one axis": (
        where(lambda q, v, t, u: square(v[:, 0]) < 1e-12 * square(v[:, 1])),
        "power_law",
    ),
    "gains energy late": (where(lambda q, v, t, u: t > 3), "power_law"),
    "pushes at rest": (
        with_part(lambda q, v, t, u: 1e-6 * (q - jnp.mean(q, axis=0))),
        "rest_law",
    ),
    "is of no convex function": (
        friction(lambda q, v, t, u: 1 - square(v[0] - v[1]) / 4),
        "power_law",
    ),
    "sees the absolute position": (
        friction(lambda q, v, t, u: 1 + 1e-9 * q[0, 0] ** 2),
        "equivariance_law",
    ),
    "is fixed in space": (
        friction(lambda q, v, t, u: 1 + 1e-9 * (q[0, 0] - q[1, 0]) ** 2),
        "covector_derivative_law",
    ),
    "sees which way is round": (
        friction(lambda q, v, t, u: 1 + 0.5 * jnp.sin(area(q))),
        "covector_component_law",
    ),
    "is right near a place only": (
        where(lambda q, v, t, u: square(jnp.mean(q, axis=0)) > 1e3, 2.0),
        "equivariance_law",
    ),
    "is rounded to single precision": (
        friction(lambda q, v, t, u: in_single(square(q[0] - q[1]))),
        "force_derivatives_law",
    ),
}


def caught(subject, forces: int) -> dict[str, set[int]]:
    """Which forces of a model every law rejects."""
    found = {}
    for law in testing.laws(subject):
        if law.__name__ == "balance_law":
            continue
        try:
            law(subject)
        except AssertionError as error:
            report = str(error)
            of = int(re.findall(r"of (\d+), concerns force", report)[0])
            numbers = re.findall(r"concerns force \[(.*)\]", report)[0]
            found[law.__name__] = {int(x) * forces // of for x in numbers.split(", ")}
    return found


def test_what_is_broken_is_caught():
    """One program for many: the reports name the forces that are concerned."""
    forces = [force for force, _ in BROKEN.values()]
    model = nx.Forced(lambda q, v: jnp.sum(v**2) / 2, *forces, friction(lambda q, v, t, u: 1.0))
    subject = testing.Force(model, PLANE, 3, **helpers.KEPT, inputs=2, max_examples=512)
    found = caught(subject, len(forces) + 1)
    seen = {
        name: [law for law, concerned in found.items() if i in concerned]
        for i, name in enumerate(BROKEN)
    }
    assert [name for name, (_, law) in BROKEN.items() if law not in seen[name]] == [], seen
    assert len(forces) not in set().union(*found.values()), "friction that is not broken"


WINDOWS = [(5.0, 6.0), (1.5, 1.6), (20.0, 30.0), (0.3, 0.31), (1000.0, 1001.0)]
SEEN_THROUGH = {  # what a force may compare with the ends of a window
    "an input": lambda q, v, t, u: u[1],
    "an input of the other sign": lambda q, v, t, u: -u[0],
    "the length of the inputs, squared": lambda q, v, t, u: u @ u,
    "the length of the inputs": lambda q, v, t, u: jnp.sqrt(u @ u),
    "the time": lambda q, v, t, u: t,
    "the time of the other sign": lambda q, v, t, u: -t,
}


def within(seen, window):
    """Whether what is seen of a state and an instant lies in a window."""

    def inside(*state):
        x = seen(*state)
        return (x > window[0]) & (x < window[1])

    return inside


def concerned(subject, name="power_law"):
    """Which forces of a model a law rejects."""
    (law,) = (law for law in testing.laws(subject) if law.__name__ == name)
    with pytest.raises(AssertionError) as report:
        law(subject)
    numbers = re.findall(r"concerns force \[(.*)\]", str(report.value))[0]
    return [int(x) for x in numbers.split(", ")]


@pytest.mark.parametrize("window", WINDOWS, ids=str)
def test_windows_of_times_and_inputs_that_the_program_names_are_met(window):
    """Energy is gained there alone; by the last force nowhere, though it changes there as well."""
    forces = [where(within(seen, window)) for seen in SEEN_THROUGH.values()]
    kept = where(within(SEEN_THROUGH["an input"], window), 2.0)
    model = nx.Forced(lambda q, v: jnp.sum(v**2) / 2, *forces, kept)
    subject = testing.Force(model, PLANE, 3, **helpers.KEPT, inputs=2)
    assert concerned(subject) == list(range(len(forces)))


def test_a_narrow_window_of_a_length_is_met():
    def drag(instead):
        inside = within(lambda q, v: square(q), (1000.0, 1001.0))
        return lambda q, v: -0.1 * v * jnp.where(inside(q, v), instead, 1.0)

    model = nx.Forced(lambda q, v: jnp.sum(v**2) / 2, drag(2.0), drag(-1.0))
    assert concerned(testing.Force(model, nx.Rotations(2), 1, dissipative=True)) == [1]


def chain_damping(ratios):
    """Modal damping of a chain of points on a line, −Σ 2 ζ ω e (e · v)."""
    count = len(ratios)
    squares, modes = np.linalg.eigh(2 * np.eye(count) - np.eye(count, k=1) - np.eye(count, k=-1))
    matrix = modes @ np.diag(2 * np.asarray(ratios) * np.sqrt(squares)) @ modes.T
    return lambda q, v: -(jnp.asarray(matrix, v.dtype) @ v)


def test_one_mode_that_grows_is_found():
    """Of directions that are drawn, less than one in ten thousand shows it."""
    ratios = 0.1 * np.ones(12)
    growing = np.where(np.arange(12) == 0, -0.1, ratios)
    model = nx.Forced(lambda q, v: jnp.sum(v**2) / 2, chain_damping(ratios), chain_damping(growing))
    subject = testing.Force(model, nx.Trivial(1), 12, dissipative=True, max_examples=FEW)
    assert concerned(subject) == [1]


def test_a_fast_drive_is_as_precise_as_its_time():
    drive = testing.Force(lambda q, v, t: jnp.cos(314 * t) + 0 * q, nx.Trivial(1), 1)
    (law,) = (x for x in testing.laws(drive) if x.__name__ == "force_precision_law")
    assert law(drive).cases == 128


def test_a_network_that_fades_breaks_no_law():
    key = jax.random.key(1)
    force = nx.Friction(PLANE.configuration_features(2), "convex", width=16, key=key)
    subject = testing.Force(force, PLANE, 2, keeps_charges=True, dissipative=True)
    judged = ("force_derivatives_law", "covector_derivative_law")
    seen = [law(subject) for law in testing.laws(subject) if law.__name__ in judged]
    assert all(x.cases - x.skipped > 0.6 * x.cases for x in seen)  # 71 % and more


class Leaking(eqx.Module):
    """Friction that keeps momentum for the weight that training found, zero, and for no other."""

    leak: jax.Array

    def __call__(self, q, v):
        return v[::-1] - v + self.leak * v


class Boosts(nx.SymmetryGroup):
    """Another velocity of all points: q moves in time."""

    space: int = 2
    dimension: int = 2

    def generators(self, q, t=0.0):
        axes = jnp.eye(2, dtype=q.dtype)[:, None]
        return jnp.broadcast_to(axes * jnp.asarray(t, q.dtype), (2, *q.shape))

    def act(self, coefficients, q, v, t=0.0):
        return q + jnp.asarray(t, q.dtype) * coefficients, v + coefficients

    def invariant_features(self, points):
        raise NotImplementedError


def of_the_rest(q, v):
    """Between two points, and stronger the faster both are together."""
    r = q[0] - q[1]
    return (1 + 1e-9 * square(v[0] + v[1])) * jnp.stack([-r, r])


ELSEWHERE = {
    "of the trained weights only": (
        lambda: testing.Force(
            Leaking(jnp.zeros(())), nx.Translations(2), 2, keeps_charges=True, max_examples=16
        ),
        "charges_law",
        "no part along a generator",
    ),
    "of the absolute velocity": (
        lambda: testing.Force(of_the_rest, Boosts(), 2, max_examples=16),
        "equivariance_law",
        "a group element carries the force with it",
    ),
    "in single precision only": (
        lambda: testing.Force(
            lambda q, v: (1.1 if q.dtype == jnp.float32 else 1.0) * -v, PLANE, 1, max_examples=16
        ),
        "force_precision_law",
        "single and double precision give the same force",
    ),
    "in single precision, asked for in it": (
        lambda: testing.Force(
            lambda q, v: -v + jnp.asarray([[0.2, 0]], q.dtype) * v,
            PLANE,
            1,
            dtype=jnp.float32,
            max_examples=16,
        ),
        "equivariance_law",
        "a group element carries the force with it",
    ),
}


@pytest.mark.parametrize("name", ELSEWHERE)
def test_what_is_broken_elsewhere_is_caught(name):
    subject, law, message = ELSEWHERE[name]
    subject = subject()
    with pytest.raises(AssertionError, match=message):
        next(x for x in testing.laws(subject) if x.__name__ == law)(subject)


def test_inputs_are_drawn_like_the_users_own():
    t, u = np.linspace(1e6, 1e6 + 10, 5), np.full((5, 1), 1e-3) * np.arange(5)[:, None]
    settings = hypothesis.settings(database=None)
    drawn = testing.instants(1, like=(t, u))
    time, inputs = hypothesis.find(drawn, lambda _: True, settings=settings)
    assert 1e6 <= time <= 1e6 + 10
    assert inputs.shape == (1,)
    assert abs(inputs[0]) < 1e-1
    with pytest.raises(ValueError, match="like must be samples"):
        testing.instants(2, like=(t, u))
    with pytest.raises(ValueError, match="Pass inputs="):
        testing.check_force(lambda q, v, t, u: -u[0] * v, PLANE, points=1)


@jax.custom_jvp
def half(x):
    return x / 2


@half.defjvp
def _(primals, tangents):
    return half(*primals), 0.501 * tangents[0]


SHARP = {
    "dry friction, smoothed": lambda q, v: -v / jnp.sqrt(v**2 + 1e-6),
    "a sharp saturation": lambda q, v: -jnp.tanh(v / 1e-3),
}


def test_sharp_friction_is_not_called_wrong():
    model = nx.Forced(lambda q, v: jnp.sum(v**2) / 2, *SHARP.values())
    subject = testing.Force(model, nx.Trivial(1), 1, max_examples=FEW, dtype=np.float32)
    (law,) = (x for x in testing.laws(subject) if x.__name__ == "force_derivatives_law")
    law(subject)


ALONE = {  # of one point in the plane, with the promises it breaks
    "a root of the speed": (
        lambda q, v: -v / jnp.sqrt(jnp.linalg.norm(v)),
        "not finite",
    ),
    "a root, and zero at rest itself": (
        lambda q, v: -v * jnp.where(v == 0, 0, 1 / jnp.sqrt(jnp.abs(jnp.where(v == 0, 1, v)))),
        "its first derivative at rest is its limit",
    ),
    "dry friction that jumps": (lambda q, v: -jnp.sign(v), "the force at rest is its limit"),
    "a singular centre": (lambda q, v: -v / jnp.sum(q**2), "finite at the origin"),
    "another derivative": (lambda q, v: -half(v), "the derivative of order 1 is that of the force"),
}


@pytest.mark.parametrize("name", ALONE)
def test_forces_that_are_not_smooth_are_caught(name):
    force, law = ALONE[name]
    with pytest.raises(AssertionError, match=law):
        judge(testing.Force(force, nx.Trivial(2), 1, max_examples=16))
