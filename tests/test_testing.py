"""The laws must catch what is broken: each law against an object that breaks it."""

import helpers
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
    from noetherax.testing._group_laws import bracket_law

    q, v = np.random.default_rng(0).normal(size=(2, 2, 3))
    with pytest.raises(AssertionError, match="brackets of generators"):
        bracket_law(Altered("bracket"), q, v, np.zeros(3))


def dots(q, v):
    return jnp.array([jnp.sum(q * q), jnp.sum(q * v), jnp.sum(v * v)])


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
