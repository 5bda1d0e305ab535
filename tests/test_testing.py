"""The laws must catch what is broken: each law against an object that breaks it."""

import helpers
import hypothesis
import jax.numpy as jnp
import numpy as np
import pytest

import noetherax as nx
from noetherax import testing

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
        q, v = ROTATIONS.act(coefficients, q, v, t)
        if self.fault == "identity":
            return q + 1e-6, v
        if self.fault == "velocities stay":
            return q, ROTATIONS.act(-coefficients, q, v)[1]
        if self.fault == "composition":
            return q * (1 + jnp.sum(coefficients**2)), v
        if self.fault == "float32":
            return q.astype(jnp.float32).astype(q.dtype), v
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
        ("bracket", "derivative|brackets of generators"),
    ],
)
def test_broken_groups_are_caught(fault, law):
    testing.check_group(Altered("none"))
    with pytest.raises(AssertionError, match=law):
        testing.check_group(Altered(fault))


def test_brackets_alone_are_caught():
    subject = testing.Group(Altered("bracket"))
    (bracket_law,) = (law for law in testing.laws(subject) if law.__name__ == "bracket_law")
    with pytest.raises(AssertionError, match="brackets of generators"):
        bracket_law(subject)


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
        "leaves the value unchanged|Lie derivative",
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


@pytest.mark.parametrize("name", BROKEN_FEATURES)
def test_broken_features_are_caught(name):
    testing.check_features(dots, ROTATIONS, points=1)
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
    assert len(named) == 20
    assert all(named.values())
    with pytest.raises(TypeError, match="Laws are known of"):
        testing.laws(dots)
