from typing import final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from .._types import FloatArray
from ._base import InvariantFeatures

FLOOR = 0.1
"""Least unit of a feature, relative to its unit over isotropic states."""

NORMAL_QUARTILES = 1.349
"""Distance between the quartiles of the standard normal distribution."""


@final
class Standardisation(eqx.Module):
    """x → (x − centre) / unit, feature by feature: part of a model, fitted once, never trained.

    Centre and unit are the median and the interquartile range over the data (scaled to be the
    deviation of a normal distribution). Invariants are polynomials and have heavy tails: on orbits of
    eccentricity up to 0.9 a few samples near aphelion make the deviation of q·q five times its
    interquartile range, and would press all close approaches into one point.

    The unit has a floor. A feature that is constant up to noise on the data (the height above an
    orbital plane, a determinant that vanishes on the orbit) must not be blown up to unit size, or the
    network would fit the noise. What its size *would* be is read off the feature itself: its unit
    over random isotropic states with the data's mean, and the data's rms deviation of positions and of
    velocities in every direction.
    """

    centre: Float[Array, " features"]
    unit: Float[Array, " features"]
    fitted: Bool[Array, ""]

    @classmethod
    def identity(cls, num_features: int, dtype) -> "Standardisation":
        """The standardisation that changes nothing, and is still to be fitted."""
        return cls(
            centre=jnp.zeros(num_features, dtype),
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
        """Centre and floored unit of `features` over the samples `(q, v)`."""
        values = jax.vmap(features)(q, v)
        reference = jax.vmap(features)(_isotropic(q, 0), _isotropic(v, 1))
        unit = jnp.maximum(_spread(values), FLOOR * _spread(reference))
        # A feature that is constant everywhere carries nothing; leave its scale alone.
        unit = jnp.where(unit > 0, unit, jnp.ones_like(unit))
        return cls(centre=jnp.median(values, axis=0), unit=unit, fitted=jnp.array(True))

    def __call__(self, x: Float[Array, "*batch features"]) -> Float[Array, "*batch features"]:
        return (x - self.centre) / self.unit


def _spread(values):
    """Interquartile range, in units of that of the standard normal distribution."""
    lower, upper = jnp.quantile(values, jnp.array([0.25, 0.75], values.dtype), axis=0)
    return (upper - lower) / NORMAL_QUARTILES


def _isotropic(samples, stream: int):
    """Gaussian states with the mean of `samples` and one common deviation, the same every time."""
    samples = jnp.asarray(samples)
    mean = jnp.mean(samples, axis=0)
    scale = jnp.sqrt(jnp.mean(jnp.square(samples - mean)))
    noise = np.random.default_rng(stream).normal(size=(256, *samples.shape[1:]))
    return mean + scale * jnp.asarray(noise, samples.dtype)
