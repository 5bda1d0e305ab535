import optax


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
    return optax.chain(optax.normalize_by_update_norm(), optax.contrib.muon(rate))
