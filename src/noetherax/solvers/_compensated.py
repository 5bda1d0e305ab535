from collections.abc import Callable
from typing import Any, ClassVar, TypeAlias, final

import diffrax
import jax
import jax.numpy as jnp
from jaxtyping import PyTree

_SolverState: TypeAlias = tuple[
    PyTree, PyTree
]  # what rounding has lost so far, and the inner state


@final
class Compensated(diffrax.AbstractAdaptiveSolver):
    """An explicit solver whose steps are added up without loss (Kahan 1965): over many steps rounding
    does not accumulate.

    A solver of Diffrax rounds the state in every step. Here it computes the change of the state alone,
    from zero, and what rounding loses when that is added to the state goes into the next step.

    !!! example

        The default of [`noetherax.rollout`][] in float64, here in any precision:

        ```python
        import diffrax
        import jax.numpy as jnp
        import noetherax as nx

        solver = nx.Compensated(diffrax.Dopri8())
        q0, v0 = jnp.array([[1.0]]), jnp.array([[0.0]])
        path = nx.rollout(
            lambda q, v: jnp.sum(v**2 - q**2) / 2, q0, v0, ts=jnp.arange(10.0), solver=solver
        )
        assert jnp.allclose(path.q[:, 0, 0], jnp.cos(path.ts), atol=1e-5)
        ```

    **Arguments:**

    - `solver`: an explicit solver with an error estimate.

    **Raises:**

    `TypeError` if the solver is implicit, or has no error estimate.
    """

    solver: diffrax.AbstractAdaptiveSolver
    term_structure: ClassVar = diffrax.AbstractTerm

    def __init__(self, solver: diffrax.AbstractAdaptiveSolver):
        adaptive = isinstance(solver, diffrax.AbstractAdaptiveSolver)
        if not adaptive or isinstance(solver, diffrax.AbstractImplicitSolver):
            raise TypeError(
                "Steps of an explicit Diffrax solver with an error estimate can be compensated, such "
                f"as diffrax.Tsit5() or diffrax.Dopri8(), but not those of {solver!r}."
            )
        self.solver = solver

    @property
    def interpolation_cls(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
    ) -> Callable[..., diffrax.AbstractLocalInterpolation]:
        inside = self.solver.interpolation_cls

        def make(*, t0, t1, y0, y1, change):
            return _Interpolation(t0, t1, y0, y1, inside(t0=t0, t1=t1, **change))

        return make

    def order(self, terms) -> int | None:
        return self.solver.order(terms)

    def error_order(self, terms):
        return self.solver.error_order(terms)

    def init(self, terms, t0, t1, y0: PyTree, args) -> _SolverState:
        zero = jax.tree.map(jnp.zeros_like, y0)
        return zero, self.solver.init(_From(terms, y0), t0, t1, zero, args)

    def step(self, terms, t0, t1, y0: PyTree, args, solver_state: _SolverState, made_jump):
        lost, inner = solver_state
        zero = jax.tree.map(jnp.zeros_like, y0)
        change, error, dense, inner, result = self.solver.step(
            _From(terms, y0), t0, t1, zero, args, inner, made_jump
        )
        change = jax.tree.map(jnp.add, lost, change)
        y1 = jax.tree.map(jnp.add, y0, change)
        lost = jax.tree.map(lambda y0, y1, dy: dy - (y1 - y0), y0, y1, change)
        return y1, error, dict(y0=y0, y1=y1, change=dense), (lost, inner), result

    def func(self, terms, t0, y0: PyTree, args):
        return self.solver.func(terms, t0, y0, args)


def by_default(dtype, dt: float | None) -> Compensated:
    """The solver of a rollout where none is named. High order pays where steps are chosen, but in
    float32: its stages have larger weights, and lose more to rounding than it gains."""
    chosen = dt is None and dtype == jnp.float64
    return Compensated(diffrax.Dopri8() if chosen else diffrax.Tsit5())


@final
class _From(diffrax.AbstractTerm):
    """A term as a function of the change of the state since `start`."""

    term: diffrax.AbstractTerm
    start: PyTree

    def _state(self, change):
        return jax.tree.map(jnp.add, self.start, change)

    def vf(self, t, y, args):
        return self.term.vf(t, self._state(y), args)

    def contr(self, t0, t1, **kwargs):
        return self.term.contr(t0, t1, **kwargs)

    def prod(self, vf, control):
        return self.term.prod(vf, control)

    def vf_prod(self, t, y, args, control):
        return self.term.vf_prod(t, self._state(y), args, control)

    def is_vf_expensive(self, t0, t1, y, args):
        return self.term.is_vf_expensive(t0, t1, self._state(y), args)


@final
class _Interpolation(diffrax.AbstractLocalInterpolation):
    """From the change of the state within the step; both ends are exact."""

    t0: Any
    t1: Any
    y0: PyTree
    y1: PyTree
    change: diffrax.AbstractLocalInterpolation

    def evaluate(self, t0, t1=None, left: bool = True):
        if t1 is not None:
            return self.change.evaluate(t0, t1, left)

        late = t0 - self.t0 > self.t1 - t0

        def inside(start, end, change, whole):
            # From the nearer end, and with the slope of the polynomial there.
            return jnp.where(late, end - (whole - change), start + change)

        change, whole = (self.change.evaluate(t, left=left) for t in (t0, self.t1))
        return jax.tree.map(inside, self.y0, self.y1, change, whole)
