from typing import final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from .._types import FloatArray
from ._base import InvariantFeatures

FLOOR = 0.1
"""Least deviation a feature is divided by, in units of its deviation over isotropic states."""


@final
class Standardisation(eqx.Module):
    """x → (x − mean) / unit, feature by feature: part of a model, fitted once, never trained.

    The unit is the deviation over the data, with a floor. A feature that is constant up to noise on the data (the height above an
    orbital plane, a determinant that vanishes on the orbit) must not be blown up to unit size, or the
    network would fit the noise. What its size *would* be is read off the feature itself: its
    deviation over random isotropic states with the data's mean, and the data's rms deviation of
    positions and of velocities in every direction.
    """

    mean: Float[Array, " features"]
    unit: Float[Array, " features"]
    fitted: Bool[Array, ""]

    @classmethod
    def identity(cls, num_features: int, dtype) -> "Standardisation":
        """The standardisation that changes nothing, and is still to be fitted."""
        return cls(
            mean=jnp.zeros(num_features, dtype),
            unit=jnp.ones(num_features, dtype),
            fitted=jnp.array(False),
        )

    @classmethod
    def fit(
        cls,
        features: InvariantFeatures,
        q: Float[FloatArray, "samples points space"],
        v: Float[FloatArray, "samples points space"],
    ) -> "Standardisation":
        """Mean and floored unit of `features` over the samples `(q, v)`."""
        values = jax.vmap(features)(q, v)
        reference = jax.vmap(features)(_isotropic(q, 0), _isotropic(v, 1))
        deviation = jnp.maximum(jnp.std(values, axis=0), FLOOR * jnp.std(reference, axis=0))
        # A feature that is constant everywhere carries nothing; leave its scale alone.
        deviation = jnp.where(deviation > 0, deviation, jnp.ones_like(deviation))
        return cls(mean=jnp.mean(values, axis=0), unit=deviation, fitted=jnp.array(True))

    def __call__(self, x: Float[Array, "*batch features"]) -> Float[Array, "*batch features"]:
        return (x - self.mean) / self.unit


def _isotropic(samples, stream: int):
    """Gaussian states with the mean of `samples` and one common deviation, the same every time."""
    samples = jnp.asarray(samples)
    mean = jnp.mean(samples, axis=0)
    scale = jnp.sqrt(jnp.mean(jnp.square(samples - mean)))
    noise = np.random.default_rng(stream).normal(size=(256, *samples.shape[1:]))
    return mean + scale * jnp.asarray(noise, samples.dtype)
