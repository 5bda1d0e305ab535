from typing import Any, Literal, TypeAlias, final, get_args

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from .._programs import run
from .._summaries import shown
from .._types import FloatArray
from ._base import InvariantFeatures

FLOOR = 0.1
"""Least unit of a feature, relative to its unit over isotropic states."""

VISIBLE = 1e-4
"""Least slope of features, relative to the largest, in a direction that they see."""

SPAN = 20.0
"""Ratio of the upper to the lower 5 % quantile from which on a feature of position is bent into its
logarithm."""

INVERSE_SPAN = 3.0
"""The same for the inverse root. It is less, so that of bodies that attract each other all distances
are bent: those of normally distributed ones span about 20."""

NORMAL_QUARTILES = 1.349
"""Distance between the quartiles of the standard normal distribution."""

DEEP = 1e-4
"""Knee of an inverse root, relative to the least value of the data: at a tenth of the least distance
it departs from 1/r by 2.5e-5."""

Bend: TypeAlias = Literal["logarithm", "inverse"] | None
"""How features of position that span much are bent, if at all: see `noetherax.Standardisation`."""


def check_bend(bend: Any) -> None:
    """Raises a `ValueError` unless it is a bend, or none."""
    known = get_args(get_args(Bend)[0])
    if bend is not None and not (isinstance(bend, str) and bend in known):
        names = ", ".join(map(repr, known))
        raise ValueError(f"bend must be one of {names}, or None for no bend, but it is {bend!r}.")


ENSEMBLE = (
    "This is an ensemble of models, such as fit_ensemble returns, with leading axes {}. "
    "Take one model, jax.tree.map(lambda x: x[0] if eqx.is_array(x) else x, ensemble), or call "
    "eqx.filter_vmap(lambda model: ...)(ensemble)."
)


@final
class Standardisation(eqx.Module):
    """x → (b(x) − centre) / unit, feature by feature: part of a model, fitted once, never trained.

    The bend b is the identity, b(x) = x, but for positive features of position alone that span more
    than a certain factor between their 5 % and 95 % quantiles, such as q·q on an eccentric orbit. A
    network of q·q can hardly follow a force like 1/r² where r is small. There b is one of

    - the logarithm, from a factor of 20 on: b(x) = k asinh(x/k) with the knee k at the 5 % quantile,
        smooth at zero. Equal ratios count alike.
    - the inverse root, from a factor of 3 on: b(x) = −(1 + (x/k)²)^(−1/4) with the knee k at 1e-4 of
        the least value seen. It is −√(k/x), proportional to −1/r for x = r², the potential of
        gravity and of charges, but finite and smooth at zero. What a network makes of it goes on
        to distances that the data do not reach.

    Features of velocity are never bent: ∂²L/∂v² would inherit the curvature of the bend, and training
    from random weights then rarely finds a regular one.

    [`noetherax.fit`][] tries, where accelerations are known, which of them helps, if any. Without
    accelerations it takes the logarithm. A model of one orbit alone is better without:
    `noetherax.standardise(lagrangian, q, v, bend=None)` before the fit.

    Centre and unit are the median and the interquartile range over the data (scaled to be the
    deviation of a normal distribution). Invariants are polynomials and have heavy tails: on orbits of
    eccentricity up to 0.9 a few samples near aphelion make the deviation of q·q five times its
    interquartile range, and would press all close approaches into one point.

    The unit has a floor. A feature that is constant up to noise on the data (the height above an
    orbital plane, a determinant that vanishes on the orbit) must not be blown up to unit size, or the
    network would fit the noise. What its size *would* be is read off the feature itself: its unit
    over random isotropic states with the data's mean, and the data's rms deviation of positions and of
    velocities in every direction. Directions that no feature sees do not count: a clock that runs on,
    or a drifting centre of mass, would blow the scale up.

    !!! example

        Whatever the unit of length, a network sees numbers of order one:

        ```python
        import jax
        import jax.numpy as jnp
        import noetherax as nx

        features = nx.Rotations(2).invariant_features(points=1)
        q, v = 1e4 * jax.random.normal(jax.random.key(0), (2, 100, 1, 2))
        standardise = nx.Standardisation.fit(features, q, v)
        x = standardise(jax.vmap(features)(q, v))
        assert jnp.allclose(jnp.median(x, axis=0), 0, atol=1e-3)
        assert jnp.all(jnp.std(x, axis=0) < 3)
        ```
    """

    bends: Float[Array, " features"]  # 1/k, zero where b(x) = x
    inverse: Bool[Array, " features"]  # whether b is the inverse root, where there is a knee
    centre: Float[Array, " features"]
    unit: Float[Array, " features"]
    fitted: Bool[Array, ""]

    @classmethod
    def identity(cls, num_features: int, dtype) -> "Standardisation":
        """The standardisation that changes nothing, and is still to be fitted."""
        return cls(
            bends=jnp.zeros(num_features, dtype),
            inverse=jnp.zeros(num_features, bool),
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
        *,
        bend: Bend = "logarithm",
    ) -> "Standardisation":
        """Centre, floored unit and, unless `bend=None`, knees of `features` over samples `(q, v)`."""
        check_bend(bend)
        q, v = jnp.asarray(q), jnp.asarray(v)
        seen = tuple(_seen(slope) for slope in run(_slopes, features, q, v))
        wanted = jnp.array(bend is not None), jnp.array(bend == "inverse")
        bends, inverse, centre, unit, varies = run(_fitted, features, q, v, seen, *wanted)
        lost = np.zeros(len(varies), bool)
        if not np.all(varies):  # is it the precision in which they do not?
            *_, of_order_one = run(_fitted, features, _scaled(q), _scaled(v), seen, *wanted)
            lost = np.asarray(of_order_one) & ~np.asarray(varies)
        _check_range(q, v, centre, unit, lost)
        return cls(bends=bends, inverse=inverse, centre=centre, unit=unit, fitted=jnp.array(True))

    def __call__(self, x: Float[Array, "*batch features"]) -> Float[Array, "*batch features"]:
        if jnp.ndim(self.unit) != 1:
            raise ValueError(ENSEMBLE.format(np.shape(self.unit)[:-1]))
        return (_bend(x, self.bends, self.inverse) - self.centre) / self.unit

    def slope(self, x: Float[Array, "*batch features"]) -> Float[Array, "*batch features"]:
        """The derivative of each standardised feature with respect to the feature."""
        return _bend_slope(x, self.bends, self.inverse) / self.unit


# Two programs, since op by op there would be a hundred to compile, and NumPy between them.
def _slopes(features, q, v):
    """Slopes of the features over isotropic states, with respect to positions and velocities."""
    scales = tuple(_rms(x - jnp.mean(x, axis=0)) for x in (q, v))
    return jax.vmap(jax.jacfwd(features, argnums=(0, 1)))(*_gaussian(q, v, scales))


def _fitted(features, q, v, seen, bend, inverse):
    """Bends, centres and units over the data."""
    values = jax.vmap(features)(q, v)
    # Isotropic states with the rms deviation of the data in the directions that the features see.
    scales = [
        _rms((x - jnp.mean(x, axis=0)).reshape(len(x), -1) @ basis) * jnp.sqrt(len(basis) / count)
        for x, (basis, count) in zip((q, v), seen, strict=True)
    ]
    states = _gaussian(q, v, scales)
    reference = jax.vmap(features)(*states)
    bends = jnp.where(bend, _bends(features, values, reference, states, inverse), 0)
    inverse = inverse & (bends > 0)
    values, reference = (_bend(x, bends, inverse) for x in (values, reference))
    unit = jnp.maximum(_spread(values), FLOOR * _spread(reference))
    centre, varies = jnp.median(values, axis=0), unit > 0
    # A feature that is constant everywhere carries nothing, and its rounding is to stay small.
    constant = jnp.where(centre == 0, 1, jnp.abs(centre))
    return bends, inverse, centre, jnp.where(varies, unit, constant), varies


def _scaled(x):
    """The same in units in which the largest is one."""
    size = np.max(np.abs(np.asarray(x, float)), initial=0.0)
    return x if size == 0 or not np.isfinite(size) else jnp.asarray(np.asarray(x) / size, x.dtype)


def _check_range(q, v, centre, unit, lost):
    """Features are products of coordinates, and leave the range of a precision before those do."""
    finite = np.isfinite(centre) & np.isfinite(unit)
    bad = np.flatnonzero(~finite | lost)
    if not len(bad):
        return
    sizes = [float(np.max(np.abs(np.asarray(x, float)))) for x in (q, v)]
    raise ValueError(
        f"Features {bad.tolist()} leave the range of {unit.dtype}: positions are up to "
        f"{sizes[0]:.2g} and velocities up to {sizes[1]:.2g}. Measure lengths or times in other "
        "units, such that both are nearer to one, or give data and weights in float64."
    )


def _bends(features, values, reference, states, inverse):
    """1/k of the knee k of every feature, zero for those that are not bent."""
    velocity_slope = jax.vmap(jax.jacfwd(features, argnums=1))(*states)
    positive = jnp.all(values > 0, axis=0) & jnp.all(reference >= 0, axis=0)
    low, high = jnp.quantile(values, jnp.array([0.05, 0.95], values.dtype), axis=0)
    wide = high > jnp.where(inverse, INVERSE_SPAN, SPAN) * low
    chosen = positive & jnp.all(velocity_slope == 0, axis=(0, 2, 3)) & wide
    knee = jnp.where(inverse, DEEP * jnp.min(values, axis=0), low)
    chosen = chosen & (knee > 1 / jnp.finfo(knee.dtype).max)
    return jnp.where(chosen, 1 / jnp.where(chosen, knee, 1), 0)


def _bend(x, bends, inverse):
    """b(x), of any batch of features."""
    bent = bends > 0
    scale = jnp.where(bent, bends, 1)
    ratio = x * scale
    return jnp.where(bent, jnp.where(inverse, _root(ratio), _arcsinh(ratio) / scale), x)


def _bend_slope(x, bends, inverse):
    """db/dx; at bends of zero, the logarithm's is one."""
    ratio = x * bends
    return jnp.where(inverse, bends * _root_slope(ratio), _narrowing(ratio))


# The derivatives are written out: all follow from one number, where those of its formula would be
# quotients, with a choice in each.
@jax.custom_jvp
def _narrowing(ratio):
    """1/√(1 + ratio²), also where the square is beyond the range of numbers."""
    large = jnp.abs(ratio) > 1
    above = 1 / jnp.where(large, jnp.abs(ratio), 1)
    below = jnp.where(large, 0, ratio)
    root = jax.lax.rsqrt(1 + jnp.square(jnp.where(large, above, below)))
    return jnp.where(large, above * root, root)


@_narrowing.defjvp
def _(primals, tangents):
    (ratio,), (change,) = primals, tangents
    value = _narrowing(ratio)
    return value, -(ratio * value) * jnp.square(value) * change


@jax.custom_jvp
def _arcsinh(ratio):
    return jnp.arcsinh(ratio)


@_arcsinh.defjvp
def _(primals, tangents):
    (ratio,), (change,) = primals, tangents
    return _arcsinh(ratio), _narrowing(ratio) * change


@jax.custom_jvp
def _root(ratio):
    """−(1 + ratio²)^(−1/4)."""
    return -jnp.sqrt(_narrowing(ratio))


@_root.defjvp
def _(primals, tangents):
    (ratio,), (change,) = primals, tangents
    return _root(ratio), _root_slope(ratio) * change


def _root_slope(ratio):
    value = _narrowing(ratio)
    # In this order no product leaves the range of numbers.
    return (ratio * value) * value * jnp.sqrt(value) / 2


def _spread(values):
    """Interquartile range, in units of that of the standard normal distribution."""
    lower, upper = jnp.quantile(values, jnp.array([0.25, 0.75], values.dtype), axis=0)
    return (upper - lower) / NORMAL_QUARTILES


def _gaussian(q, v, scales):
    """States with the mean of the data and one common deviation each for positions and velocities,
    the same every time."""

    def draw(samples, scale, stream):
        noise = np.random.default_rng(stream).normal(size=(256, *samples.shape[1:]))
        return jnp.mean(samples, axis=0) + scale * jnp.asarray(noise, samples.dtype)

    return draw(q, scales[0], 0), draw(v, scales[1], 1)


def _rms(x):
    return jnp.sqrt(jnp.mean(jnp.square(x)))


def _seen(slope):
    """An orthonormal basis of the directions in which any feature changes, filled up with zeros, shape
    `(coordinates, coordinates)`, and the number of directions."""
    states, num_features = slope.shape[:2]
    rows = np.asarray(slope, np.float64).reshape(states * num_features, -1)
    size = np.linalg.norm(rows, axis=1, keepdims=True)  # features have units of their own
    rows = np.divide(rows, size, out=np.zeros_like(rows), where=size > 0)
    directions, values, _ = np.linalg.svd(rows.T, full_matrices=False)
    seen = values > VISIBLE * max(np.max(values), 1e-30)
    if not np.any(seen):
        seen = np.ones_like(seen)
    basis = np.zeros((rows.shape[1], rows.shape[1]))
    basis[:, : len(seen)] = directions * seen
    return jnp.asarray(basis, slope.dtype), jnp.asarray(np.sum(seen), slope.dtype)


@shown.register
def _(value: Standardisation) -> str:
    return ""  # numbers of the data, not of the model
