"""Rules of types: whether there is one, and how a type that holds another passes on those of that."""

from collections.abc import Callable
from typing import Any


def has_rule(function: Any, kind: type) -> bool:
    """Whether a type or one that it inherits from has registered a rule of its own."""
    return function.dispatch(kind) is not function.dispatch(object)


def pass_on(kind: type, inside: Callable, *functions: Any) -> None:
    """Registers for a type that holds another model, `inside(model)`, the rules of that model."""

    def rule(function):
        return lambda model, *arguments: function(inside(model), *arguments)

    for function in functions:
        function.register(kind, rule(function))
