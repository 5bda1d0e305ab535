"""What a fit says of itself at its end, if it went wrong."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from .._programs import run
from ..dynamics import euler_lagrange_terms
from ..features import standardisation_of
from ..losses import Loss, at_instants, law_of
from ._batches import at_most
from ._default_loss import RULED
from ._observed import states_of
from ._plan import Member
from ._regular_start import every
from ._scale import mean_loss, no_law
from ._trainable import standardised_parts
from ._what_is_left import likeness_of_neighbours

LEFT_OUT = 0.05
"""Fraction of updates left out up to which a run is as good as whole."""

EXPLAINED = 0.1
"""Fraction of the loss without force that a law must take away to have been learned at all."""

REST = 0.05
"""Fraction of the loss from which on it is asked whether what is left is noise."""

FEW = 100
"""Steps below which no law need be learned yet."""

ASK = (
    "More steps will hardly help if the data do not obey what was declared: a Lagrangian without "
    "explicit time, friction or constraints (forces stand beside it, noetherax.Forced), with the "
    "symmetry of its features (does noetherax.Trivial(space) in the place of the group do better?), v "
    "and a the derivatives of q in the same units, all components of a of about the same size, or if "
    "their noise is as large as the accelerations. Else try another key, a wider network or a smaller "
    "learning rate."
)

REGULAR = (
    "Try another key, a wider network, more steps, a smaller learning rate, or, where squares of "
    "velocities are features, a noetherax.LinearLagrangian beside the network. If the history says "
    "that first layers were spread, try those that were drawn, too: noetherax.prepare(..., "
    "first_layer=False) before the fit."
)

UNBENT = (
    " Or features that are not bent: noetherax.standardise(lagrangian, q, v, bend=None) and "
    "noetherax.regular_start before the fit."
)

UNLEARNED = (
    "So a law of the state is left to be learned. Would more steps, another key or a wider network "
    "help? Or a group with fewer symmetries, such as noetherax.Trivial(space), or a force beside the "
    "Lagrangian, noetherax.Forced? But errors of the data are alike, too, where smoothing left them, "
    "and a relative loss is biased by noise as large as the accelerations."
)

MOST_ENTRIES = 2**24
"""Of all mass matrices that are looked at together: of many points each is large."""

ROUNDING = 10
"""Units of precision, of the largest eigenvalue, below which an eigenvalue has no sign."""


class Verdict(NamedTuple):
    finding: str
    advice: str


def verdicts(
    losses: np.ndarray,
    judged: np.ndarray,
    skipped: int,
    trained: PyTree,
    member: Member,
    loss: Callable,
) -> list[Verdict]:
    """What is wrong with a finished run; nothing, as a rule. `judged` are losses of what was trained on
    some batches; if there are none, those of the last steps stand for them."""
    found: list[Verdict] = []
    try:
        found.extend(_updates(losses, skipped, trained, member, loss))
        found.extend(_end(losses, judged, trained, member, loss))
    except Exception as error:  # of any kind: what was learned must not be lost by judging it
        finding = f"The end of this run could not be judged: {type(error).__name__}: {error}"
        found.append(Verdict(finding, "Compare the model with data of your own."))
    return found


def _updates(losses, skipped, trained, member, loss) -> list[Verdict]:
    """Of the updates that were left out."""
    if skipped <= max(1, LEFT_OUT * len(losses)):
        return []
    finding = f"{skipped} of {len(losses)} updates were left out, not being finite."
    advice = (
        "The weights are those of the others alone. "
        + (_walls(trained, loss, member.drawn) or "")
        + "Is the loss finite on every batch, and do the features see every velocity with "
        "curvature? Else try another key, or a smaller learning rate."
    )
    return [Verdict(finding, advice)]


def _end(losses, judged, trained, member, loss) -> list[Verdict]:
    """Of what was learned in the end."""
    done, without_force = len(losses), member.scale.without_force
    if done < FEW or without_force is None:
        return []
    recent = judged if len(judged) else losses[-(done // 10) :]
    recent = recent[np.isfinite(recent)]
    level = float(np.mean(recent)) / without_force if len(recent) else np.inf
    # Also where nearly all is explained: between the data, and in motions, a singular model fails.
    walls = _walls(trained, loss, member.drawn)
    if level < (1 - EXPLAINED) / 2:
        return _partly(walls, level, trained, member, loss)
    value = mean_loss(loss, trained, at_most(member.drawn))
    if value <= (1 - EXPLAINED) * without_force:
        return _partly(walls, value / without_force, trained, member, loss)
    numbers = (
        f"its loss is {value:.3g} on the first batches, and without any force {without_force:.3g}"
    )
    few = _ruled(loss, member.drawn) or ""
    if not np.isfinite(value):
        finding = (
            f"After {done} steps the loss of the model is finite on none of the first batches."
        )
        return [Verdict(finding, (walls or "") + _regular(trained))]
    if value <= without_force:
        part = 1 - value / without_force
        finding = (
            f"Next to nothing was learned in {done} steps: {numbers}; {part:.1%} is explained."
        )
        return [Verdict(finding, few + ASK)]
    finding = f"After {done} steps the model is worse than none: {numbers}."
    return [Verdict(finding, few + (walls + _regular(trained) if walls else ASK))]


def _regular(model: PyTree) -> str:
    """What to try against a singular ∂²L/∂v²."""
    fitted = [standardisation_of(part) for part in standardised_parts(model)]
    bent = any(np.any(np.asarray(x.bends) > 0) for x in fitted if x is not None)
    return REGULAR + UNBENT * bent


def _partly(walls: str | None, level: float, model, member, loss) -> list[Verdict]:
    """Of a model that explains a part: whether it is singular among the data, and what is left."""
    if walls is not None:
        finding = f"{_percent(1 - level)} is explained, by a singular model. {walls.strip()}"
        return [Verdict(finding, _regular(model))]
    alike = likeness_of_neighbours(loss, model, member.drawn) if level > REST else None
    if alike is None:
        return []
    finding = (
        f"{_percent(1 - level)} is explained, and the rest is not independent noise: it points the "
        f"same way at neighbouring states ({alike:.2g}, where noise has 0 and a law of the state 1)."
    )
    return [Verdict(finding, UNLEARNED)]


def _percent(part: float) -> str:
    return f"{part:.0%}" if part < 0.99 else f"{100 * part:.4g}%"


def _walls(model: PyTree, loss: Callable, drawn: PyTree) -> str | None:
    """Whether ∂²L/∂v² changes its signature among the data, where the acceleration is infinite."""
    try:
        states = states_of(loss, at_most(drawn))
        if states is None:
            return None
        most = MOST_ENTRIES // states[0][0].size ** 2
        if most < 1:
            return None
        q, v, _, *instant = every(states, 0, -(-len(states[0]) // most))
        model = at_instants(law_of(loss, model), *instant)
        mass = np.asarray(euler_lagrange_terms(model, q, v).mass_matrix)
        rounding = ROUNDING * np.finfo(mass.dtype).eps
        values = np.linalg.eigvalsh(mass[np.all(np.isfinite(mass), axis=(1, 2))].astype(float))
        negative = np.sum(
            values < -rounding * np.max(np.abs(values), axis=1, keepdims=True), axis=1
        )
    except (TypeError, ValueError, AttributeError, np.linalg.LinAlgError):
        return None
    other = np.mean(negative != np.bincount(negative).argmax()) if len(negative) else 0
    if not other:
        return None
    return (
        f"∂²L/∂v² has another signature in {other:.1%} of the states than in the rest, and is singular "
        "in between, where the acceleration is infinite. "
    )


def _ruled(loss: Callable, drawn: PyTree) -> str | None:
    """Whether a few samples, those of the largest accelerations, are nearly all that a loss sees."""
    if not isinstance(loss, Loss):
        return None
    try:
        batch = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), at_most(drawn))
        residuals = np.asarray(run(_of_samples, loss, no_law(loss), batch), float)
    except Exception:  # of any kind: a loss may ask for anything that the model has
        return None
    ratio = np.mean(residuals) / np.median(residuals)
    if not ratio > RULED:
        return None
    return (
        f"A few samples rule this loss: without any force its mean over samples is {ratio:.3g} times "
        "its median. Where accelerations span decades, "
        "noetherax.RelativeAccelerationLoss(floor), floor a typical acceleration, lets all samples "
        "count alike. "
    )


def _of_samples(loss, model, batch):
    residuals = loss.residuals(model, batch)
    return jnp.sum(jnp.square(residuals).reshape(len(residuals), -1), axis=1)
