"""A compiled program is used again only where it computes the same, and few are kept."""

import functools
from collections import OrderedDict
from types import SimpleNamespace

import diffrax
import equinox as eqx
import equinox.internal as eqxi
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import noetherax as nx
from noetherax import _programs
from noetherax._content import content, is_transparent
from noetherax._programs import program, run
from noetherax.dynamics import closure_converted, known, opened

Q, V = np.array([[1.0, 0.5]]), np.array([[0.0, 0.3]])
STIFFNESS = {"global": 1.0}


def oscillator(stiffness):
    return lambda q, v: jnp.sum(v**2) / 2 - stiffness * jnp.sum(q**2) / 2


def of_stiffness(stiffness, q, v):
    return oscillator(stiffness)(q, v)


class Oscillator:
    def __init__(self, stiffness):
        self.stiffness = stiffness

    def __call__(self, q, v):
        return oscillator(self.stiffness)(q, v)


def exact(stiffness, t):
    rate = jnp.sqrt(stiffness)
    return Q * jnp.cos(rate * t) + V * jnp.sin(rate * t) / rate


def end(lagrangian, **options):
    options = {"ts": np.linspace(0, 0.3, 4), "solver": nx.RK4()} | options
    return nx.rollout(lagrangian, Q, V, **options).q[-1]


HIDDEN = {
    "a closure": oscillator,
    "a partial": lambda w: functools.partial(of_stiffness, w),
    "an object": Oscillator,
    "a sum": lambda w: nx.LagrangianSum(oscillator(w)),
    "a function of a function": lambda w: lambda q, v: oscillator(w)(q, v),
}


@pytest.mark.parametrize("make", HIDDEN.values(), ids=HIDDEN)
def test_derivatives_reach_what_a_lagrangian_closes_over(make):
    def total(stiffness):
        return jnp.sum(nx.acceleration(make(stiffness), Q, V, throw=False))

    np.testing.assert_allclose(jax.jit(jax.grad(total))(2.0), -np.sum(Q), rtol=1e-12)


def test_derivatives_of_a_rollout_reach_what_a_lagrangian_closes_over():
    slope = jax.grad(lambda w: jnp.sum(end(oscillator(w))))(2.0)
    expected = jax.grad(lambda w: jnp.sum(exact(w, 0.3)))(2.0)
    np.testing.assert_allclose(slope, expected, rtol=1e-4)  # RK4 at a step of 0.1


def test_a_loss_that_rolls_out_a_closure_over_the_model_trains_it():
    lagrangian = nx.NeuralLagrangian(
        nx.Rotations(2).invariant_features(1), width=4, depth=1, key=jax.random.key(0)
    )

    def loss(model, batch):
        q, v, a = batch
        return jnp.mean((nx.acceleration(lambda q, v: model(q, v), q, v) - a) ** 2)

    rng = np.random.default_rng(0)
    q, v = rng.normal(size=(2, 8, 1, 2))
    trained, history = nx.fit(
        lagrangian, (q, v, -q), steps=2, loss=loss, key=jax.random.key(1), progress=False
    )
    assert history.skipped == 0
    moved = trained.network.layers[0].weight - lagrangian.network.layers[0].weight
    assert np.all(moved != 0)


def changing():
    """Lagrangians that read what changes, and how to change it, by kind."""
    thing = Oscillator(1.0)
    array = np.ones(2)

    def of_global(q, v):
        return oscillator(STIFFNESS["global"])(q, v)

    def of_array(q, v):
        return jnp.sum(v**2) / 2 - jnp.sum(array * q**2) / 2

    return {
        "global": (of_global, lambda w: STIFFNESS.update({"global": w})),
        "attribute": (thing, lambda w: setattr(thing, "stiffness", w)),
        "array": (of_array, lambda w: array.fill(w)),
        "in a sum": (nx.LagrangianSum(of_array), lambda w: array.fill(w)),
    }


@pytest.mark.parametrize("kind", ["global", "attribute", "array", "in a sum"])
def test_a_rollout_sees_what_has_changed_since_the_last(kind):
    lagrangian, change = changing()[kind]
    for stiffness in (1.0, 4.0, 1.0):
        change(stiffness)
        np.testing.assert_allclose(end(lagrangian), exact(stiffness, 0.3), rtol=1e-3)


def test_options_of_a_rollout_are_read_anew():
    wall = {"at": 0.95}
    event = diffrax.Event(lambda t, y, args, **_: y[0][0, 0] < wall["at"])
    options = {"event": event, "throw": False, "saveat": diffrax.SaveAt(steps=True)}
    nx.rollout(oscillator(1.0), Q, V, ts=np.linspace(0, 1, 11), solver=nx.RK4(), **options)
    wall["at"] = 0.75
    later = nx.rollout(oscillator(1.0), Q, V, ts=np.linspace(0, 1, 11), solver=nx.RK4(), **options)
    assert np.min(np.where(np.isfinite(later.q[:, 0, 0]), later.q[:, 0, 0], 1)) < 0.75


def test_a_fit_sees_a_sampler_and_a_loss_that_have_changed():
    features = nx.Rotations(2).invariant_features(1)
    lagrangian = nx.NeuralLagrangian(features, width=4, depth=1, key=jax.random.key(0))
    settings = SimpleNamespace(scale=1.0, data=[-1.0])

    def sampler(key):
        q, v = jax.random.normal(key, (2, 8, 1, 2))
        return q, v, settings.data[0] * q

    def loss(model, batch):
        return settings.scale * nx.AccelerationLoss()(model, batch)

    def first_loss():
        options = {"loss": loss, "key": jax.random.key(1), "preparation": False}
        return nx.fit(lagrangian, sampler, steps=1, **options, progress=False)[1].loss[0]

    before = first_loss()
    settings.scale = 3.0
    np.testing.assert_allclose(first_loss(), 3 * before, rtol=1e-12)
    settings.data[0] = -5.0
    assert abs(first_loss() / before - 3) > 0.1


@pytest.fixture
def kept(monkeypatch):
    """The programs that are kept, none at first."""
    monkeypatch.setattr(_programs, "_kept", OrderedDict())
    return _programs._kept


def test_a_program_is_kept_by_what_it_computes(kept):
    traces = []

    def times(function, x):
        traces.append(function)
        return function(x)

    def scaled(by):
        return lambda x: by * x

    assert run(times, scaled(2.0), jnp.ones(3))[0] == 2
    assert run(times, scaled(2.0), jnp.ones(3))[0] == 2
    assert len(kept) == 1
    assert run(times, scaled(3.0), jnp.ones(3))[0] == 3
    assert len(kept) == 2


@jax.custom_vjp
def _same(x):
    return x


_same.defvjp(lambda x: (x, None), lambda _, cotangent: (cotangent,))

AGAIN = {
    "NaN": lambda x: jnp.where(x > 0, x, jnp.nan),
    "a loop": lambda x: jax.lax.fori_loop(0, 2, lambda i, x: x + 1, x),
    "a custom derivative": lambda x: _same(x),
    "an equinox loop": lambda x: eqxi.while_loop(
        lambda x: jnp.all(x < 3), lambda x: x + 1, x, kind="checkpointed", max_steps=4
    ),
}


@pytest.mark.parametrize("function", AGAIN.values(), ids=AGAIN)
def test_what_computes_the_same_is_compiled_once(function, kept):
    run(_apply, function, jnp.ones(2))
    run(_apply, lambda x: function(x), jnp.ones(2))
    assert len(kept) == 1


def test_few_programs_are_kept(monkeypatch, kept):
    monkeypatch.setattr(_programs, "MOST", 3)

    def power(by):
        return lambda x: jnp.sin(x + by)

    for number in range(6):
        run(lambda f, x: f(x), power(float(number)), jnp.ones(2))
        assert len(_programs._kept) <= 3
    # The one used last is the one that stays longest.
    again = program(_apply, power(7.0), jnp.ones(2))
    for number in (8.0, 9.0):
        run(_apply, power(number), jnp.ones(2))
        assert again(power(7.0), jnp.ones(2))[0] == jnp.sin(8.0)
    assert len(_programs._kept) == 3
    monkeypatch.setattr(_programs, "MOST_BYTES", 10_000)
    for number in (1.0, 2.0):
        table = np.full(1000, number)
        assert run(_apply, lambda x, table=table: x[0] * table[0], jnp.ones(2)) == number
        assert sum(x.bytes for x in _programs._kept.values()) <= 10_000


def _apply(function, x):
    return function(x)


def _custom(factor):
    @jax.custom_jvp
    def same(x):
        return x

    same.defjvp(lambda primals, tangents: (primals[0], factor * tangents[0]))
    return lambda q, v: jnp.sum(v**2) / 2 - jnp.sum(same(q) ** 2) / 2


UNEQUAL = {
    "number": (lambda x: x * 1.0, lambda x: x * 2.0),
    "sign of zero": (lambda x: x * 0.0, lambda x: x * -0.0),
    "constant": (lambda x: x + np.array([1.0, 2]), lambda x: x + np.array([1.0, 3])),
    "order": (lambda x: x[0] - x[1], lambda x: x[1] - x[0]),
    "primitive": (jnp.sin, jnp.cos),
    "within a loop": tuple(
        lambda x, by=by: jax.lax.fori_loop(0, 3, lambda i, x: x * by, x) for by in (2.0, 3.0)
    ),
    "key": tuple(lambda x, s=s: jax.random.normal(jax.random.key(s), (2,)) + x for s in (0, 1)),
}


@pytest.mark.parametrize("pair", UNEQUAL.values(), ids=UNEQUAL)
def test_content_tells_computations_apart(pair):
    def of(function):
        return content(jax.make_jaxpr(lambda x: function(x))(jnp.ones(2)))

    first, second = pair
    assert of(first) == of(first)
    assert of(first) != of(second)


def test_custom_derivatives_tell_lagrangians_apart():
    def recorded(factor):
        return known(_custom(factor), Q, V, nx.euler_lagrange_terms).jaxpr

    assert recorded(1.0) == recorded(1.0)
    assert recorded(1.0) != recorded(2.0)


def test_what_is_data_is_not_traced():
    model = nx.NeuralLagrangian(nx.Rotations(2).invariant_features(1), key=jax.random.key(0))
    for data in (model, nx.systems.Kepler().lagrangian, diffrax.Tsit5(), nx.RK4(), jnp.tanh):
        assert is_transparent(data)
    assert known(model, Q, V, nx.euler_lagrange_terms) is model
    for opaque in (oscillator(1.0), Oscillator(1.0), nx.LagrangianSum(oscillator(1.0))):
        assert not is_transparent(opaque)
        assert closure_converted(opaque, Q, V) is opaque
    assert opened(known(nx.LagrangianSum(model, oscillator(1.0)), Q, V, nx.acceleration))(Q, V)


class Straight(eqx.Module):
    """No Lagrangian, but an acceleration, with a rule of its own."""

    rate: float

    def __call__(self, q, v):
        return -self.rate * q


@nx.euler_lagrange_terms.register
def _(lagrangian: Straight, q, v):
    force = lagrangian(q, v).reshape(*q.shape[:-2], -1)
    unit = jnp.eye(force.shape[-1], dtype=force.dtype)
    return nx.EulerLagrangeTerms(jnp.broadcast_to(unit, (*force.shape, len(unit))), force)


def test_a_type_with_rules_need_be_no_scalar_function():
    for stiffness in (1.0, 4.0):
        np.testing.assert_allclose(end(Straight(stiffness)), exact(stiffness, 0.3), rtol=1e-3)


class Labelled(eqx.Module):
    """Something static that no computation looks at, and a leaf that is no array."""

    x: jax.Array
    number: int
    label: float = eqx.field(static=True)


def doubled(labelled: Labelled):
    return eqx.tree_at(lambda y: y.x, labelled, 2 * labelled.x)


def test_arguments_may_differ_in_a_static_field_that_nothing_is_computed_from():
    first, second = (Labelled(jnp.ones(2), 2, label) for label in (1.0, 2.0))
    for labelled in (first, second, first):
        found = run(doubled, labelled)
        assert found.label == labelled.label
        assert np.array_equal(found.x, [2, 2])


def with_stiffness(stiffness):
    return lambda q, v: jnp.sum(v**2 * (1 + stiffness * q**2)) / 2 - stiffness * jnp.sum(q**2)


def loss_of(lagrangian):
    q = jnp.linspace(0.5, 1.0, 8).reshape(8, 1, 1)
    return nx.AccelerationLoss()(lagrangian, nx.Observations(q, q, q))


def drift_of(lagrangian):
    q = jnp.array([[[0.5]], [[0.6]]])
    orbit = nx.Trajectory(jnp.arange(2.0), q, q, None, {}, diffrax.RESULTS.successful)
    return jnp.sum(nx.drift(nx.Translations(1).noether_charge(lagrangian), orbit) ** 2)


@pytest.mark.parametrize("of", [loss_of, drift_of])
def test_functions_that_close_over_other_traced_values_have_other_programs(of):
    """Their jaxprs are the same: traced values that are closed over are inputs of it."""

    def difference(one, other):
        return of(with_stiffness(one)) - of(with_stiffness(other))

    at = jnp.asarray(0.7), jnp.asarray(0.9)
    expected = difference(*at)
    assert abs(expected) > 1e-3
    for _ in range(2):  # nor does a program hold what was traced the first time
        value, slope = jax.jvp(difference, at, (jnp.asarray(1.0), jnp.asarray(0.0)))
        assert np.isclose(value, expected, rtol=1e-12)
        assert np.isclose(slope, jax.grad(difference)(*at), rtol=1e-9)
