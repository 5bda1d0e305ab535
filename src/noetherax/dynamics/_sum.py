"""All rules of L = L₁ + L₂ + …: each term by its own, and added."""

import functools
import operator

import jax

from .._programs import one_program
from ..lagrangians import LagrangianSum
from ._closed import closure_converted
from ._equations import euler_lagrange_residual, euler_lagrange_terms, lagrangian_gradient
from ._inertia import constant_inertia, leading_inertia
from ._motion import terms_and_change
from ._time import depends_on_time, resolved


@euler_lagrange_terms.register
@one_program
def _(lagrangian: LagrangianSum, q, v):
    return _sum_of_trees([euler_lagrange_terms(term, q, v) for term in lagrangian.terms])


@euler_lagrange_residual.register
@one_program
def _(lagrangian: LagrangianSum, q, v, a):
    return _sum([euler_lagrange_residual(term, q, v, a) for term in lagrangian.terms])


@constant_inertia.register
def _(lagrangian: LagrangianSum, q):
    masses = [constant_inertia(term, q) for term in lagrangian.terms]
    return None if any(mass is None for mass in masses) else _sum(masses)


@leading_inertia.register
def _(lagrangian: LagrangianSum, q):
    masses = [leading_inertia(term, q) for term in lagrangian.terms]
    return None if any(mass is None for mass in masses) else _sum(masses)


@lagrangian_gradient.register
@one_program
def _(lagrangian: LagrangianSum, q, v):
    return _sum_of_trees([lagrangian_gradient(term, q, v) for term in lagrangian.terms])


@terms_and_change.register
def _(lagrangian: LagrangianSum, q, v):
    terms, changes = zip(*(terms_and_change(term, q, v) for term in lagrangian.terms), strict=True)

    def change_of_residual(a, tangents):
        moved, *state = tangents
        rates = [
            of_term(a, (tangent, *state))
            for of_term, tangent in zip(changes, moved.terms, strict=True)
        ]
        rates = [rate for rate in rates if rate is not None]
        return _sum(rates) if rates else None

    return _sum_of_trees(terms), change_of_residual


@closure_converted.register
def _(lagrangian: LagrangianSum, q, v, *instant):
    terms = [closure_converted(term, q, v, *instant) for term in lagrangian.terms]
    same = all(new is old for new, old in zip(terms, lagrangian.terms, strict=True))
    return lagrangian if same else LagrangianSum(*terms)


@depends_on_time.register
def _(model: LagrangianSum) -> bool:
    return any(map(depends_on_time, model.terms))


@resolved.register
def _(model: LagrangianSum, t, u):
    return LagrangianSum(*(resolved(term, t, u) for term in model.terms))


def _sum(parts):
    return functools.reduce(operator.add, parts)


def _sum_of_trees(trees):
    return jax.tree.map(lambda *parts: _sum(parts), *trees)
