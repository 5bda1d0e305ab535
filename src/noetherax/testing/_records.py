"""What the laws of a subject share: its cases, and the parts of their evaluation. Each part is made
when a law first asks for it, so that everything is compiled and evaluated once."""

from collections.abc import Callable
from functools import cached_property
from typing import Any, cast, final

import equinox as eqx
import numpy as np

from ..dynamics import depends_on_time, is_at_instant
from ..groups import periods
from ._actions import Action, Moves, no_elements
from ._cases import Model, batch_of, draw_cases
from ._evidence import Drawn
from ._explicit_time import at_own_instant, require_no_forces
from ._functions import function_of, group_of, moves_of
from ._mechanics import charge_of, lagrangian_of, solve
from ._programs import Program
from ._sizes import Sizes, Units
from ._special_states import moving
from ._values import Values


@final
class GroupRecord:
    """A group at all cases."""

    def __init__(self, subject: Any):
        self.subject, self.group = subject, subject.group
        self.batch = batch_of(subject, self.group.space)
        self.refusals: list[str] = []
        function = group_of(self.group, self.batch.dtype, self.refusals)
        self.action = Action(self.group, function, self.batch)

    @cached_property
    def cases(self) -> Drawn:
        special = self.action.special
        elements = self.action.elements(special)
        return draw_cases(self.batch, Model(None), special, elements, self.subject.state_strategy)

    @cached_property
    def moves(self) -> Moves:
        return Moves(self.action, self.cases)

    @cached_property
    def sizes(self) -> Sizes:
        return Sizes(self.cases, self.moves)


@final
class FunctionRecord:
    """A function of the state at all cases.

    **Arguments:**

    - `subject`: what is tested.
    - `whole`: the function in it.
    - `trace`: makes of the function's static part, a precision and a list for refusals what is
        evaluated, a function of one case.
    - `moves`: makes of the group what is asked of it.
    - `models`: makes of special values a strategy of such functions, where their weights are not drawn
        as those of any.
    """

    def __init__(
        self,
        subject: Any,
        whole: Any,
        trace: Callable,
        moves: Callable = moves_of,
        models: Callable | None = None,
    ):
        self.subject, self.group, self.trace, self.models = subject, subject.group, trace, models
        self.batch = batch_of(subject, self.group.space)
        self.model = Model(whole)
        self.action = Action(self.group, moves(self.group), self.batch)
        self.refusals: list[str] = []
        self.timed = False

    @cached_property
    def program(self) -> Program:
        function = self.trace(self.model.static, self.batch.dtype, self.refusals)
        parameters = self.batch.of_each(self.model.parameters)
        state = self.batch.array(2, *self.batch.shape)
        acceleration, time = self.batch.array(*self.batch.shape), self.batch.array()
        return Program(function, parameters, state, state, state, acceleration, time)

    @cached_property
    def cases(self) -> Drawn:
        special = self.program.special
        elements = self.action.elements(special)
        own = self.subject.weight_strategy if self.models is None else self.models(special)
        of_states = self.subject.state_strategy
        drawn = draw_cases(self.batch, self.model, special, elements, of_states, own)
        if self.subject.state_strategy is not None:
            return drawn
        if not self.subject.rest:
            drawn = drawn._replace(v=moving(drawn.v))
        # In units of the periods: states of many turns would say nothing of slopes.
        turns = periods(self.group)
        unit = np.where(np.isfinite(turns), turns / (2 * np.pi), 1).astype(drawn.q.dtype)
        return drawn._replace(q=drawn.q * unit, v=drawn.v * unit)

    @cached_property
    def moves(self) -> Moves:
        return Moves(self.action, self.cases)

    @cached_property
    def units(self) -> Units:
        return Units(self.cases)

    @cached_property
    def sizes(self) -> Sizes:
        return Sizes(self.cases, self.moves)

    @cached_property
    def values(self) -> Values:
        return Values(self.program, self.cases, self.sizes, self.units)


def record_of_features(subject: Any) -> FunctionRecord:
    return FunctionRecord(subject, subject.features, function_of)


@final
class AtAnyVelocity(eqx.Module):
    """A function of the configuration as one of the state."""

    function: Callable

    def __call__(self, q, v):
        return self.function(q)


def record_of_configuration_features(subject: Any) -> FunctionRecord:
    return FunctionRecord(subject, AtAnyVelocity(subject.features), function_of)


@final
class LagrangianRecord:
    """A Lagrangian at all cases: as a function of the state, and in its motion."""

    def __init__(self, subject: Any):
        def trace(static: Any, dtype: Any, refusals: list[str]) -> Callable:
            return lagrangian_of(static, subject.group, dtype, refusals)

        model, own = subject.lagrangian, subject.weight_strategy is not None
        require_no_forces(model)
        self.function = FunctionRecord(subject, model, trace)
        if is_at_instant(model):
            drawn = self.function.cases
            self.function.cases = at_own_instant(model, drawn, drawn.parameters, own)
        self.timed = self.function.timed = depends_on_time(model)

    @cached_property
    def solution(self) -> tuple:
        """(a, |M⁻¹|, regular) of the type's own equations of motion."""
        return solve(self.function.values.here)

    @cached_property
    def in_motion(self) -> dict:
        """All that is known at the drawn states, with the accelerations of the motion."""
        cases, sizes, units = self.function.cases, self.function.sizes, self.function.units
        a = self.solution[0].reshape(cases.q.shape).astype(cases.q.dtype)
        return self.function.values.at(cases.state, sizes.state, units.directions, acceleration=a)


@final
class ChargeRecord:
    """A charge and its Lagrangian at all cases."""

    def __init__(self, subject: Any):
        self.subject = subject
        self.batch = batch_of(subject, subject.space)
        self.model = Model((subject.charge, subject.lagrangian))
        self.timed = depends_on_time(subject.lagrangian)

    @cached_property
    def program(self) -> Program:
        parameters = self.batch.of_each(self.model.parameters)
        state, time = self.batch.array(2, *self.batch.shape), self.batch.array()
        return Program(charge_of(self.model.static), parameters, state, time)

    @cached_property
    def cases(self) -> Drawn:
        special, elements = self.program.special, no_elements(self.batch)
        own = self.subject.state_strategy, self.subject.weight_strategy
        drawn = draw_cases(self.batch, self.model, special, elements, *own)
        model, parameters = self.subject.lagrangian, cast(tuple, drawn.parameters)[1]
        return at_own_instant(model, drawn, parameters, own[1] is not None)

    @cached_property
    def units(self) -> Units:
        return Units(self.cases)

    def at(self, state, t) -> dict:
        return self.program(self.cases.parameters, state, t)

    @cached_property
    def here(self) -> dict:
        """At the drawn states and times."""
        return self.at(self.cases.state, self.cases.t)

    @cached_property
    def solution(self) -> tuple:
        """(a, |M⁻¹|, regular) of the type's own equations of motion."""
        return solve(self.here)
