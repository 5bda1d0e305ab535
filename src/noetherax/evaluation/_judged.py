from collections.abc import Callable
from functools import singledispatch
from typing import Any

from ._record import Evaluation


@singledispatch
def judged(against: Any, model: Callable, **options: Any) -> Evaluation:
    """How [`noetherax.evaluate`][] judges a model by something; types register a rule of their own,
    `noetherax.evaluation.judged.register`, whose keywords are the options it takes."""
    raise TypeError(
        "A model is judged by noetherax.Tracks or by a noetherax.systems.System, but this is "
        f"{type(against).__name__}: {against!r:.200}. Arrays of times, positions and velocities become "
        "tracks by nx.Tracks(times, positions, velocities)."
    )
