"""Times and inputs, and the states beyond the drawn ones at which a force is asked for its power."""

from collections.abc import Sequence
from typing import Any

import hypothesis.strategies as st
import numpy as np

from ._evidence import Drawn
from ._sizes import Units
from ._special_states import BEYOND

TIME_DECADES = (-2.0, 2.0)
"""Powers of ten of times."""

INPUT_DECADES = (-3.0, 2.0)
"""Powers of ten of the size of inputs."""

VELOCITY_DECADES = range(-6, 3)
"""Powers of ten of velocities, in units of the usual ones."""

CLOSE_DECADES = (-3.0, -1.0)
"""Powers of ten by which points are brought together, or to the origin."""

FAR_DECADES = (0.5, 1.5)

SEED = 5
"""Of the states beyond the drawn ones."""


def instants(
    inputs: int = 0,
    *,
    like: tuple[Any, Any] | None = None,
    special: Sequence[float] = (),
    dtype: Any = np.float64,
) -> st.SearchStrategy[tuple[np.ndarray, np.ndarray]]:
    """Strategy for instants `(t, u)`, a time and the inputs then.

    Times are zero or of both signs and of sizes over decades; inputs zero, of unit size, of sizes over
    decades, or one alone.

    !!! example

        ```python
        import hypothesis
        import numpy as np
        import noetherax as nx


        def motor(t, u):  # torque of two windings, limited to 1
            return np.tanh(u[0] * np.cos(t) + u[1] * np.sin(t))


        @hypothesis.given(nx.testing.instants(inputs=2))
        def test_the_torque_is_limited(instant):
            assert abs(motor(*instant)) <= 1


        test_the_torque_is_limited()  # pytest does this
        ```

    **Arguments:**

    - `inputs`: number of inputs u.
    - `like`: samples `(t, u)` of shapes `(samples,)` and `(samples, inputs)`. Instants are then drawn
        at and around these, in the units that they have, and nowhere else.
    - `special`: values at which both are drawn exactly.
    - `dtype`: of the arrays.

    **Returns:**

    A Hypothesis strategy.

    **Raises:**

    `ValueError` if samples have other shapes, or are not finite.
    """
    if like is not None:
        draw = _around(like, inputs)
        return st.integers(0, 2**32 - 1).map(
            lambda seed: _rounded(draw(np.random.default_rng(seed)), dtype)
        )

    def draw_time(seed: int) -> float:
        rng = np.random.default_rng(seed)
        kind, sign = rng.random(), rng.choice([-1.0, 1.0, 1.0])
        if kind < 0.1:
            return 0.0
        if kind < 0.4 and special:
            return sign * rng.choice(special) * rng.choice(BEYOND)
        return sign * 10.0 ** rng.uniform(*TIME_DECADES)

    def draw_inputs(seed: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        u, kind = rng.normal(size=inputs), rng.random()
        if kind < 0.1:
            return 0 * u
        if kind < 0.3:
            return u * 10.0 ** rng.uniform(*INPUT_DECADES)
        if kind < 0.5:
            return u * (np.arange(inputs) == rng.integers(max(inputs, 1)))
        if kind < 0.7 and special:
            sign = rng.choice([-1.0, 1.0], size=inputs)
            return rng.choice(special, size=inputs) * rng.choice(BEYOND) * sign
        return u

    seeds = st.integers(0, 2**32 - 1)
    both = st.tuples(seeds.map(draw_time), seeds.map(draw_inputs))
    return both.map(lambda instant: _rounded(instant, dtype))


def _around(like: tuple, inputs: int):
    t, u = (np.asarray(x, float) for x in like)
    if t.ndim != 1 or u.shape != (len(t), inputs) or not len(t):
        raise ValueError(
            f"like must be samples (t, u) of shapes (samples,) and (samples, {inputs}), but the shapes "
            f"are {t.shape} and {u.shape}."
        )
    if not (np.all(np.isfinite(t)) and np.all(np.isfinite(u))):
        raise ValueError("like must be finite, but some samples are not.")
    spread = u.std(axis=0)

    def draw(rng: np.random.Generator) -> tuple:
        one, other = rng.integers(len(t), size=2)
        part = rng.choice([0.0, rng.random()])
        noise = spread * 10.0 ** rng.uniform(-3, 0) * rng.normal(size=inputs)
        return t[one] + part * (t[other] - t[one]), u[one] + (part > 0) * noise

    return draw


def _rounded(instant: tuple, dtype: Any) -> tuple[np.ndarray, np.ndarray]:
    t, u = (rounded(x, dtype) for x in instant)
    return t, u


def rounded(x: Any, dtype: Any) -> np.ndarray:
    """Numbers that single precision can hold, so that both precisions are asked the same."""
    return np.asarray(x, np.float32).astype(dtype)


def usual_speed(cases: Drawn) -> float:
    """The median of the largest entries of the velocities that are not zero; one if all are."""
    largest = np.abs(cases.v.astype(float)).max(axis=(1, 2))
    return float(np.median(largest[largest > 0])) if np.any(largest > 0) else 1.0


def further_states(cases: Drawn, own: bool, modes: np.ndarray | None = None) -> np.ndarray:
    """The drawn states at other velocities and places: velocities over decades, forth and back, of
    one entry alone; points far away, close together or at the origin; and with velocities along `modes`
    of the cases, where they are given. Shape `(sets, cases, 2, points, space)`.

    Of the user's `own` states there are others only in so far as they are slower.
    """
    rng = np.random.default_rng(SEED)
    q, v = cases.q.astype(float), cases.v.astype(float)
    size = np.abs(v).max(axis=(1, 2), keepdims=True)
    if own:
        slower = [10.0 ** (k + rng.random(size.shape)) for k in VELOCITY_DECADES if k < 0]
        return np.stack([np.stack([q, v * factor], axis=1) for factor in slower])
    v = np.where(size > 0, v, Units(cases).directions[:, 1])
    v = _in_special_directions(v / np.abs(v).max(axis=(1, 2), keepdims=True))
    speed = usual_speed(cases)
    sets = [
        np.stack([_place(rng, q, turn), v * speed * 10.0 ** (k + rng.random(size.shape))], 1)
        for turn, k in enumerate(VELOCITY_DECADES)
    ]
    return np.stack(sets if modes is None else [*sets, np.stack([q, modes * speed], axis=1)])


def _in_special_directions(v: np.ndarray) -> np.ndarray:
    """Half of the velocities as they are, some backwards, and some of one entry alone."""
    count, entries = len(v), v[0].size
    case = np.arange(count)
    alone = np.zeros((count, entries))
    alone[case, case // 4 % entries] = np.where(case // 4 // entries % 2, -1.0, 1.0)
    kind = (case % 4)[:, None, None]
    return np.where(kind == 3, alone.reshape(v.shape), np.where(kind == 2, -v, v))


def _place(rng: np.random.Generator, q: np.ndarray, turn: int) -> np.ndarray:
    closeness = 10.0 ** rng.uniform(*CLOSE_DECADES, size=(len(q), 1, 1))
    if turn % 4 == 1:
        return q[:, :1] + closeness * (q - q[:, :1])
    if turn % 4 == 2:
        return closeness * q
    return q * 10.0 ** rng.uniform(*FAR_DECADES, size=closeness.shape) if turn % 4 == 3 else q
