"""What an evaluation found."""

from dataclasses import dataclass
from typing import NamedTuple, final

import numpy as np
from jaxtyping import Float


class Measure(NamedTuple):
    """One figure of merit of a model, for every motion that it was judged by.

    - `values`: one per motion, without units. That of a motion that could not be followed is infinite
        (for a share that is explained, minus infinity), so that it counts in median and worst.
    - `aim`: the value of a perfect model, zero or one.
    - `scale`: what the values are measured in.

    !!! example

        ```python
        import jax.numpy as jnp
        import numpy as np
        import noetherax as nx


        def too_stiff(q, v):
            return jnp.sum(v**2) / 2 - 1.2 * jnp.sum(q**2) / 2


        t = np.linspace(0.0, 3.0, 31)
        angles = t + np.array([[0.0], [1.0], [2.0]])
        q, v = np.cos(angles)[..., None, None], -np.sin(angles)[..., None, None]
        tracks = nx.Tracks([t, t, t], list(q), list(v))  # three recordings
        distance = nx.evaluate(too_stiff, tracks, solver=nx.RK4())["distance"]
        assert distance.values.shape == (3,)
        assert distance.aim == 0.0 < distance.median < distance.worst
        ```
    """

    values: Float[np.ndarray, " motions"]
    aim: float
    scale: str

    @property
    def median(self) -> float:
        """Over the motions, those that failed included."""
        ordered = np.sort(self.values)
        low, high = ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]
        return float(low if low == high else (low + high) / 2)

    @property
    def worst(self) -> float:
        """The value that is furthest from the aim."""
        return float(self.values[np.argmax(np.abs(self.values - self.aim))])

    @property
    def failed(self) -> int:
        """How many values are not finite."""
        return int(np.sum(~np.isfinite(self.values)))


@final
@dataclass(frozen=True, eq=False, repr=False)
class Evaluation:
    """How good a model is, from [`noetherax.evaluate`][]. Printed, it is a table; `evaluation[name]` is
    one of its measures, and `list(evaluation.measures)` their names.

    - `subject`: what the model was judged by, in words.
    - `measures`: by name, each a [`noetherax.Measure`][].
    - `ts`: times since the start of each motion, shape `(motions, times)`.
    - `errors`: distance from the truth, or from the recording, over the size of the motion, of the same
        shape. Infinite from where a model's motion ended; NaN after the end of a shorter recording.
    - `failed`: how many motions the model could not be followed to their end.
    - `notes`: what was not measured, and why.

    !!! example

        ```python
        import numpy as np
        import noetherax as nx

        system = nx.systems.HarmonicOscillator(space=2)
        guess = nx.systems.HarmonicOscillator(stiffness=1.1, space=2).lagrangian
        ts = np.linspace(0.0, 5.0, 51)
        found = nx.evaluate(guess, system, ts=ts, orbits=2, solver=nx.RK4())
        assert found.failed == 0 and found.errors.shape == (3, 51)  # motions, times
        assert np.isclose(found["error of da/dq"].median, 0.1, rtol=1e-3)
        print(found)
        ```
    """

    subject: str
    measures: dict[str, Measure]
    ts: Float[np.ndarray, "motions times"]
    errors: Float[np.ndarray, "motions times"]
    failed: int
    notes: tuple[str, ...]

    def __getitem__(self, name: str) -> Measure:
        if name not in self.measures:
            raise KeyError(
                f"There is no measure {name!r}. There are: {', '.join(self.measures)}."
                + "".join(f" {note}" for note in self.notes)
            )
        return self.measures[name]

    def __repr__(self) -> str:
        count = len(self.errors)
        followed = (
            "all were followed to their end"
            if not self.failed
            else f"{self.failed} could NOT be followed to their end, and count as infinitely wrong"
        )
        rows = [["", "median", "worst", "aim", "failed", "in units of"]]
        for name, measure in self.measures.items():
            numbers = [_number(x) for x in (measure.median, measure.worst, measure.aim)]
            few = f"{measure.failed} of {len(measure.values)}"
            rows.append([name, *numbers, few, measure.scale])
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [f"{self.subject}: {count} motion{'s' * (count > 1)}, {followed}"]
        for first, *middle, last in rows:
            cells = (x.rjust(w) for x, w in zip(middle, widths[1:-1], strict=True))
            lines.append("  ".join([first.ljust(widths[0]), *cells, last]).rstrip())
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])


def _number(value: float) -> str:
    return f"{value:.3g}" if np.isfinite(value) else "infinite" if value > 0 else "-infinite"
