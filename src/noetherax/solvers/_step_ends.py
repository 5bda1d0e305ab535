"""Where fixed steps end, so that none goes across a jump of inputs."""

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from ..forces import just_before
from ._step_to_next import StepToNext

NEAR = 8.0
"""Roundings of time within which a jump is at the end of a step."""


def ending_at(grid, jumps, inside: bool) -> diffrax.StepTo | StepToNext:
    """Fixed steps that end at each jump. Solvers that evaluate the ends of a step would see one value
    on both sides: theirs end just before it, too. Variational ones evaluate states `inside` a step."""
    if not inside and (isinstance(grid, Tracer) or isinstance(jumps, Tracer)):
        grid, jumps = jnp.asarray(grid), jnp.asarray(jumps)
        low, high = jnp.minimum(grid[0], grid[-1]), jnp.maximum(grid[0], grid[-1])
        before = jumps + (just_before(jax.lax.stop_gradient(jumps)) - jax.lax.stop_gradient(jumps))
        added = jnp.concatenate([jumps, before])
        added = jnp.where((low < added) & (added < high), added, grid[0])
        # Jumps first: a step that ends at one moves with it, and not with a time that is the same.
        return StepToNext(jnp.concatenate([added, grid]))
    if isinstance(grid, Tracer) or isinstance(jumps, Tracer):
        grid = eqx.error_if(
            grid,
            jnp.any(_apart(jnp, grid, jumps)),
            "Inputs of the kind 'hold' jump within a step, whose error is then of first order. Where "
            "ts or the times of the inputs are not known outside jax.jit, ts must have all times at "
            "which they jump. Close over both, and steps end there by themselves.",
        )
        return diffrax.StepTo(_moving_with(grid, jumps))
    steps, jumps = np.asarray(grid), np.asarray(jumps)
    added = jumps[_apart(np, steps, jumps)]
    if not inside:
        within = jumps[(jumps > steps.min()) & (jumps < steps.max())]
        added = np.concatenate([within, just_before(within)])
    ends = np.unique(np.concatenate([steps, added]))
    return diffrax.StepTo(jnp.asarray(ends if steps[0] < steps[-1] else ends[::-1]))


def _moving_with(grid, jumps):
    """The ends of steps. Those between the first and the last at which inputs jump move with the time
    of the jump, and no longer with a saved time that is the same: that is read off the step."""
    grid, jumps = jnp.asarray(grid), jnp.asarray(jumps)
    after = jnp.minimum(jnp.searchsorted(jumps, grid), len(jumps) - 1)
    before = jnp.maximum(after - 1, 0)
    nearer = jnp.abs(jumps[before] - grid) < jnp.abs(jumps[after] - grid)
    nearest = jumps[jnp.where(nearer, before, after)]
    there = jax.lax.stop_gradient(jnp.abs(grid - nearest)) <= _rounding_of(jnp, grid)
    there = there.at[jnp.array([0, -1])].set(False)
    now = jax.lax.stop_gradient(grid)
    return jnp.where(there, now + (nearest - jax.lax.stop_gradient(nearest)), grid)


def check_ends(grid, jumps) -> None:
    """Raises where inputs jump within a step that the user has fixed."""
    if jumps is None or isinstance(grid, Tracer) or isinstance(jumps, Tracer):
        return
    apart = jumps[_apart(np, np.asarray(grid), np.asarray(jumps))]
    if len(apart):
        raise ValueError(
            f"Inputs of the kind 'hold' jump at t = {apart[0]:.9g}, within a step of the StepTo that "
            "was given, whose error is then of first order. Give it all times at which they jump, or "
            "pass dt= in its place."
        )


def _apart(np_, grid, jumps):
    """Which jumps lie within the motion, and away from the end of any step, by more than rounding."""
    order = np_.sort(grid)
    rounding = _rounding_of(np_, grid)
    after = np_.clip(np_.searchsorted(order, jumps), 1, len(order) - 1)
    distance = np_.minimum(np_.abs(jumps - order[after - 1]), np_.abs(order[after] - jumps))
    return (jumps > order[0]) & (jumps < order[-1]) & (distance > rounding)


def _rounding_of(np_, grid):
    """How far times may be apart and be the same."""
    return NEAR * np_.finfo(grid.dtype).eps * np_.max(np_.abs(grid))
