from collections.abc import Callable
from typing import ClassVar, TypeAlias, final

import diffrax
import jax
import jax.numpy as jnp
from jaxtyping import PyTree

_SolverState: TypeAlias = PyTree  # what rounding has lost of the state so far


@final
class RK4(diffrax.AbstractSolver):
    """The classical Runge–Kutta method of order 4 (Kutta 1901), at a fixed step.

    Diffrax has no plain RK4; this is the integrator of Müller 2023. It has no error estimate. A charge
    drifts with the fourth power of the step, however exact the symmetry of the Lagrangian. Steps are
    added up with Kahan's compensated sum, so that over many of them rounding does not accumulate.

    **Arguments:** None.
    """

    term_structure: ClassVar = diffrax.AbstractTerm
    interpolation_cls: ClassVar[Callable[..., diffrax.LocalLinearInterpolation]] = (
        diffrax.LocalLinearInterpolation
    )

    def order(self, terms) -> int:
        return 4

    def init(self, terms, t0, t1, y0: PyTree, args) -> _SolverState:
        return jax.tree.map(jnp.zeros_like, y0)

    def step(self, terms, t0, t1, y0: PyTree, args, solver_state: _SolverState, made_jump):
        del made_jump
        control = terms.contr(t0, t1)
        middle = t0 + (t1 - t0) / 2

        def slope(t, y):
            return terms.vf_prod(t, y, args, control)

        def advance(weight, k):
            return jax.tree.map(lambda y, k: y + weight * k, y0, k)

        k1 = slope(t0, y0)
        k2 = slope(middle, advance(0.5, k1))
        k3 = slope(middle, advance(0.5, k2))
        k4 = slope(t1, advance(1.0, k3))
        increment = jax.tree.map(
            lambda lost, a, b, c, d: lost + (a + 2 * b + 2 * c + d) / 6,
            solver_state,
            k1,
            k2,
            k3,
            k4,
        )
        y1 = jax.tree.map(jnp.add, y0, increment)
        lost = jax.tree.map(lambda y0, y1, dy: dy - (y1 - y0), y0, y1, increment)
        return y1, None, dict(y0=y0, y1=y1), lost, diffrax.RESULTS.successful

    def func(self, terms, t0, y0: PyTree, args):
        return terms.vf(t0, y0, args)
