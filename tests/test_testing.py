"""The laws must catch what is broken: each law against an object that breaks it."""

import itertools
from collections.abc import Callable

import equinox as eqx
import helpers
import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import noetherax as nx
from noetherax import testing
from noetherax.dynamics import resolved

ROTATIONS = nx.Rotations(3)


class Altered(nx.SymmetryGroup):
    """Rotations with one part replaced by something wrong."""

    fault: str
    space: int = 3
    dimension: int = 3

    def generators(self, q, t=0.0):
        fields = ROTATIONS.generators(q, t)
        if self.fault == "sign of one generator":
            fields = fields.at[1].multiply(-1)
        if self.fault == "bracket":
            fields = fields.at[2].set(jnp.zeros_like(q).at[:, 0].set(q[:, 0]))
        return fields

    def act(self, coefficients, q, v, t=0.0):
        if self.fault == "bracket":
            return q, v
        start = q, v
        q, v = ROTATIONS.act(coefficients, q, v, t)
        if self.fault == "identity":
            return q + 1e-6, v
        if self.fault == "velocities stay":
            return q, ROTATIONS.act(-coefficients, q, v)[1]
        if self.fault == "composition":
            return q * (1 + jnp.sum(coefficients**2)), v
        if self.fault == "float32":
            return q.astype(jnp.float32).astype(q.dtype), v
        if self.fault == "clamped parameters":
            return ROTATIONS.act(jnp.clip(coefficients, -50.0, 50.0), *start)
        if self.fault == "time":
            return ROTATIONS.act((1 + 0.1 * jnp.asarray(t, q.dtype)) * coefficients, *start)
        if self.fault == "single precision":
            return (1.1 * q if q.dtype == jnp.float32 else q), v
        return q, v

    def invariant_features(self, points):
        return ROTATIONS.invariant_features(points)


@pytest.mark.parametrize(
    ("fault", "law"),
    [
        ("sign of one generator", "the derivative of act at the identity is the generator"),
        ("identity", r"act\(0\) is the identity"),
        ("velocities stay", "on v"),
        ("composition", r"act\(c\) ∘ act\(c\)"),
        ("float32", "is the identity"),
        ("clamped parameters", r"act\(c\) ∘ act\(c\)"),
        ("time", "the derivative of act at the identity is the generator"),
        ("single precision", "single and double precision move a state alike"),
        ("bracket", "derivative|brackets of generators"),
    ],
)
def test_broken_groups_are_caught(fault, law):
    with pytest.raises(AssertionError, match=law):
        testing.check_group(Altered(fault))


def test_a_group_that_is_not_altered_passes():
    testing.check_group(Altered("none"))


def test_brackets_alone_are_caught():
    subject = testing.Group(Altered("bracket"))
    (bracket_law,) = (law for law in testing.laws(subject) if law.__name__ == "bracket_law")
    with pytest.raises(AssertionError, match="brackets of generators"):
        bracket_law(subject)


class Flow(nx.SymmetryGroup):
    """The flow of a field on a line, in a unit of length; velocities grow by a fault."""

    field: Callable
    solution: Callable
    unit: float = 1.0
    fault: float = 0.0
    single: bool = False
    space: int = 1
    dimension: int = 1

    def generators(self, q, t=0.0):
        field = self.unit * self.field(q / self.unit)[None]
        return field.astype(jnp.float32).astype(q.dtype) if self.single else field

    def act(self, coefficients, q, v, t=0.0):
        def flow(q):
            return self.unit * self.solution(coefficients[0], q / self.unit)

        q, v = jax.jvp(flow, (q,), (v,))
        return q, v * (1 + self.fault * coefficients[0])

    def invariant_features(self, points):
        raise NotImplementedError


CANCELLING = {  # fields whose terms cancel, in their slope or in themselves, and their flows
    "tanh": (jnp.tanh, lambda c, q: jnp.arcsinh(jnp.exp(c) * jnp.sinh(q)), None),
    "1 - cos": (
        lambda q: 1 - jnp.cos(q),
        lambda c, q: 2 * jnp.arctan2(jnp.sin(q / 2), jnp.cos(q / 2) - c * jnp.sin(q / 2)),
        3.0,  # of which the flow is written for one turn
    ),
}


@pytest.mark.parametrize("name", CANCELLING)
def test_rounding_of_terms_that_cancel_breaks_no_group(name):
    *flow, bound = CANCELLING[name]
    testing.check_group(Flow(*flow), points=1, state_strategy=testing.states(1, 1, bound=bound))


def test_neighbours_that_hardly_scatter_break_no_group():
    """Near zero 1 − cos q is rounded to the same steps everywhere."""
    *flow, _ = CANCELLING["1 - cos"]
    states = st.sampled_from([(np.full((1, 1), x), np.full((1, 1), x)) for x in (1e-5, 2.0, 3.0)])
    testing.check_group(Flow(*flow), points=1, state_strategy=states)
    # Negative control: a lift that is off by a millionth.
    with pytest.raises(AssertionError, match="violated"):
        testing.check_group(Flow(*flow, fault=1e-6), points=1, state_strategy=states)


@pytest.mark.parametrize(
    ("name", "unit"), [("tanh", 1e-10), ("tanh", 1.0), ("tanh", 1e10), ("1 - cos", 1.0)]
)
@pytest.mark.parametrize("fault", [{"fault": 1e-7}, {"single": True}, {}], ids=str)
def test_rounding_of_terms_hides_no_fault_in_any_unit(name, unit, fault):
    *flow, bound = CANCELLING[name]
    strategy = testing.states(1, 1, bound=bound).map(lambda x: (x[0] * unit, x[1] * unit))
    group = Flow(*flow, unit, **fault)
    subject = testing.Group(group, points=1, state_strategy=strategy)
    (law,) = (law for law in testing.laws(subject) if law.__name__ == "derivative_law")
    if not fault:
        assert law(subject).cases == 128
        return
    with pytest.raises(AssertionError, match="the derivative of act at the identity is the gen"):
        law(subject)


def dots(q, v):
    return jnp.array([jnp.sum(q * q), jnp.sum(q * v), jnp.sum(v * v)])


def with_first_generator(q, v):
    """Sees which generator comes first: the height of the field of turns about x."""
    return jnp.append(dots(q, v), jnp.sum(ROTATIONS.generators(q)[0] ** 2))


BROKEN_FEATURES = {
    "a missing invariant": (lambda q, v: dots(q, v)[:2], "2 of 2 are independent, but 3"),
    "another group's invariant": (
        lambda q, v: jnp.append(dots(q, v), q[0, 2]),
        "leaves the value unchanged|Lie derivative",
    ),
    "a float32 cast": (
        lambda q, v: dots(q, v).astype(jnp.float32).astype(jnp.float64),
        "forward and in reverse|Lie derivative",
    ),
    "a norm instead of its square": (
        lambda q, v: jnp.sqrt(dots(q, v).at[1].add(10.0)),
        "not finite",
    ),
    "a speed by a norm": (
        lambda q, v: jnp.append(dots(q, v)[:2], jnp.linalg.norm(v)),
        "finite at rest: not finite|finite at the drawn state: not finite",
    ),
    "a distance by a norm": (
        lambda q, v: jnp.append(dots(q, v)[1:], jnp.linalg.norm(q)),
        "finite at the origin: not finite|finite at the drawn state: not finite",
    ),
    "a direction that is NaN at rest": (
        lambda q, v: jnp.append(dots(q, v), jnp.sum(q * v) ** 2 / jnp.sum(v * v)),
        "finite at rest: not finite|finite at the drawn state: not finite",
    ),
    "the order of generators": (with_first_generator, "leaves the value unchanged|Lie derivative"),
    "a weak dependence on direction": (
        lambda q, v: dots(q, v) + 1e-9 * q[0, 0] ** 2,
        "leaves the value unchanged|Lie derivative",
    ),
}


@pytest.mark.parametrize(
    "feature",
    [lambda q: q, lambda q: jnp.sin(q / 2), lambda q: jnp.cos(2 * jnp.pi * q / 6.283185)],
    ids=["no period", "twice the period", "nearly the period"],
)
def test_features_with_another_period_are_caught(feature):
    def features(q, v):
        return jnp.concatenate([jnp.sin(q[:, 0]), feature(q[:, 0]), v[:, 0]])

    subject = testing.Features(features, nx.Periodic(1), points=1)
    with pytest.raises(AssertionError, match="a shift by periods leaves the value unchanged"):
        next(x for x in testing.laws(subject) if x.__name__ == "period_law")(subject)


@pytest.mark.parametrize("name", BROKEN_FEATURES)
def test_broken_features_are_caught(name):
    broken, law = BROKEN_FEATURES[name]
    with pytest.raises(AssertionError, match=law):
        testing.check_features(broken, ROTATIONS, points=1)


def test_reports_show_the_evidence():
    with pytest.raises(AssertionError) as report:
        testing.check_features(lambda q, v: q[0], nx.Translations(3), points=1, complete=False)
    text = str(report.value)
    for evidence in ("violated by", "is allowed", "tolerance:", "q = [[", "v = [["):
        assert evidence in text
    with pytest.raises(
        AssertionError, match=r"at generator 1.*\n.*\n.*\n.*\n  generator 1: ξ\(q\) = \[\["
    ):
        testing.check_group(Altered("sign of one generator"))


def test_features_that_are_not_broken_pass():
    testing.check_features(dots, ROTATIONS, points=1)


SOMEWHERE = {  # each breaks the symmetry somewhere only, or in one precision only
    "far": lambda q, v: jnp.where(jnp.linalg.norm(q) > 3.5, q[0, 0], 0),
    "fast": lambda q, v: jnp.where(jnp.linalg.norm(v) > 3.3, q[0, 0], 0),
    "near": lambda q, v: jnp.where(jnp.linalg.norm(q) < 0.01, q[0, 0], 0),
    "beyond one": lambda q, v: jnp.where(jnp.all(q > 1) & jnp.all(v > 1), q[0, 0], 0),
    "negative": lambda q, v: jnp.where(jnp.all(q < -1), q[0, 0], 0),
    "parallel": lambda q, v: jnp.where(jnp.all(jnp.abs(jnp.cross(q, v)) < 1e-9), q[0, 0], 0),
    "whole numbers": lambda q, v: jnp.where(jnp.all(q == jnp.rint(q)), q[0, 0], 0),
    "small": lambda q, v: 1e-31 * (jnp.sum(q * q) + q[0, 0] ** 2),
    "float32 alone": lambda q, v: q[0, 0] if q.dtype == jnp.float32 else 0 * q[0, 0],
}


AT_VALUES = {  # and these where no draw would find them
    "a value": lambda q, v: jnp.where(q[0, 0] == 1.25, 1.0, 0),
    "a sphere": lambda q, v: jnp.where(jnp.abs(jnp.sum(q * q) - 7.25) < 1e-6, q[0, 0], 0),
    "a sphere of velocities": lambda q, v: jnp.where(
        jnp.abs(jnp.sum(v * v) - 7.25) < 1e-6, v[0, 0], 0
    ),
    "a wall": lambda q, v: jnp.maximum(q[0, 2] - 37, 0) ** 2,
    "a wall of velocities": lambda q, v: jax.nn.relu(v[0, 1] - 42.0),
    "float32 alone": SOMEWHERE["float32 alone"],
}


@pytest.mark.parametrize("faults", [SOMEWHERE, AT_VALUES], ids=["somewhere", "at values"])
def test_what_is_broken_somewhere_is_caught_there(faults):
    """One program for many: the reports name the components that are concerned."""

    def layer(q, v):
        return jnp.stack([jnp.asarray(fault(q, v)).astype(q.dtype) for fault in faults.values()])

    subject = testing.Features(layer, ROTATIONS, points=1, complete=False)
    caught = set()
    for law in testing.laws(subject):
        if law.__name__ in ("invariance_law", "lie_derivative_law", "precision_law"):
            with pytest.raises(AssertionError) as report:
                law(subject)
            concerned = str(report.value).rpartition("concerns component ")[2]
            caught |= {int(x) for x in concerned.strip("[]").split(", ")}
    assert [name for i, name in enumerate(faults) if i not in caught] == []


@jax.custom_jvp
def wrong_slope(q):
    return jnp.sum(q * q)


@wrong_slope.defjvp
def _(primals, tangents):
    (q,), (dq,) = primals, tangents
    return wrong_slope(q), 2.01 * jnp.sum(q * dq)


@jax.custom_jvp
def slope_of_square(q):
    return 2 * q


@slope_of_square.defjvp
def _(primals, tangents):
    return slope_of_square(*primals), 2.01 * tangents[0]


@jax.custom_jvp
def wrong_curvature(q):
    return jnp.sum(q * q)


@wrong_curvature.defjvp
def _(primals, tangents):
    return wrong_curvature(*primals), jnp.sum(slope_of_square(*primals) * tangents[0])


@pytest.mark.parametrize(("square", "order"), [(wrong_slope, 1), (wrong_curvature, 2)])
def test_derivatives_that_are_not_those_of_the_value_are_caught(square, order):
    with pytest.raises(
        AssertionError, match=f"the derivative of order {order} is that of the value"
    ):
        testing.check_features(
            lambda q, v: square(q)[None], ROTATIONS, points=1, complete=False, max_examples=16
        )


@pytest.mark.parametrize("name", ["zero", "total derivative"])
def test_laws_that_saw_nothing_fail(name):
    lagrangian = {
        "zero": lambda q, v: 0.0,
        "total derivative": lambda q, v: jnp.sum(q * v),
    }[name]
    with pytest.raises(AssertionError, match="saw nothing. All 16 cases were skipped"):
        testing.check_charge(lambda q, v, t: q[0], lagrangian, points=1, space=3, max_examples=16)


def test_no_unit_hides_a_violation_and_no_size_makes_one():
    def electron(q, v):
        return 9.1e-31 * jnp.sum(v**2) / 2 - 1e-18 * q[0, 0] ** 2

    with pytest.raises(AssertionError, match="leaves the value unchanged"):
        testing.check_lagrangian(electron, ROTATIONS, points=1, max_examples=16)

    def gauge(q, v):  # 10⁸ times a total derivative
        return jnp.sum(v**2) / 2 - jnp.sum(q**2) + 1e8 * jnp.sum(q * v)

    testing.check_charge(nx.Energy(gauge), gauge, points=1, space=3)


def test_nearly_dependent_features_do_not_count():
    def layer(q, v):
        return dots(q, v).at[2].set(jnp.sum(q * q) + 1e-6 * jnp.sum(v * v))

    with pytest.raises(AssertionError, match="2 of 3 are independent, but 3 are needed"):
        testing.check_features(layer, ROTATIONS, points=1)


@pytest.mark.parametrize(("length", "speed"), [(1e-10, 500.0), (1e20, 2e5)])
def test_features_are_counted_in_any_unit(length, speed):
    """Atoms, and stars of a galaxy, in metres and seconds."""
    states = np.random.default_rng(0).normal(size=(2, 64, 1, 3)) * np.array(
        [length, speed]
    ).reshape(2, 1, 1, 1)
    like = testing.states(1, 3, like=tuple(states))
    options = {"points": 1, "max_examples": 16, "state_strategy": like}

    def parallel(q, v):
        return dots(q, v).at[2].set(jnp.sum(q * v) / 3)

    testing.check_features(dots, ROTATIONS, **options)
    with pytest.raises(AssertionError, match="2 of 3 are independent, but 3 are needed"):
        testing.check_features(parallel, ROTATIONS, **options)


class Switching(nx.Lagrangian):
    """Isotropic but for some weights."""

    weight: jnp.ndarray

    def __call__(self, q, v):
        w = self.weight
        leaning = (w > 4) | (w < -2) | (w == jnp.rint(w))
        return jnp.sum(v**2) - jnp.sum(q**2) - jnp.where(leaning, q[0, 0], 0)


def test_weights_are_drawn_far_and_whole_or_as_the_user_says():
    model = Switching(jnp.array(0.7))
    with pytest.raises(AssertionError, match="leaves the value unchanged"):
        testing.check_lagrangian(model, ROTATIONS, points=1)
    between = st.floats(0.1, 0.9).map(lambda x: Switching(jnp.array(x)))
    seen = testing.check_lagrangian(model, ROTATIONS, points=1, weight_strategy=between)
    assert all(isinstance(x, testing.Seen) for x in seen)
    assert {x.law: x.cases - x.skipped for x in seen}["noether_law"] == 128


def test_features_of_distances_need_a_strategy_of_states():
    def layer(q, v):
        r = jnp.linalg.norm(q)
        return jnp.array([1 / r, jnp.sum(q * v) / r, jnp.sum(v * v)])

    strategy = helpers.away_from_origin(1, 3)
    testing.check_features(layer, ROTATIONS, points=1, state_strategy=strategy)


def test_states_like_the_users_own_are_of_their_size():
    q, v = np.random.default_rng(0).normal(size=(2, 50, 1, 3)) * np.array([1.5e11, 3e4]).reshape(
        2, 1, 1, 1
    )
    drawn_q, drawn_v = one_of(testing.states(1, 3, like=(q, v)))
    assert 1e9 < np.abs(drawn_q).max() < 1e13
    assert 1e2 < np.abs(drawn_v).max() < 1e6
    with pytest.raises(ValueError, match="like must be samples"):
        testing.states(2, 3, like=(q, v))


def test_a_charge_of_another_lagrangian_is_caught():
    heavier = helpers.HarmonicOscillator(stiffness=3.0)
    charge = nx.Energy(helpers.HarmonicOscillator(stiffness=2.0))
    testing.check_charge(nx.Energy(heavier), heavier, points=1, space=3)
    with pytest.raises(AssertionError, match="constant along"):
        testing.check_charge(charge, heavier, points=1, space=3)


def test_float32_is_checked_at_its_own_precision():
    testing.check_group(ROTATIONS, dtype=np.float32)
    testing.check_features(ROTATIONS.invariant_features(1), ROTATIONS, points=1, dtype=np.float32)


def test_plain_functions_are_checked_as_they_are():
    testing.check_lagrangian(
        lambda q, v: jnp.sum(v**2) - jnp.sum(q**2), ROTATIONS, points=2, max_examples=5
    )
    with pytest.raises(AssertionError, match="leaves the value unchanged|Lie derivative"):
        testing.check_lagrangian(
            lambda q, v: jnp.sum(v**2) - jnp.sum(q[:, 0] ** 2), ROTATIONS, points=2
        )


def test_reflections_tell_o_from_so():
    """det(q₁, q₂, v₁) is an invariant of SO(3) that O(3) does not have."""
    features = nx.Rotations(3).invariant_features(2)
    testing.check_features(features, nx.Rotations(3), points=2, max_examples=5)
    with pytest.raises(AssertionError, match="a component of the group leaves the value unchanged"):
        testing.check_features(features, nx.Orthogonal(3), points=2, max_examples=5)


class Mirror(nx.SymmetryGroup):
    """One reflection: no generators, and a further component."""

    space: int = 2
    dimension: int = 0

    def generators(self, q, t=0.0):
        return jnp.zeros((0, *q.shape), q.dtype)

    def act(self, coefficients, q, v, t=0.0):
        return q, v

    def invariant_features(self, points):
        raise NotImplementedError


@nx.component_representatives.register
def _(group: Mirror):
    return np.array([np.diag([1.0, -1.0])])


def test_a_group_of_reflections_alone_has_a_law():
    subject = testing.Features(lambda q, v: q[0] ** 2, Mirror(), points=1, max_examples=5)
    leaning = testing.Features(lambda q, v: q[0], Mirror(), points=1, max_examples=5)
    (law,) = (law for law in testing.laws(subject) if law.__name__ == "component_law")
    assert law(subject).cases == 16
    with pytest.raises(AssertionError, match="a component of the group leaves the value unchanged"):
        law(leaning)


def test_laws_with_nothing_to_judge_say_why():
    subject = testing.Features(lambda q, v: v[0], nx.Translations(1), points=1, max_examples=5)
    by_name = {law.__name__: law for law in testing.laws(subject)}
    reasons = [by_name[name](subject).reason for name in ("component_law", "period_law")]
    assert reasons == ["the group has no further components", "the group has no periods"]


class Leaning(nx.Lagrangian):
    """Isotropic for the weight that training found, zero, and for no other."""

    slope: jnp.ndarray

    def __call__(self, q, v):
        return jnp.sum(v**2) - jnp.sum(q**2) + jnp.sum(self.slope * q[:, 0])


def test_a_symmetry_of_the_trained_weights_only_is_caught():
    with pytest.raises(AssertionError, match="leaves the value unchanged|Lie derivative"):
        testing.check_lagrangian(Leaning(jnp.zeros(())), ROTATIONS, points=1)


def test_a_charge_of_the_trained_weights_only_is_caught():
    """The charge closes over one set of weights; the motion is that of others."""
    trained = helpers.neural(ROTATIONS, 1, width=4)
    charge = ROTATIONS.noether_charge(trained)
    testing.check_charge(charge, trained, points=1, space=3, max_examples=5)
    with pytest.raises(AssertionError, match="constant along the equations of motion"):
        testing.check_charge(lambda q, v, t: charge(q, v, t), trained, points=1, space=3)


PLANE = nx.Rotations(2)


def swinging(q, v, t):
    """A spring whose stiffness swings, with a momentum that changes in time as well."""
    stiffness = 1 + 0.1 * jnp.cos(t)
    return jnp.sum(v**2) / 2 - stiffness * jnp.sum(q**2) / 2 + jnp.sin(t) * jnp.sum(q * v)


def leaning_at(when):
    """As above, but not isotropic at some times."""
    return lambda q, v, t: (
        swinging(q, v, t) + jnp.where(when(t), 1e-3, 0.0).astype(q.dtype) * q[0, 0]
    )


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_lagrangian_of_time_is_judged_at_drawn_times(dtype):
    seen = testing.check_lagrangian(swinging, PLANE, points=1, dtype=dtype)
    seen += testing.check_charge(
        PLANE.noether_charge(swinging), swinging, points=1, space=2, dtype=dtype
    )
    assert all(x.skipped == 0 for x in seen if x.law in ("noether_law", "energy_law", "terms_law"))
    whole = nx.LagrangianSum(lambda q, v: jnp.sum(v**2) / 2, swinging)
    testing.check_lagrangian(whole, PLANE, points=1, dtype=dtype, max_examples=16)


@pytest.mark.parametrize("when", [lambda t: t > 3, lambda t: (t > 1.5) & (t < 1.6)])
def test_a_symmetry_that_breaks_at_some_times_is_caught(when):
    with pytest.raises(AssertionError, match="leaves the value unchanged|Lie derivative"):
        testing.check_lagrangian(leaning_at(when), PLANE, points=1)


def test_a_lagrangian_at_an_instant_is_judged_there():
    present, other = nx.at_time(swinging, 0.3), leaning_at(lambda t: jnp.abs(t - 0.3) > 0.1)
    testing.check_lagrangian(present, PLANE, points=1, max_examples=16)
    testing.check_charge(PLANE.noether_charge(swinging), present, points=1, space=2)
    testing.check_lagrangian(nx.at_time(other, 0.3), PLANE, points=1, max_examples=16)
    for broken in (nx.at_time(other, 0.5), other):
        with pytest.raises(AssertionError, match="leaves the value unchanged"):
            testing.check_lagrangian(broken, PLANE, points=1)
        charge = PLANE.noether_charge(broken)
        with pytest.raises(AssertionError, match="constant along the equations of motion"):
            testing.check_charge(charge, broken, points=1, space=2)
    with pytest.raises(ValueError, match=r"at a batch of \(2,\) of them"):
        testing.check_lagrangian(nx.at_time(swinging, jnp.arange(2.0)), PLANE, points=1)


def test_the_energy_of_a_lagrangian_of_time_is_not_conserved():
    with pytest.raises(AssertionError, match="which depend on time: an energy is not"):
        testing.check_charge(nx.Energy(swinging), swinging, points=1, space=2)


class Forgetful(eqx.Module):
    """A type whose rule at an instant forgets that its momentum changes in time."""

    def __call__(self, q, v, t):
        return swinging(q, v, t)


@resolved.register
def _(model: Forgetful, t, u):
    return lambda q, v: model(q, v, t.astype(q.dtype))


def test_a_rule_that_forgets_time_is_caught():
    subject = testing.Lagrangian(Forgetful(), PLANE, 1)
    caught = {}
    for law in testing.laws(subject):
        try:
            law(subject)
        except AssertionError as error:
            caught[law.__name__] = str(error)
    assert list(caught) == ["terms_law", "residual_law", "rules_law", "energy_law"]
    assert "the energy changes by −∂L/∂t" in caught["energy_law"]
    q, v = np.random.default_rng(0).normal(size=(2, 4, 1, 2))
    testing.check_rules(nx.at_time(swinging, 0.3), q, v)
    with pytest.raises(AssertionError, match="Instant equals automatic differentiation: force"):
        testing.check_rules(nx.at_time(Forgetful(), 0.3), q, v)


def test_derivatives_in_time_that_are_not_those_of_the_value_are_caught():
    """The energy's law takes the derivative on both sides, and sees nothing."""

    def frozen(q, v, t):
        return jnp.sum(v**2 - q**2) / 2 + jax.lax.stop_gradient(jnp.sin(t)) * jnp.sum(q * v)

    def driven(q, v, t):
        return jnp.sum(v**2 - q**2) / 2 + jnp.cos(300 * t) * jnp.sum(q * v)

    for lagrangian, broken in ((frozen, True), (driven, False)):
        subject = testing.Lagrangian(lagrangian, PLANE, 1, max_examples=16)
        (law,) = (x for x in testing.laws(subject) if x.__name__ == "derivatives_law")
        if broken:
            with pytest.raises(AssertionError, match="the derivative in time is that of the value"):
                law(subject)
        else:
            law(subject)


class Drifting(nx.SymmetryGroup):
    """Shifts that grow with time, whose lift forgets that they do."""

    space: int = 1
    dimension: int = 1

    def generators(self, q, t=0.0):
        return jnp.ones((1, *q.shape), q.dtype) * jnp.sin(jax.lax.stop_gradient(t)).astype(q.dtype)

    def act(self, coefficients, q, v, t=0.0):
        return q + coefficients * jnp.sin(jnp.asarray(t, q.dtype)), v

    def invariant_features(self, points):
        raise NotImplementedError


def test_a_lift_that_forgets_time_is_caught():
    with pytest.raises(AssertionError, match="the lift is the rate of the generator"):
        testing.check_group(Drifting(), points=1, max_examples=16)


class Mixing(nx.Lagrangian):
    """A spring that stiffens, with a rule that adds up all states of a batch."""

    def __call__(self, q, v):
        return jnp.sum(v**2) / 2 - jnp.sum(q**2) ** 2 / 4


@nx.dynamics.euler_lagrange_terms.register
def _(lagrangian: Mixing, q, v):
    size = q[0].size if q.ndim == 3 else q.size
    mass = jnp.broadcast_to(jnp.eye(size, dtype=q.dtype), (*q.shape[:-2], size, size))
    return nx.EulerLagrangeTerms(mass, (-jnp.sum(q**2) * q).reshape(*q.shape[:-2], size))


def test_a_rule_that_mixes_states_is_caught():
    subject = testing.Lagrangian(Mixing(), nx.Rotations(2), 1, max_examples=16)
    (law,) = (x for x in testing.laws(subject) if x.__name__ == "terms_law")
    with pytest.raises(AssertionError, match="equals automatic differentiation: force"):
        law(subject)


BENT = {  # right, but too sharp or too fast for steps of the state's size
    "a pendulum far around": lambda q, v: 1e4 * jnp.sum(v**2 / 2 + jnp.cos(q)),
    "short waves": lambda q, v: jnp.sum(v**2) / 2 - jnp.sum(jnp.cos(200 * q)),
    "a softened distance": lambda q, v: jnp.sum(v**2) / 2 - jnp.sqrt(jnp.sum(q**2) + 1e-9),
}


def test_what_differences_do_not_see_is_skipped():
    subject = testing.Features(
        lambda q, v: jnp.stack([f(q, v) for f in BENT.values()]), nx.Trivial(1), 1, complete=False
    )
    (law,) = (x for x in testing.laws(subject) if x.__name__ == "derivatives_law")
    assert law(subject).skipped < 64


def test_no_law_asks_for_rest_where_there_is_none():
    def speed(q, v):
        return jnp.linalg.norm(v)[None]

    subject = testing.Features(speed, nx.Rotations(2), 1, complete=False, max_examples=32)
    for rest in (False, True):
        for law in testing.laws(subject._replace(rest=rest)):
            if law.__name__ in ("regularity_law", "smoothness_law") and rest:
                with pytest.raises(AssertionError, match="not finite"):
                    law(subject)
            elif not rest:
                law(subject._replace(rest=rest))


def test_what_single_precision_cannot_hold_is_not_compared():
    """The Sun and a planet, in SI units."""

    def heavy(q, v):
        return 1e20 * (1e20 * (jnp.sum(v**2) / 2 + 1))

    subject = testing.Lagrangian(heavy, nx.Rotations(2), 1, max_examples=16)
    (law,) = (x for x in testing.laws(subject) if x.__name__ == "precision_law")
    assert (law(subject).cases, law(subject).reason[:12]) == (0, "not compared")


def test_boosts_are_drawn_as_far_in_any_unit():
    for light in (1.0, 299792458.0):
        drawn = testing.group_elements(nx.Lorentz(2, speed_of_light=light))
        hypothesis.find(
            drawn,
            lambda velocity, light=light: np.max(np.abs(velocity)) > light,
            settings=hypothesis.settings(database=None),
        )


class Quartic(nx.Lagrangian):
    """With rules whose factor may be wrong: of its momentum and its masses."""

    momentum: float = eqx.field(default=1.0, static=True)
    masses: float = eqx.field(default=1.0, static=True)

    def __call__(self, q, v):
        return jnp.sum(v**2) / 2 - jnp.sum(q**4) / 4


@nx.dynamics.lagrangian_gradient.register
def _(lagrangian: Quartic, q, v):
    return -(q**3), lagrangian.momentum * v


@nx.dynamics.constant_inertia.register
def _(lagrangian: Quartic, q):
    return jnp.full(q.shape, lagrangian.masses)


@pytest.mark.parametrize(
    ("factors", "name"),
    [((1.01, 1.0), "lagrangian_gradient"), ((1.0, 1.01), "constant_inertia"), ((1.0, 1.0), None)],
)
def test_rules_by_which_solvers_step_are_judged(factors, name):
    subject = testing.Lagrangian(Quartic(*factors), nx.Trivial(2), 1, max_examples=16)
    (law,) = (law for law in testing.laws(subject) if law.__name__ == "rules_law")
    if name is None:
        assert law(subject).cases == 16
    else:
        with pytest.raises(AssertionError, match=f"own rule equals automatic.*: {name}: violated"):
            law(subject)


def test_models_with_forces_are_refused_as_lagrangians():
    def spring(q, v):
        return jnp.sum(v**2) / 2 - jnp.sum(q**2) / 2

    damped = nx.Forced(spring, lambda q, v: -jnp.sum(q * v) * q)
    with pytest.raises(ValueError, match=r"this model has 1.*Judge model\.lagrangian here"):
        testing.check_lagrangian(damped, PLANE, points=1)
    charge = PLANE.noether_charge(damped)  # which its force keeps
    testing.check_charge(charge, damped, points=1, space=2, max_examples=16)
    steered = nx.Forced(spring, lambda q, v, t, u: u[0] * v)
    with pytest.raises(ValueError, match="Bind them to it"):
        testing.check_charge(PLANE.noether_charge(steered), steered, points=1, space=2)


def one_of(strategy):
    """Some draw of a strategy."""
    return hypothesis.find(strategy, lambda _: True, settings=hypothesis.settings(database=None))


def test_weights_are_redrawn_together_and_constants_stay():
    model = helpers.neural(ROTATIONS, 1, width=4)
    pair = (ROTATIONS.noether_charge(model), model)
    charge, drawn = one_of(testing.weights(pair))
    assert np.array_equal(
        charge.lagrangian.network.layers[0].weight, drawn.network.layers[0].weight
    )
    assert not np.array_equal(drawn.network.layers[0].weight, model.network.layers[0].weight)
    assert np.array_equal(drawn.standardisation.unit, model.standardisation.unit)
    assert one_of(testing.weights(dots)) is dots


SUBJECTS = [
    testing.Group(ROTATIONS, max_examples=3),
    testing.Features(dots, ROTATIONS, points=1, max_examples=3),
    testing.Lagrangian(helpers.HarmonicOscillator(), ROTATIONS, points=1, max_examples=3),
    testing.Charge(
        nx.Energy(helpers.HarmonicOscillator()),
        helpers.HarmonicOscillator(),
        points=1,
        space=3,
        max_examples=3,
    ),
]


@testing.parametrize_with_laws(SUBJECTS)
def test_laws_as_a_user_parametrises_them(subject, law):
    law(subject)


def test_every_law_has_a_name_and_a_sentence():
    named = {law.__name__: law.__doc__ for subject in SUBJECTS for law in testing.laws(subject)}
    assert len(named) == 22
    assert all(named.values())
    with pytest.raises(TypeError, match="Laws are known of"):
        testing.laws(dots)


def of_permutations(make, subject, permutations, **options):
    """The law of permutations of a subject of three points on a line."""
    subject = make(subject, nx.Trivial(1), 3, permutations=permutations, max_examples=16, **options)
    (law,) = (law for law in testing.laws(subject) if "permutation" in law.__name__)
    return law(subject)


def springs(q, v):
    """Two equal ends, and a middle of twice their mass."""
    middle = q[1] - (q[0] + q[2]) / 2
    return jnp.sum(jnp.array([[1.0], [2], [1]]) * v**2) / 2 - jnp.sum(middle**2) / 2


ENDS, TURN = (2, 1, 0), (1, 2, 0)


def test_points_that_are_alike_change_places():
    relative = dict(attributes=np.array([[1.0], [3], [1]]), masses=(1.0, 2.0, 1.0))
    pairs = helpers.pairwise(nx.Euclidean(1), **relative)
    friction = nx.PairFriction(nx.Euclidean(1), width=4, key=jax.random.key(0))
    cubes = jax.vmap(lambda x: jnp.stack([jnp.sum(x**k) for k in (1, 2, 3)]), 0)
    for make, subject, permutation in (
        (testing.Lagrangian, springs, ENDS),
        (testing.Lagrangian, pairs, ENDS),
        (testing.Features, lambda q, v: jnp.ravel(cubes(jnp.stack([q, v]))), TURN),
        (testing.Force, friction, TURN),
        (testing.Force, lambda q, v: -(v**3), TURN),
    ):
        seen = of_permutations(make, subject, [permutation])
        assert seen.cases - seen.skipped > 8


def test_points_that_are_not_alike_are_told_apart():
    pairs = helpers.pairwise(nx.Euclidean(1), masses=(1.0, 2.0, 1.0))
    for make, subject, permutation in (
        (testing.Lagrangian, springs, TURN),
        (testing.Lagrangian, lambda q, v: springs(q, v) + 1e-9 * q[0, 0] ** 2, ENDS),
        (testing.Lagrangian, pairs, TURN),
        (testing.Features, lambda q, v: jnp.ravel(v), ENDS),
        # The right size at the wrong point: the inverse of what is asked.
        (testing.Force, lambda q, v: -jnp.roll(v, 1, axis=0) * jnp.array([[1.0], [2], [3]]), TURN),
        (testing.Force, lambda q, v: -v * jnp.array([[1.0], [1], [1 + 1e-9]]), ENDS),
    ):
        with pytest.raises(AssertionError, match="a permutation of points"):
            of_permutations(make, subject, [permutation])


def test_permutations_that_can_be_read_once_are_all_judged():
    everyone = itertools.permutations(range(3))
    with pytest.raises(TypeError, match="Pass a list"):
        testing.laws(testing.Lagrangian(springs, nx.Trivial(1), 3, permutations=everyone))
    options = dict(points=3, permutations=itertools.permutations(range(3)), max_examples=16)
    with pytest.raises(AssertionError, match="a permutation of points"):
        testing.check_features(lambda q, v: jnp.ravel(v), nx.Trivial(1), complete=False, **options)


@pytest.mark.parametrize("wrong", [(0, 1), (0, 1, 1), (1, 2, 3), (0.5, 1, 2), ((0, 1, 2),)])
def test_what_is_no_permutation_is_refused(wrong):
    with pytest.raises(ValueError, match=r"each of the points 0, …, 2 once"):
        testing.laws(testing.Lagrangian(springs, nx.Trivial(1), 3, permutations=[wrong]))
