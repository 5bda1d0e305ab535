import optax

LEAST_NORM = 1e-30
"""Added to the norm of a gradient, so that zero stays zero. Optax's own 1e-6 would stop the training of
a law that is nearly learned, or of one in small units."""


def default_optimizer(steps: int) -> optax.GradientTransformation:
    """What [`noetherax.fit`][] uses if no optimiser is given: Muon on matrices, Adam on biases, on
    gradients scaled to unit norm, with the learning rate falling from 1e-2 to 1e-3 along a cosine.
    It ends that high because [`noetherax.fit`][] returns an average of the last weights.

    Unit norm gives every batch the same say. Gradients of the acceleration explode where ∂²L/∂v² is
    near singular, and one such batch would otherwise rule Muon's momentum for hundreds of steps.

    **Arguments:**

    - `steps`: number of steps of the schedule.

    **Returns:**

    An Optax optimiser.
    """
    rate = optax.cosine_decay_schedule(1e-2, steps, alpha=0.1)
    unit_norm = optax.normalize_by_update_norm(eps=LEAST_NORM)
    return optax.chain(unit_norm, optax.contrib.muon(rate))
