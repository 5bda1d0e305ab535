"""All rules of L = vᵀ m v/2 + l(x, ẋ), l = |B(x)ᵀ ẋ|²/2 − V(x), x features of the configuration.

The Euler–Lagrange expression of l is a covector: that of q is (∂x/∂q)ᵀ times that of x,

    d/dt (B Bᵀ ẋ) − ∂l/∂x     along     ẋ = (∂x/∂q) v,   ẍ = (∂x/∂q) a + (d/dt ∂x/∂q) v.

The matrix is read off B; the Coriolis forces are one derivative of B along ẋ, and one of l. Nothing is
differentiated twice by a velocity.
"""

import jax
import jax.numpy as jnp

from .._programs import one_program
from .._types import check_motion, check_state
from ..lagrangians import NeuralMechanicalLagrangian, inertia_of, inertia_times
from ._batches import over_batch
from ._equations import EulerLagrangeTerms, euler_lagrange_residual, euler_lagrange_terms
from ._perceptron import derivatives_along


@euler_lagrange_terms.register
@one_program
def _(lagrangian: NeuralMechanicalLagrangian, q, v):
    check_state(q, v, batched=True)
    q, v = jnp.asarray(q), jnp.asarray(v)
    x, rate, bend, slope = over_batch(lambda q, v: _slopes(lagrangian, q, v), q)(q, v)
    expression, factor = _expression(lagrangian, x, rate, bend)
    factored = jnp.swapaxes(factor, -1, -2) @ slope
    inertia = jnp.asarray(inertia_of(lagrangian, *v.shape[-2:]), factored.dtype)
    inertia = jnp.diag(inertia) if inertia.ndim == 1 else inertia
    mass_matrix = inertia + jnp.swapaxes(factored, -1, -2) @ factored
    return EulerLagrangeTerms(mass_matrix, -jnp.einsum("...m,...mi->...i", expression, slope))


@euler_lagrange_residual.register
@one_program
def _(lagrangian: NeuralMechanicalLagrangian, q, v, a):
    check_motion(q, v, a)
    q, v, a = (jnp.asarray(x) for x in (q, v, a))

    def motion_of(q, v, a):
        return jax.jvp(lambda *state: _with_rate(lagrangian, *state), (q, v), (v, a))

    (x, rate), (_, bend) = over_batch(motion_of, q)(q, v, a)
    expression, _ = _expression(lagrangian, x, rate, bend)

    def covector_of(q, v, a, expression):
        _, pull_back = jax.vjp(lagrangian.coordinates, q)
        inertia = inertia_times(inertia_of(lagrangian, *v.shape), a)
        return (inertia + pull_back(expression)[0]).reshape(-1)

    return over_batch(covector_of, q)(q, v, a, expression)


def _with_rate(lagrangian: NeuralMechanicalLagrangian, q, v):
    """x and ẋ."""
    return jax.jvp(lagrangian.coordinates, (q,), (v,))


def _slopes(lagrangian: NeuralMechanicalLagrangian, q, v):
    """x, ẋ, ẍ without acceleration, and ∂x/∂q: by columns or by rows, whichever are fewer."""
    (x, rate), (_, bend) = jax.jvp(lambda q: _with_rate(lagrangian, q, v), (q,), (v,))
    derivative = jax.jacrev if len(x) < q.size else jax.jacfwd
    return x, rate, bend, derivative(lagrangian.coordinates)(q).reshape(len(x), q.size)


def _expression(lagrangian: NeuralMechanicalLagrangian, x, rate, bend):
    """d/dt (B Bᵀ ẋ) − ∂l/∂x where x changes at the rate ẋ, and that at the rate ẍ; and B."""
    entries, change, pull_back = derivatives_along(lagrangian.inertia_network, x, rate)
    # The matrix is linear in the entries, so that what is the derivative by one is that by the other.
    factor, spread = jax.vjp(lagrangian.triangle, entries)
    turning = lagrangian.triangle(change)
    flow = jnp.einsum("...m,...mn->...n", rate, factor)
    flow_change = jnp.einsum("...m,...mn->...n", rate, turning)
    flow_change = flow_change + jnp.einsum("...m,...mn->...n", bend, factor)
    momentum_change = jnp.einsum("...mn,...n->...m", turning, flow)
    momentum_change = momentum_change + jnp.einsum("...mn,...n->...m", factor, flow_change)
    (covector,) = spread(rate[..., :, None] * flow[..., None, :])
    potential = lagrangian.potential_network
    _, _, pull_back_potential = derivatives_along(potential, x, rate)
    unit = jnp.broadcast_to(lagrangian.energy_unit.value, (*x.shape[:-1], 1))
    return momentum_change - pull_back(covector) + pull_back_potential(unit), factor
