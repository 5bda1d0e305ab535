"""The models that experiments compare: neural Lagrangians, and networks straight to the acceleration.

A builder makes a model of one kind for a group, `builder(group)(q, v, width=width, bend=bend,
key=key)`, standardised on the states given. Everything else is the same for all: width, depth, data
and steps.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

import noetherax as nx

NEURAL_ODE = "neural ODE"  # on the coordinates that the unconstrained Lagrangian sees
INVARIANT_ODE = "neural ODE on invariants"
TRUE_LAW = "true law"

Builder = Callable[..., Any]


def neural_lagrangian(group: nx.SymmetryGroup) -> Builder:
    """L = f ∘ S with the features S that the group leaves invariant."""

    def build(q, v, *, width, bend, key):
        features = group.invariant_features(points=q.shape[1])
        return nx.standardise(nx.NeuralLagrangian(features, width, key=key), q, v, bend=bend)

    return build


def neural_ode(group: nx.SymmetryGroup, unit: float | None = None) -> Builder:
    """A network from the group's features to the acceleration, in a unit given or that of the data."""

    def build(q, v, **options):
        a = None if unit is None else jnp.full_like(q, unit)
        features = group.invariant_features(points=q.shape[1])
        return nx.NeuralODE(q, v, a, features=features, **options)

    return build


def invariant_ode(group: nx.SymmetryGroup) -> Builder:
    """A network from the group's features to an equivariant acceleration."""

    def build(q, v, **options):
        return nx.EquivariantODE(group, q, v, **options)

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
    bend: nx.features.Bend = "logarithm",
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
