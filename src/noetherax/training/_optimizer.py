import optax


def default_optimizer(steps: int) -> optax.GradientTransformation:
    """What [`noetherax.fit`][] uses if no optimiser is given: Muon on matrices, Adam on biases, with
    the learning rate falling from 1e-2 to 1e-5 along a cosine.

    **Arguments:**

    - `steps`: number of steps of the schedule.

    **Returns:**

    An Optax optimiser.
    """
    return optax.contrib.muon(optax.cosine_decay_schedule(1e-2, steps, alpha=1e-3))
