"""The models that experiments compare: neural Lagrangians, and networks straight to the acceleration.

A builder makes a model of one kind for a group, `builder(group)(q, v, width=width, bend=bend,
key=key)`, standardised on the states given. Everything else is the same for all: width, depth, data
and steps.
"""

import abc
from collections.abc import Callable, Mapping
from typing import Any, final

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

import noetherax as nx

NEURAL_ODE = "neural ODE"  # on the coordinates that the unconstrained Lagrangian sees
INVARIANT_ODE = "neural ODE on invariants"
TRUE_LAW = "true law"

Builder = Callable[..., Any]


class AccelerationLaw(eqx.Module):
    """A second-order neural ODE, a = F(q, v): no Lagrangian, no charge."""

    @abc.abstractmethod
    def __call__(self, q, v) -> jax.Array:
        """The acceleration, `(points, space)`."""


@nx.euler_lagrange_terms.register
def _(model: AccelerationLaw, q, v):
    # The equation of motion 1 · a = F(q, v). With this rule nx.fit, nx.rollout and nx.acceleration
    # take such a model as they take a Lagrangian.
    a = jnp.vectorize(model, signature="(n,d),(n,d)->(n,d)")(q, v)
    force = a.reshape(*a.shape[:-2], -1)
    size = force.shape[-1]
    mass_matrix = jnp.broadcast_to(jnp.eye(size, dtype=a.dtype), (*force.shape, size))
    return nx.EulerLagrangeTerms(mass_matrix, force)


@final
class AccelerationNetwork(AccelerationLaw):
    """a = network(S(q, v)), component by component.

    The type of its standardisation tells `nx.fit` not to train that.
    """

    features: nx.InvariantFeatures
    standardisation: nx.Standardisation
    network: eqx.nn.MLP

    def __init__(self, features, q, v, *, width=128, depth=2, bend=True, key):
        self.features = features
        self.standardisation = nx.Standardisation.fit(features, q, v, bend=bend)
        inputs, size = features.num_features, q[0].size
        self.network = eqx.nn.MLP(inputs, size, width, depth, jax.nn.softplus, key=key)

    def __call__(self, q, v):
        return self.network(self.standardisation(self.features(q, v))).reshape(q.shape)


@final
class EquivariantNetwork(AccelerationLaw):
    """a = Σ_m c_m(S) ∂S_m/∂q + d_m(S) ∂S_m/∂v with a network (c, d): a force that turns as the state
    does. It has the symmetry of its features, for groups of orthogonal matrices, but no charges: a
    second-order equation need not come from a Lagrangian."""

    features: nx.InvariantFeatures
    standardisation: nx.Standardisation
    network: eqx.nn.MLP

    def __init__(self, features, q, v, *, width=128, depth=2, bend=True, key):
        self.features = features
        self.standardisation = nx.Standardisation.fit(features, q, v, bend=bend)
        count = features.num_features
        self.network = eqx.nn.MLP(count, 2 * count, width, depth, jax.nn.softplus, key=key)

    def __call__(self, q, v):
        values, pull_back = jax.vjp(self.features, q, v)
        along_q, along_v = jnp.split(self.network(self.standardisation(values)), 2)
        return pull_back(along_q)[0] + pull_back(along_v)[1]


def neural_lagrangian(group: nx.SymmetryGroup) -> Builder:
    """L = f ∘ S with the features S that the group leaves invariant."""

    def build(q, v, *, width, bend, key):
        features = group.invariant_features(points=q.shape[1])
        return nx.standardise(nx.NeuralLagrangian(features, width, key=key), q, v, bend=bend)

    return build


def neural_ode(group: nx.SymmetryGroup) -> Builder:
    """A network from the group's features to the acceleration."""

    def build(q, v, **options):
        return AccelerationNetwork(group.invariant_features(points=q.shape[1]), q, v, **options)

    return build


def invariant_ode(group: nx.SymmetryGroup) -> Builder:
    """A network from the group's features to an equivariant acceleration."""

    def build(q, v, **options):
        return EquivariantNetwork(group.invariant_features(points=q.shape[1]), q, v, **options)

    return build


def train(
    build: Builder,
    samples: tuple,
    observations,
    steps: int,
    key,
    optimizer: optax.GradientTransformation | None = None,
    loss: nx.Loss = nx.AccelerationLoss(),
    width: int = 128,
    bend: bool = True,
    regular: bool = False,
    polish: Mapping[str, Any] | None = None,
):
    """A model, standardised on `samples` and trained on `observations`, and its history.

    With `regular`, a Lagrangian starts from a regular ∂²L/∂v². With `polish`, options of `nx.polish`,
    the last digits are those of least squares: weights have to be few for that.
    """
    weights_key, batch_key, polish_key = jax.random.split(key, 3)
    q, v, a = samples
    model = build(q, v, width=width, bend=bend, key=weights_key)
    # Of the gradient itself, which fit measures in units of the loss without any force.
    no_force = float(loss(lambda q, v: jnp.sum(v**2) / 2, samples))
    max_norm = min(1.0, float(jnp.mean(jnp.square(a)))) / no_force
    optimizer = nx.default_optimizer(steps) if optimizer is None else optimizer
    optimizer = optax.chain(optax.clip_by_global_norm(max_norm), optimizer)
    options: Any = dict(steps=steps, optimizer=optimizer, loss=loss)
    if regular:
        model = nx.regular_start(model, q, v, a)
    model, fitted = nx.fit(model, observations, key=batch_key, **options)
    if polish is None:
        return model, fitted
    model, polished = nx.polish(model, observations, key=polish_key, **polish)
    seconds = fitted.seconds + polished.seconds
    return model, fitted._replace(seconds=seconds)


def adam(rate: float, steps: int) -> optax.GradientTransformation:
    """Adam with a cosine decay to a hundredth. Its usual `eps` is the size of the gradients
    themselves where accelerations are about 0.01."""
    schedule = optax.cosine_decay_schedule(rate, steps, alpha=1e-2)
    return optax.adam(schedule, b2=0.99, eps=1e-12)


def muon(rate: float, steps: int) -> optax.GradientTransformation:
    """Muon with a cosine decay to a hundredth: ten times further than the default, for noisy data."""
    return optax.contrib.muon(optax.cosine_decay_schedule(rate, steps, alpha=1e-2))


relative_loss = nx.RelativeAccelerationLoss(floor=0.3)
"""Noise of position reaches the acceleration through ∂a/∂q: at Kepler's perihelion it is 12 times that
of the apparatus, and a plain mean of squares sees little else."""
