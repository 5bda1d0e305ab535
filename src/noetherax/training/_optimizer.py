import optax


def default_optimizer(steps: int) -> optax.GradientTransformation:
    """What [`noetherax.fit`][] uses if no optimiser is given: Muon on matrices, Adam on biases, with
    the learning rate falling from 1e-2 to 1e-7 along a cosine.

    The last decades average the noise of the observations out. On Kepler's problem with rotations and
    10,000 steps, ending at 1e-7 instead of 1e-5 took the drift of the true angular momentum from
    2.8e-3 to 1.1e-3.

    **Arguments:**

    - `steps`: number of steps of the schedule.

    **Returns:**

    An Optax optimiser.
    """
    return optax.contrib.muon(optax.cosine_decay_schedule(1e-2, steps, alpha=1e-5))
