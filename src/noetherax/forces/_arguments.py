"""Whether a function of the state takes the time, and inputs."""

import functools
import inspect
from collections.abc import Callable
from functools import singledispatch
from typing import Any

import equinox as eqx

POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)

NAMES = (("t", "time"), ("u", "inputs"))
"""Of the third and the fourth argument, where these have a default."""


@singledispatch
def arguments_of(function: Any) -> int:
    """How many of (q, v, t, u) a Lagrangian or force takes: 2, 3 or 4.

    A third argument is the time and a fourth the inputs, unless it has a default and another name: what
    a function made in a loop holds by a default, `lambda q, v, k=k: ...`, is neither.

    **Raises:**

    `TypeError` if the third has the name of inputs, or the fourth that of the time: they would be given
    the other.
    """
    try:
        parameters = inspect.signature(_plain(function)).parameters.values()
    except (TypeError, ValueError):  # of a built-in function
        return 2
    further = [x for x in parameters if x.kind in POSITIONAL][2:]
    count = 2
    for parameter, names in zip(further, NAMES, strict=False):
        if parameter.default is not inspect.Parameter.empty and parameter.name not in names:
            break
        _check_name(function, parameter.name, names)
        count += 1
    return count


def _plain(function: Any) -> Any:
    """What `inspect` knows the arguments of. Equinox's partial hides those of its function."""
    if isinstance(function, eqx.Partial):
        return functools.partial(_plain(function.func), *function.args, **function.keywords)
    return function


def _check_name(function: Any, name: str, names: tuple[str, ...]) -> None:
    if any(name in others for others in NAMES if others is not names):
        given = "time" if names is NAMES[0] else "inputs"
        raise TypeError(
            f"A function of the state takes (q, v), (q, v, t) or (q, v, t, u), with the time t and the "
            f"inputs u in this order, but argument {name!r} of {function!r:.100} would be given the "
            f"{given}. A force of inputs alone is (q, v, t, u), too, and leaves t aside."
        )


def called(function: Callable, q, v, t=None, u=None) -> Any:
    """The value of a function of as many of (q, v, t, u) as it takes."""
    return function(*(q, v, t, u)[: arguments_of(function)])
