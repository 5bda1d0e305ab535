"""Rules that a type registers for the equations of motion, held against automatic differentiation."""

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from .._types import FloatArray, check_state
from ..dynamics import (
    RULES,
    autodiff_terms,
    constant_inertia,
    equilibrate,
    euler_lagrange_residual,
    euler_lagrange_terms,
    has_rule,
    lagrangian_gradient,
    solve_motion,
    solve_terms,
    terms_and_change,
    without_rules,
)
from ._evidence import ROUNDING, Seen


def check_rules(
    lagrangian: Callable,
    q: Float[FloatArray, "states points space"],
    v: Float[FloatArray, "states points space"],
    *,
    referee: Callable | None = None,
    functions: Sequence[Any] = RULES,
) -> list[Seen]:
    """Holds every rule that the type of a Lagrangian has registered against the referee: the same
    Lagrangian as a plain function, differentiated automatically.

    Values are compared, and derivatives along one random direction of weights and states, which are
    what training and implicit solvers take.

    !!! example

        ```python
        import jax
        import noetherax as nx

        lagrangian = nx.systems.TwoParticles(space=2).lagrangian
        q, v = jax.random.normal(jax.random.key(0), (2, 4, 2, 2))  # four states
        seen = nx.testing.check_rules(lagrangian, q, v)
        for law in seen:
            print(law)  # one line for every function with a rule
        ```

    **Arguments:**

    - `lagrangian`: one of the type, with whatever weights; ∂²L/∂v² should be regular.
    - `q`, `v`: states to compare at.
    - `referee`: a function `(q, v) -> scalar` with the same motion; if not given, the Lagrangian.
    - `functions`: those whose rules are held, of `noetherax.dynamics.RULES`.

    **Returns:**

    A [`noetherax.testing.Seen`][] for every function for which the type has a rule.

    **Raises:**

    `AssertionError` that names the function, the state, what was found and what was expected;
    `ValueError` if the type has registered no rule, or there is no acceleration to compare with.
    """
    check_state(q, v, batched=True)
    kind = type(lagrangian)
    ruled = [function for function in functions if has_rule(function, kind)]
    if not ruled:
        names = ", ".join(function.__name__ for function in functions)
        raise ValueError(
            f"{kind.__name__} has no rule of its own for {names}: there is nothing to check. Register "
            f"one, for instance noetherax.{functions[0].__name__}.register({kind.__name__})."
        )
    q, v = jnp.asarray(q), jnp.asarray(v)
    tangents = _directions((lagrangian, q, v))

    def plain(lagrangian):
        return without_rules(lagrangian) if referee is None else referee

    @eqx.filter_jit
    def compare(lagrangian, q, v, tangents, direction):
        system = lagrangian, q, v
        mass_matrix, force = autodiff_terms(plain(lagrangian), q, v)
        largest = [jnp.max(jnp.abs(x)) for x in (force, mass_matrix, direction)]
        a = direction * largest[0] / (largest[1] * largest[2])
        return mass_matrix, {
            function.__name__: [
                _seen(function, form, system, a, tangents) for form in (lambda x: x, plain)
            ]
            for function in ruled
        }

    mass_matrix, compared = compare(lagrangian, q, v, tangents, _directions(v))
    condition = np.max(np.linalg.cond(np.asarray(equilibrate(mass_matrix)[0], np.float64)))
    if solve_motion in ruled and not condition * np.finfo(mass_matrix.dtype).eps < 1:
        raise ValueError(
            "∂²L/∂v² is singular at one of these states, so that there is no acceleration to compare. "
            "Give states at which it is regular."
        )
    seen = []
    for function in ruled:
        name = function.__name__
        found, expected = compared[name]
        law = f"{name} of {kind.__name__} equals automatic differentiation"
        margin = condition if function is solve_motion else 1.0
        for part, pairs in expected.items():
            size = float(max(np.max(np.abs(x), initial=0.0) for x in pairs))
            for words, ours, theirs in zip(("", "change of "), found[part], pairs, strict=True):
                _compare(f"{law}: {words}{part}", ours, theirs, margin * size, (q, v))
        seen.append(Seen(law, len(q)))
    return seen


def _seen(function, form: Callable, system, a, tangents) -> dict[str, tuple]:
    """What a function gives of a Lagrangian in some form, and how that changes along the tangents."""
    law = form(system[0])
    if function is terms_and_change and law is system[0]:
        terms, change = function(*system)
        residual = _pair(euler_lagrange_residual(*system, a), change(a, tangents))
        return {name: (x, x) for name, x in terms._asdict().items()} | {"residual": residual}
    if function is terms_and_change:  # of a plain function it is what follows from these
        terms = _seen(euler_lagrange_terms, form, system, a, tangents)
        residual = _seen(euler_lagrange_residual, form, system, a, tangents)
        return {name: (x, x) for name, (x, _) in terms.items()} | residual

    def values(lagrangian, q, v):
        return LOOKS[function](form(lagrangian), q, v, a)

    found, changes = eqx.filter_jvp(values, system, tangents)
    return {name: _pair(x, changes[name]) for name, x in found.items()}


def _pair(x, change):
    return x, jnp.zeros_like(x) if change is None else change


def _slopes(law, q, v, a):
    force, momentum = jax.vmap(lambda q, v: lagrangian_gradient(law, q, v))(q, v)
    return {"∂L/∂q": force, "∂L/∂v": momentum}


def _masses(law, q, v, a):
    masses = constant_inertia(law, q)
    if masses is None:
        return {"mass matrix": autodiff_terms(lambda q, v: law(q, v), q, v).mass_matrix}
    flat = jnp.broadcast_to(jnp.asarray(masses, q.dtype), q.shape).reshape(*q.shape[:-2], -1)
    return {"mass matrix": flat[..., None] * jnp.eye(flat.shape[-1], dtype=q.dtype)}


LOOKS = {
    constant_inertia: _masses,
    euler_lagrange_terms: lambda law, q, v, a: euler_lagrange_terms(law, q, v)._asdict(),
    euler_lagrange_residual: lambda law, *motion: {
        "residual": euler_lagrange_residual(law, *motion)
    },
    solve_motion: lambda law, q, v, a: {"acceleration": solve_motion(law, q, v, solve_terms)[0]},
    lagrangian_gradient: _slopes,
}
"""What each function gives of a Lagrangian at a batch of states."""


def _directions(tree):
    """Random tangents of the size of what they change, and `None` for all that is no such number."""
    random = np.random.default_rng(0)

    def of(x):
        if not eqx.is_inexact_array(x):
            return None
        size = np.sqrt(np.mean(np.square(np.asarray(x, np.float64)))) if x.size else 0.0
        return jnp.asarray(random.normal(size=x.shape) * (size or 1.0), x.dtype)

    return jax.tree.map(of, tree)


def _compare(law: str, found, expected, size: float, states) -> None:
    """Raises an `AssertionError` unless two batches are equal to rounding of numbers of that size."""
    found, expected = np.asarray(found), np.asarray(expected)
    if found.shape != expected.shape:
        raise AssertionError(f"{law}\n  its shape is {found.shape}, but should be {expected.shape}")
    allowed = ROUNDING.of(found.dtype) * size
    off = np.abs(found - expected).reshape(len(found), -1).max(axis=1)
    off = np.where(np.isfinite(off), off, np.inf)
    worst = int(np.argmax(off))
    if off[worst] > allowed:
        q, v = (np.asarray(x[worst]).tolist() for x in states)
        raise AssertionError(
            f"{law}\n  violated by {off[worst]:.3g}, where {allowed:.3g} is allowed ({ROUNDING})\n"
            f"  at q = {q}, v = {v}\n  found {found[worst].tolist()}\n"
            f"  expected {expected[worst].tolist()}"
        )
