"""The cases of a subject: weights, states, group elements and times, drawn once for all its laws."""

from collections.abc import Sequence
from typing import Any, NamedTuple, final

import equinox as eqx
import hypothesis
import hypothesis.strategies as st
import jax
import numpy as np
from hypothesis import HealthCheck, Phase

from ._elements import times
from ._evidence import Drawn
from ._special_instants import special_times
from ._special_states import special_states
from ._states import states
from ._weights import weights

FEWEST = 16
"""Cases that are drawn at least: of fewer, hardly one is generic."""

SHARE_OF_TIMES = 4
"""Every how many-th case is at a time that a program names, in turn, whatever else is drawn."""


@final
class Batch(NamedTuple):
    """How many cases are evaluated together, and the shape and precision of their states."""

    size: int
    points: int
    space: int
    dtype: np.dtype

    @property
    def shape(self) -> tuple[int, int]:
        return self.points, self.space

    def array(self, *shape: int) -> jax.ShapeDtypeStruct:
        """An array of `shape` for every case, as a program is compiled for it."""
        return jax.ShapeDtypeStruct((self.size, *shape), self.dtype)

    def of_each(self, parameters: Any) -> Any:
        """The arrays of a model for every case, as a program is compiled for them."""
        return jax.tree.map(
            lambda x: jax.ShapeDtypeStruct((self.size, *x.shape), x.dtype), parameters
        )


def batch_of(subject: Any, space: int) -> Batch:
    require_precision(subject.dtype)
    size = max(subject.max_examples, FEWEST)
    return Batch(size, subject.points, space, np.dtype(subject.dtype))


@final
class Model:
    """What a subject judges, parted into arrays, which differ from case to case, and all else."""

    def __init__(self, whole: Any):
        self.whole = whole
        self.parameters, self.static = eqx.partition(whole, eqx.is_array)

    def stacked(self, models: list) -> Any:
        """The arrays of drawn models, with a leading axis of cases."""
        parts = [eqx.partition(model, eqx.is_array) for model in models]
        for parameters, static in parts:
            if static is not self.static and not self._is_like(parameters, static):
                raise ValueError(
                    "weight_strategy must give models that differ from the subject's own in the values "
                    "of arrays only: not in their shapes or dtypes, and in nothing that is no array."
                )
        return jax.tree.map(
            lambda *x: np.stack([np.asarray(each) for each in x]), *[p for p, _ in parts]
        )

    def _is_like(self, parameters: Any, static: Any) -> bool:
        own, other = (
            jax.tree.map(lambda x: (x.shape, str(x.dtype)), part)
            for part in (self.parameters, parameters)
        )
        return own == other and bool(eqx.tree_equal(static, self.static))


def draw_cases(
    batch: Batch,
    model: Model,
    special: Sequence[float],
    elements: st.SearchStrategy,
    own_states: st.SearchStrategy | None = None,
    own_models: st.SearchStrategy | None = None,
) -> Drawn:
    """Draws from Hypothesis; the same in every run.

    `special` are values at which a program may do something else; `own_states` and `own_models` are
    the user's strategies, where there are any.
    """
    drawn = states(*batch.shape, dtype=batch.dtype) if own_states is None else own_states
    models = weights(model.whole, special=special) if own_models is None else own_models
    strategy = st.tuples(models, drawn, elements, times(special, batch.dtype))
    found = draws(strategy, batch.size)
    t = np.stack([x[3] for x in found])
    if special:
        met = np.arange(0, len(found), SHARE_OF_TIMES)
        t[met] = special_times(special, len(met))
    fill = [found[i % len(found)] for i in range(batch.size)]
    q, v = (np.stack([_checked(x[1][i], batch.shape) for x in fill]) for i in (0, 1))
    coefficients = np.stack([x[2] for x in fill])
    if own_states is None:
        # Half of the states are special ones; no draw would find the values in a program.
        count = batch.size // 2
        chosen = special_states((2, *batch.shape), special, count)
        q[batch.size - count :], v[batch.size - count :] = chosen[:, 0], chosen[:, 1]
        # One state may be all that is at a value: no identity is spent on it.
        moving = coefficients[np.all(coefficients != 0, axis=-1)]
        if len(moving):
            coefficients[batch.size - count :] = np.resize(moving, (count, *moving.shape[1:]))
    return Drawn(
        model.stacked([x[0] for x in fill]),
        q.astype(batch.dtype),
        v.astype(batch.dtype),
        coefficients.astype(batch.dtype),
        np.resize(t, batch.size).astype(batch.dtype),
        batch.size if own_states is None else len(found),
    )


def draws(strategy: st.SearchStrategy, count: int) -> list:
    """Up to `count` draws, fewer where a strategy has no more; the same in every run."""
    found: list = []
    settings = hypothesis.settings(
        max_examples=count,
        deadline=None,
        derandomize=True,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),  # pyright: ignore[reportArgumentType]
    )
    settings(hypothesis.given(strategy)(lambda drawn: found.append(drawn)))()
    return found[:count]


def _checked(array: Any, shape: tuple[int, int]) -> np.ndarray:
    array = np.asarray(array, float)
    if array.shape != shape:
        raise ValueError(
            f"state_strategy must give pairs (q, v) of shape (points, space) = {shape}, but it gave an "
            f"array of shape {array.shape}."
        )
    return array


def require_precision(dtype: Any) -> None:
    if jax.dtypes.canonicalize_dtype(dtype) != np.dtype(dtype):
        raise ValueError(
            f"The laws were asked for in {np.dtype(dtype).name}, but JAX is in 32-bit mode. Set "
            "jax.config.update('jax_enable_x64', True) first, or pass dtype=numpy.float32."
        )
