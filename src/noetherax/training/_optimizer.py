import optax

from ._going_back import going_back

LEAST_NORM = 1e-30
"""Added to the norm of a gradient, so that zero stays zero. Optax's own 1e-6 would stop the training of
a law that is nearly learned, or of one in small units."""


LARGEST_NORM = 1.0
"""Gradients are clipped to it first. Since they are normalised next, only rounding depends on it;
without it all published numbers would change in their last digits."""


def default_optimizer(steps: int) -> optax.GradientTransformation:
    """What [`noetherax.fit`][] uses if no optimiser is given: Muon on matrices, Adam on biases, on
    gradients clipped and scaled to unit norm, with the learning rate falling from 1e-2 to 1e-3 along a
    cosine. It ends that high because [`noetherax.fit`][] returns an average of the last weights.

    Unit norm gives every batch the same say. Gradients of the acceleration explode where ∂²L/∂v² is
    near singular, and one such batch would otherwise rule Muon's momentum for hundreds of steps.

    A rate that is good for one problem is too large for another, such as trajectories measured by small
    noise. Where the loss has risen to ten times its least, on a logarithmic average over ten batches,
    the weights of that least are taken up again, without momentum, and the steps are halved; they
    double every 500 steps, up to the rate of the schedule. Where that never happens, it has no effect.

    An optimiser of your own is used as it is, and does not go back. One without a normalisation needs a
    clip of the gradient, in units of the loss without any force (see [`noetherax.fit`][]).

    !!! example

        ```python
        import jax
        import noetherax as nx
        import optax

        q, v = jax.random.normal(jax.random.key(0), (2, 64, 1, 3))
        features = nx.Rotations(3).invariant_features(points=1)
        model = nx.NeuralLagrangian(features, width=8, key=jax.random.key(8))
        own = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-2))
        for optimizer in (nx.default_optimizer(20), own):
            options = dict(steps=20, optimizer=optimizer, key=jax.random.key(3))
            _, history = nx.fit(model, (q, v, -q), **options)
            assert history.recent_loss < history.loss[0]
        ```

    **Arguments:**

    - `steps`: number of steps of the schedule.

    **Returns:**

    An Optax optimiser.
    """
    rate = optax.cosine_decay_schedule(1e-2, steps, alpha=0.1)
    unit_norm = optax.normalize_by_update_norm(eps=LEAST_NORM)
    clip = optax.clip_by_global_norm(LARGEST_NORM)
    return going_back(optax.chain(clip, unit_norm, optax.contrib.muon(1.0)), rate)
