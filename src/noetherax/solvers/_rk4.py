from collections.abc import Callable
from typing import Any, ClassVar, TypeAlias, final

import diffrax
import jax
import jax.numpy as jnp
from jaxtyping import PyTree

_SolverState: TypeAlias = PyTree  # what rounding has lost of the state so far


@final
class CubicInterpolation(diffrax.AbstractLocalInterpolation):
    """The polynomial of order 3 that the stages of a step give (Hairer, Nørsett & Wanner 1993, section
    II.6),

        y(θ) = y₀ + (θ − 3θ²/2 + 2θ³/3) k₁ + (θ² − 2θ³/3)(k₂ + k₃) + (2θ³/3 − θ²/2) k₄,

    taken from the nearer end, so that both ends are exact.
    """

    t0: Any
    t1: Any
    y0: PyTree
    y1: PyTree
    k1: PyTree
    middle: PyTree
    k4: PyTree

    def evaluate(self, t0, t1=None, left: bool = True):
        del left
        if t1 is not None:
            return jax.tree.map(jnp.subtract, self.evaluate(t1), self.evaluate(t0))
        part = (t0 - self.t0) / (self.t1 - self.t0)
        late = part > 0.5

        def inside(start, end, k1, middle, k4):
            x = jnp.asarray(jnp.where(late, 1 - part, part), start.dtype)
            square, cube = x**2, 2 * x**3 / 3
            # The weights are those of a step back from the end, with the stages in turn.
            near, far = x - 3 * square / 2 + cube, cube - square / 2
            inner = (square - cube) * middle
            forward = near * k1 + inner + far * k4
            backward = far * k1 + inner + near * k4
            return jnp.where(late, end - backward, start + forward)

        return jax.tree.map(inside, self.y0, self.y1, self.k1, self.middle, self.k4)


@final
class RK4(diffrax.AbstractSolver):
    """The classical Runge–Kutta method of order 4 (Kutta 1901), at a fixed step.

    Diffrax has no plain RK4; this is the integrator of Müller 2023. It has no error estimate. A charge
    drifts with the fourth power of the step, however exact the symmetry of the Lagrangian. Steps are
    added up with Kahan's compensated sum, so that over many of them rounding does not accumulate.
    Between steps its stages give a polynomial of order 3, for events and for times that are no steps.

    !!! example

        ```python
        import jax.numpy as jnp
        import noetherax as nx


        def spring(q, v):
            return jnp.sum(v**2) / 2 - jnp.sum(q**2) / 2


        q0, v0 = jnp.array([[1.0, 0.0]]), jnp.array([[0.0, 0.0]])
        times = jnp.linspace(0.0, 6 * jnp.pi, 61)  # twenty steps in a period
        path = nx.rollout(spring, q0, v0, ts=times, solver=nx.RK4())
        energy = jnp.sum(path.v**2 + path.q**2, axis=(1, 2)) / 2
        assert jnp.all(jnp.diff(energy) < 0)  # what variational solvers do not do
        assert 0.499 < energy[-1] < 0.5
        ```

    **Arguments:** None.
    """

    term_structure: ClassVar = diffrax.AbstractTerm
    interpolation_cls: ClassVar[Callable[..., CubicInterpolation]] = CubicInterpolation

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
        middle = jax.tree.map(jnp.add, k2, k3)
        dense = dict(y0=y0, y1=y1, k1=k1, middle=middle, k4=k4)
        return y1, None, dense, lost, diffrax.RESULTS.successful

    def func(self, terms, t0, y0: PyTree, args):
        return terms.vf(t0, y0, args)
