from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from .._checks import check_number
from .._programs import at_once
from .._types import Time
from ._observations import Observations
from ._polynomials import derivatives
from ._windows import Noise, check_noise, check_windows


def smooth(
    batch: tuple,
    *,
    interval: Time,
    degree: int,
    noise: Noise = 1.0,
    places: Sequence[float] = (-0.5, 0.0, 0.5),
) -> Observations:
    """States and accelerations from short windows of a noisy trajectory.

    In every window each coordinate is taken for a polynomial x(t) of a given degree, the one that is
    nearest to all that was observed,

        min over x of degree d  Σ_i (q_i − x(t_i))²/σ_q² + (v_i − ẋ(t_i))²/σ_v² + (a_i − ẍ(t_i))²/σ_a²,

    and q, v and a are its value, slope and curvature. From positions alone, in the middle of the
    window, that is the filter of Savitzky & Golay (1964). The result is linear in the observations,
    with the least variance of all such that have no error on polynomials (Gauss–Markov).

    Use it on observations in the order of time, before the [`noetherax.AccelerationLoss`][]. It does
    two things for what is learned: accelerations are less noisy, and so are states, whose noise
    otherwise biases the law that fits best. What it costs is an error of truncation where the
    polynomial does not follow the motion. A window should be as long as it still does: a higher degree
    then changes the result by no more than its noise. [`noetherax.TrajectoryLoss`][] has no such
    error, and takes longer.

    !!! example

        ```python
        import numpy as np
        import noetherax as nx

        t = np.linspace(0.0, 12.0, 241)
        noise = 1e-3 * np.random.default_rng(0).normal(size=241)
        windows = nx.Tracks(t, (np.cos(t) + noise)[:, None, None]).windows(times=41)
        q, v, a = nx.smooth(windows, interval=0.05, degree=6)
        assert np.abs(a + q).max() < 0.1  # the law of a spring, from noisy positions
        ```

    **Arguments:**

    - `batch`: [`noetherax.Windows`][], with velocities and accelerations or without.
    - `interval`: time between observations.
    - `degree`: of the polynomials, two or more.
    - `noise`: standard deviation of the observations, one for all or (σ_q, σ_v, σ_a). Only ratios
        matter.
    - `places`: where in the window, from −1 at its first time to 1 at its last. Towards the ends
        errors grow.

    **Returns:**

    [`noetherax.Observations`][] of shape `(windows × places, points, space)`, the places of a window
    next to each other.

    **Raises:**

    `ValueError` or `TypeError` for a batch that is no windows, for options that are out of range, and
    for a degree that the observations do not determine.
    """
    windows, spacing = check_windows(batch), check_number("interval", interval)
    kinds = [order for order, x in enumerate(windows) if x is not None]
    times = next(x.shape[1] for x in windows if x is not None)
    weights = _weights(kinds, times, spacing, degree, check_noise(noise, windows), places)
    return at_once(_applied, windows, weights)


def _applied(windows, weights) -> Observations:
    observed = jnp.stack([x for x in windows if x is not None])
    # Relative to the middle, so that a coordinate far from zero does not lose digits.
    middle = observed[:1, :, observed.shape[2] // 2]
    observed = observed.at[0].add(-middle[0][:, None])
    smoothed = jnp.einsum(
        "oskt,kwtpd->owspd",
        jnp.asarray(weights, observed.dtype),
        observed,
        precision=jax.lax.Precision.HIGHEST,
    )
    smoothed = smoothed.at[0].add(middle[0][:, None])
    return Observations(*smoothed.reshape(3, -1, *observed.shape[3:]))


def _weights(kinds, times: int, interval: float, degree: int, sigma, places) -> np.ndarray:
    """What every observation contributes, shape `(3, places, kinds, times)`."""
    if isinstance(degree, bool) or not isinstance(degree, int | np.integer) or degree < 2:
        raise ValueError(
            "degree must be an integer of at least 2, since a polynomial below has no acceleration, "
            f"but it is {degree!r}."
        )
    where = np.asarray(places, float)
    if where.ndim != 1 or not where.size or not np.all(np.abs(where) <= 1):
        raise ValueError(f"places must be numbers from -1 to 1, but they are {places!r}.")
    half = (times - 1) / 2 * interval
    units = np.asarray(sigma)[:, None]
    design = derivatives(degree, np.linspace(-1, 1, times), half)[kinds] / units[..., None]
    design = design.reshape(-1, degree + 1)
    rank = np.linalg.matrix_rank(design)
    if rank <= degree:
        raise ValueError(
            f"A polynomial of degree {degree} has {degree + 1} coefficients, but {len(kinds)} "
            f"observations at {times} times determine {rank} of them."
        )
    fit = np.linalg.pinv(design).reshape(degree + 1, len(kinds), times) / units
    return np.einsum("osc,ckt->oskt", derivatives(degree, where, half), fit)
