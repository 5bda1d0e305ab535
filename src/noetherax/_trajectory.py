"""A solution of the equations of motion, sampled at times."""

from typing import Any, final

import diffrax
import equinox as eqx
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Int

from ._summaries import arrays, counted, interval


@final
class Trajectory(eqx.Module):
    """A solution sampled at times `ts`.

    - `ts`: times, shape `(times,)`.
    - `q`, `v`: configurations and velocities, shape `(times, points, space)`.
    - `p`: momenta of the same shape if the solver carries them, else `None`. They are ∂L/∂v of the
        Lagrangian that was integrated, and of no other.
    - `stats`: Diffrax' statistics of the solve.
    - `result`: Diffrax' result code; `diffrax.is_successful(trajectory.result)`.
    - `solver`, `steps`: the solver, and the number of its steps from each time to the next, that to the
        first one being zero, if it has a rule for [`noetherax.solvers.quadrature`][] and its steps were
        fixed; else `None`. [`noetherax.balance`][] takes the same steps again.
    - `grid`: the ends of these steps where they are not equal between times, since inputs jump.

    !!! example

        ```python
        import diffrax
        import jax.numpy as jnp
        import noetherax as nx


        def spring(q, v):
            return jnp.sum(v**2) / 2 - jnp.sum(q**2) / 2


        q0, v0 = jnp.array([[1.0, 0.0]]), jnp.array([[0.0, 0.5]])
        path = nx.rollout(spring, q0, v0, ts=jnp.linspace(0.0, 6.0, 61), solver=nx.RK4())
        assert diffrax.is_successful(path.result)
        assert path.q.shape == path.v.shape == (61, 1, 2)  # times, points, space
        assert path.p is None  # this solver carries no momenta
        assert jnp.allclose(path.q[:, 0, 0], jnp.cos(path.ts), atol=1e-4)
        ```
    """

    ts: Float[Array, " times"]
    q: Float[Array, "times points space"]
    v: Float[Array, "times points space"]
    p: Float[Array, "times points space"] | None
    stats: dict[str, Any]
    result: diffrax.RESULTS
    solver: diffrax.AbstractSolver | None = eqx.field(static=True, default=None)
    grid: Float[Array, " ends"] | None = None
    steps: Int[Array, " times"] | None = None

    def __repr__(self) -> str:
        times = f"{counted(self.ts.shape[-1], 'time')}{interval(self.ts)}"
        many = "".join(f"{count} × " for count in self.ts.shape[:-1])
        held = arrays(q=self.q, v=self.v, p=self.p)
        return f"Trajectory({many}{times}: {held}{_ending(self.result)})"


def _ending(result: diffrax.RESULTS) -> str:
    """Why a motion ended before its last time, if it did and that is known now."""
    code = getattr(result, "_value", None)
    if code is None or isinstance(code, Tracer) or np.ndim(code):
        return ""
    return "" if diffrax.is_successful(result) else f"; failed: {diffrax.RESULTS[result]}"
