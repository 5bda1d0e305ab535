from collections.abc import Callable
from functools import singledispatch
from typing import Any

from ._record import Evaluation


@singledispatch
def judged(against: Any, model: Callable, **options: Any) -> Evaluation:
    """The rule by which [`noetherax.evaluate`][] judges a model, chosen by the type of what it is
    judged against. A type of your own registers a rule, `noetherax.evaluation.judged.register`,
    whose keywords are the options that `evaluate` then takes.

    !!! example

        Films, of which frames are recorded at a fixed rate, are judged as the tracks that they
        show:

        ```python
        from dataclasses import dataclass

        import jax.numpy as jnp
        import numpy as np
        import noetherax as nx


        @dataclass
        class Film:
            positions: np.ndarray  # of shape (frames, points, space)
            rate: float  # frames per unit of time


        @nx.evaluation.judged.register
        def _(film: Film, model, **options):
            t = np.arange(len(film.positions)) / film.rate
            tracks = nx.Tracks(t, film.positions).smooth()
            return nx.evaluation.judged(tracks, model, **options)


        film = Film(np.cos(np.arange(101) / 20)[:, None, None], rate=20.0)
        found = nx.evaluate(lambda q, v: jnp.sum(v**2 - q**2) / 2, film, solver=nx.RK4())
        assert found["explained"].median > 0.999
        ```

    **Arguments:**

    - `against`: what the model is judged by; its type chooses the rule.
    - `model`: as for [`noetherax.evaluate`][].
    - `options`: always `threshold`, and `rollout`, a dictionary of `solver`, `dt` and `max_steps`
        for [`noetherax.rollout`][]; with them the options of the rule itself.

    **Returns:**

    A [`noetherax.Evaluation`][].

    **Raises:**

    `TypeError` if the type has no rule.
    """
    raise TypeError(
        "A model is judged by noetherax.Tracks or by a noetherax.systems.System, but this is "
        f"{type(against).__name__}: {against!r:.200}. Arrays of times, positions and velocities become "
        "tracks by nx.Tracks(times, positions, velocities)."
    )
