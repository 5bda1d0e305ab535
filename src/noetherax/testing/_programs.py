"""Programs that are compiled once for a subject and evaluated for whole batches of cases."""

import math
from collections.abc import Callable
from typing import Any, final

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from .._content import inner_jaxprs

LARGEST_CONSTANT = 16
"""Entries of constant arrays up to which they count as special values: masses, not tables."""

SPECIAL_VALUES = 16
"""Special values that are drawn; likely thresholds come first."""

SAME = 1e-6
"""Relative difference of numbers of which one is the other in single precision."""

SPECIAL_RANGE = (1e-9, 1e6)
"""Sizes of special values: others guard a division or an overflow."""

THRESHOLDS = (
    {"eq", "ne"},
    {"lt", "le", "gt", "ge", "clamp", "max", "min", "jit", "pjit"},
    {"add", "sub"},
)
"""Primitives whose constants are thresholds, the surest first. `jit` is among them because
`jax.numpy.clip` and `where` are traced as calls of it, and differences are, since a wall is written as
max(x − c, 0). Constants of others are mostly coefficients."""


OPTIONS: dict[str, Any] = {"xla_allow_excess_precision": False}
"""A cast to single precision and back rounds: XLA would leave it out."""

HEAVY = 1e7
"""Numbers that a program computes from which on it is optimised a little, even where JAX is told to
compile quickly: several laws run it, and then it runs longer than it compiles."""


@final
class Program:
    """A function of one case, for all cases of a batch. It is traced once, as a user calls it, and
    lives as long as this object: nothing is kept that could outlive a change of what it was made from.

    **Arguments:**

    - `function`: of one case.
    - `cases`: arguments for all cases, with a leading axis, or `jax.ShapeDtypeStruct`s of their shapes.
    """

    def __init__(self, function: Callable, *cases: Any):
        shapes = jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(x.shape, jax.dtypes.canonicalize_dtype(x.dtype)), cases
        )
        try:
            traced = jax.jit(jax.vmap(function)).trace(*shapes)
        except TypeError as error:
            if "custom_vjp" not in str(error):
                raise
            raise AssertionError(
                "derivatives of first and second order exist: violated. The equations of motion take "
                "the second forward, and a function with jax.custom_vjp has none such. Use "
                f"jax.custom_jvp. JAX says: {error}"
            ) from error
        self.special = special_values(traced.jaxpr)
        options = dict(OPTIONS)
        if jax.config.read("jax_disable_most_optimizations") and _work(traced.jaxpr) > HEAVY:
            options["xla_backend_optimization_level"] = 1
        self._run = traced.lower().compile(compiler_options=options)
        self._dtypes = jax.tree.map(lambda x: x.dtype, shapes)

    def __call__(self, *cases: Any) -> Any:
        arrays = jax.tree.map(lambda x, dtype: jnp.asarray(x, dtype), cases, self._dtypes)
        return jax.tree.map(np.asarray, self._run(*arrays))


def _work(jaxpr: Any) -> int:
    """How many numbers a program computes, loops counted once."""
    work = 0
    for equation in getattr(jaxpr, "jaxpr", jaxpr).eqns:
        parts = list(inner_jaxprs(equation.params))
        work += sum(_work(part) for part in parts)
        if not parts:
            work += sum(math.prod(x.aval.shape) for x in equation.outvars)
    return work


def special_values(jaxpr: Any) -> tuple[float, ...]:
    """Numbers that stand in a program, likely thresholds first: where it may do something else."""
    found: dict[float, int] = {}

    def visit(closed: Any) -> None:
        inner = getattr(closed, "jaxpr", closed)
        for constant in getattr(closed, "consts", ()):
            note(constant, len(THRESHOLDS))
        for equation in inner.eqns:
            name = equation.primitive.name
            ranks = (i for i, names in enumerate(THRESHOLDS) if name in names)
            rank = next(ranks, len(THRESHOLDS))
            for operand in equation.invars:
                note(getattr(operand, "val", None), rank)
            for part in inner_jaxprs(equation.params):
                visit(part)

    def note(value: Any, rank: int) -> None:
        if value is None or isinstance(value, Tracer) or not hasattr(value, "dtype"):
            return
        if np.size(value) > LARGEST_CONSTANT or np.dtype(value.dtype).kind not in "fiu":
            return
        low, high = SPECIAL_RANGE
        for number in np.abs(np.asarray(value, float).ravel()).tolist():
            if low < number < high:
                found[number] = min(rank, found.get(number, rank))

    visit(jaxpr)
    ordered = sorted(
        found, key=lambda x: (found[x], float(x).is_integer() and x <= 2, len(repr(x)))
    )
    apart: list[float] = []
    for number in ordered:
        if not any(abs(number - other) <= SAME * number for other in apart):
            apart.append(number)
    return tuple(apart[:SPECIAL_VALUES])
