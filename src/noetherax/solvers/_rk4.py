from collections.abc import Callable
from typing import ClassVar, TypeAlias, final

import diffrax
import jax
from jaxtyping import PyTree

_SolverState: TypeAlias = None


@final
class RK4(diffrax.AbstractSolver):
    """The classical Runge–Kutta method of order 4 (Kutta 1901), at a fixed step.

    Diffrax has no plain RK4; this is the integrator of Müller 2023. It has no error estimate. A charge
    drifts with the fourth power of the step, however exact the symmetry of the Lagrangian.

    **Arguments:** None.
    """

    term_structure: ClassVar = diffrax.AbstractTerm
    interpolation_cls: ClassVar[Callable[..., diffrax.LocalLinearInterpolation]] = (
        diffrax.LocalLinearInterpolation
    )

    def order(self, terms) -> int:
        return 4

    def init(self, terms, t0, t1, y0: PyTree, args) -> _SolverState:
        return None

    def step(self, terms, t0, t1, y0: PyTree, args, solver_state: _SolverState, made_jump):
        del solver_state, made_jump
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
        y1 = jax.tree.map(lambda y, a, b, c, d: y + (a + 2 * b + 2 * c + d) / 6, y0, k1, k2, k3, k4)
        return y1, None, dict(y0=y0, y1=y1), None, diffrax.RESULTS.successful

    def func(self, terms, t0, y0: PyTree, args):
        return terms.vf(t0, y0, args)
