"""First layers spread over the data, where those that were drawn see too little of a law."""

import math
from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from ..losses import law_of
from ._brief_training import STEPS, trained_briefly
from ._candidates import with_networks
from ._regular_start import every, parts_missed, regular_start_of

POOR = 0.1
"""Part missed by a start, and again after a brief training, above which other first layers are tried.
Weights as in the paper, small and without biases, are smooth over all the data: of a double well, or of
sin 4q, they see next to nothing, and training may not help. Of the laws tried, none with a better start
needed another one, and where training helps, larger weights made some networks singular."""

WAYS = {"spread by 0.5": (0.5, 1.0), "half spread by 1": (1.0, 0.5)}
"""What is tried beside the layer that was drawn: the standard deviation of its weights, for inputs of
unit deviation, and the part of its units that is changed. The larger the weights are, the more networks
keep a few states where they are singular, and have large errors there: with 1 in all units more than
with 1 in half of them."""

CLEARER = 3.0
"""Standard errors, over states that were not seen, by which another first layer has to be better."""


def spread(model: PyTree, deviation: float, part: float) -> PyTree:
    """The model with first layers of weights of a standard deviation, their kinks at typical inputs, in
    a part of their units.

    Inputs are standardised, so that typical ones are normal of deviation one. Weights keep their
    directions: networks that were drawn apart stay apart."""

    def changed(network: eqx.nn.MLP) -> eqx.nn.MLP:
        first = network.layers[0]
        weights = np.array(first.weight, float)
        size = np.sqrt(np.mean(np.square(weights)))
        if first.bias is None or not size > 0:
            return network
        kinks = np.random.default_rng(0).normal(size=weights.shape)
        biases = np.array(first.bias, float)
        units = slice(len(weights) - math.ceil(part * len(weights)), None)
        weights[units] *= deviation / size
        biases[units] = -np.sum(weights * kinks, axis=1)[units]
        new = (jnp.asarray(x, first.weight.dtype) for x in (weights, biases))
        return eqx.tree_at(
            lambda net: (net.layers[0].weight, net.layers[0].bias), network, tuple(new)
        )

    return with_networks(model, changed)


def best_first_layers(
    loss: Callable, model: PyTree, start: PyTree, states: tuple
) -> tuple[PyTree, str]:
    """The start given, or one from first layers that, after a brief training, come clearly nearer to
    accelerations which they have not seen; and what was tried, in words. The start alone does not tell:
    layers that are soon better may begin no nearer.

    **Arguments:**

    - `loss`: its law gives the accelerations.
    - `model`, `start`: as it was drawn, and with last layers by least squares.
    - `states`: q, v, a, and times and inputs where there are any, of at least two samples.
    """
    seen, unseen = every(states, 0, 2), every(states, 1, 2)

    def missed(start) -> np.ndarray:
        return parts_missed(law_of(loss, start), unseen)

    if np.mean(missed(start)) <= POOR:
        return start, ""

    def after_training(model) -> np.ndarray:
        return missed(trained_briefly(loss, regular_start_of(loss, model, seen), seen))

    parts = {"as drawn": after_training(model)}
    if np.mean(parts["as drawn"]) > POOR:
        ways = {name: spread(model, *way) for name, way in WAYS.items()}
        parts |= {
            name: after_training(way)
            for name, way in ways.items()
            if not eqx.tree_equal(way, model)
        }
    best = min(parts, key=lambda name: np.mean(parts[name]))
    told = ", ".join(f"{name} {np.mean(part):.2g}" for name, part in parts.items())
    told = f"(part missed after {STEPS} steps: {told})"
    better = parts["as drawn"] - parts[best]
    if not np.mean(better) > CLEARER * np.std(better) / np.sqrt(len(better)):
        return start, f"first layer as drawn {told}"
    found = regular_start_of(loss, spread(model, *WAYS[best]), states)
    return found, f"first layer {best} {told}"
