import optax


def default_optimizer(steps: int) -> optax.GradientTransformation:
    """What [`noetherax.fit`][] uses if no optimiser is given: Adam with b2 = 0.99, its learning rate
    falling from 1e-2 to 1e-4 along a cosine.

    Gradients explode where ∂²L/∂v² is near singular: [`noetherax.fit`][] clips them, and a short memory
    b2 of their size forgets soon. On Kepler's problem this gave models truer and more alike over
    seeds than a rate of 3e-3, or Muon, in the same time.

    **Arguments:**

    - `steps`: number of steps of the schedule.

    **Returns:**

    An Optax optimiser.
    """
    return optax.adam(optax.cosine_decay_schedule(1e-2, steps, alpha=0.01), b2=0.99)
