"""How rollouts are differentiated, where Diffrax alone would be wrong."""

import functools
from typing import Any, final

import diffrax
import equinox.internal as eqxi


@final
class StoringAdjoint(diffrax.AbstractAdjoint):
    """As `diffrax.DirectAdjoint`, which differentiates forward and in reverse, with every step stored.

    That one takes most steps again on the way back. Where a controller chooses steps by estimates that
    are mostly rounding, steps that are taken again in another program may end elsewhere. They no longer
    meet those that are stored, and derivatives lose the motion in between.
    """

    def loop(
        self,
        *,
        solver: Any,
        max_steps: int | None,
        terms: Any,
        throw: Any,
        passed_solver_state: Any,
        passed_controller_state: Any,
        **kwargs: Any,
    ) -> Any:
        del throw, passed_solver_state, passed_controller_state
        return self._loop(
            **kwargs,
            solver=solver,
            max_steps=max_steps,
            terms=terms,
            inner_while_loop=_stored,
            outer_while_loop=_stored,
        )


def _stored(*arguments: Any, max_steps: int, **options: Any) -> Any:
    # Of loops within loops, all but the innermost are taken again: let there be one.
    loop = functools.partial(eqxi.while_loop, kind="bounded", base=max(max_steps, 2))
    return loop(*arguments, max_steps=max_steps, **options)
