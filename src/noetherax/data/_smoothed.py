"""Recordings with the states and accelerations of the polynomials nearest to what was observed."""

import itertools
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, final

import numpy as np
from jaxtyping import Float

from .._checks import check_count, check_number
from ._choice import (
    DEGREES,
    EXPLAINED,
    LEAST,
    Survey,
    Trial,
    rated,
    sampled,
    surveyed,
    tried,
    with_turns,
)
from ._left_over import Choice, Doubt, agrees, doubted
from ._local_fits import Series, middles_of, series_of, states_at
from ._recording import Recording
from ._smoothing_warnings import (
    warn_of_intervals,
    warn_of_lost_motion,
    warn_of_noise,
    warn_of_unused,
)
from ._times import even_interval

PerCoordinate = Float[np.ndarray, "points space"]


class StateErrors(NamedTuple):
    """Standard deviations of positions, velocities and accelerations, each of shape
    `(points, space)`, or `None` where there are none."""

    q: PerCoordinate
    v: PerCoordinate | None
    a: PerCoordinate | None


@final
@dataclass(frozen=True, eq=False, repr=False)
class Smoothing:
    """How tracks were smoothed, and an estimate of the errors that are left: the `smoothing` of
    what [`noetherax.Tracks.smooth`][] returns.

    - `degree`: of the polynomials.
    - `times`: samples in the window of each.
    - `used`: what of them: `q`, and `v` and `a` where these were observed and agree with it.
    - `noise`: standard deviations of what was observed, given or estimated: `noise.q`, and
        `noise.v` and `noise.a` where these were observed, each of shape `(points, space)`.
    - `error`: root mean squares of the estimated errors of the smoothed states, `error.q`,
        `error.v` and `error.a`, of the same shape.
    - `trials`: degrees and window lengths that were tried, as text, the least estimated error
        first.
    - `omitted`: samples at the ends of recordings and beside long gaps, which have no window.

    !!! example

        ```python
        import numpy as np
        import noetherax as nx

        t = np.linspace(0.0, 10.0, 401)
        circle = np.stack([np.cos(t), np.sin(t)], axis=-1)[:, None]
        noise = 1e-3 * np.random.default_rng(0).normal(size=circle.shape)
        tracks = nx.Tracks(t, circle + noise).smooth()
        found = tracks.smoothing
        assert np.allclose(found.noise.q, 1e-3, rtol=0.2)  # estimated from the samples
        assert np.all(found.error.q < found.noise.q)
        print(found.degree, found.times, found.trials[0])
        ```
    """

    degree: int
    times: int
    used: tuple[str, ...]
    noise: StateErrors
    error: StateErrors
    trials: tuple[str, ...]
    omitted: int

    def __repr__(self) -> str:
        def largest(errors: StateErrors) -> str:
            known = {name: x for name, x in errors._asdict().items() if x is not None}
            return ", ".join(f"{name} {np.max(x):.2g}" for name, x in known.items())

        return (
            f"Smoothing(degree {self.degree}, {self.times} times of {', '.join(self.used)}; "
            f"noise {largest(self.noise)}; "
            f"estimated error {largest(self.error)}; {self.omitted} samples omitted)"
        )


def smoothed(
    recordings: Sequence[Recording], degree: Any, times: Any, noise: Any
) -> tuple[list[Recording], Smoothing]:
    """Smoothed recordings, and how it was done; see `Tracks.smooth`."""
    shape = recordings[0].q.shape[1:]
    series = [series_of(recording) for recording in recordings]
    degrees, least = _limits(series, degree, times)
    interval = even_interval([x.t for x in series])
    warn_of_intervals(series)
    survey = surveyed(series, interval, _given(series, noise))
    if not survey.lengths:
        raise ValueError(
            "No window lies between the gaps of these recordings: in each an interval is longer than "
            "half of it. Split recordings at their gaps."
        )
    lengths = [n for n in survey.lengths if n >= least] or [least]
    lengths = lengths if times is None else [least]
    kinds = series[0].kinds
    choices = _trials(series, lengths, degrees, survey)
    if not choices:
        raise ValueError(
            f"No window of {least} samples lies between the gaps of these recordings: in each an "
            "interval is longer than half of it. Split recordings at their gaps, or shorten windows."
        )
    shorter = choices
    if times is not None and np.any(min(choices, key=_score)[0].left > EXPLAINED):
        less = [n for n in survey.lengths if n < least][::2]  # one of them follows a mode
        shorter = _trials(series, less, list(DEGREES), survey)
    choices, doubt = _ranked(choices, shorter, survey)
    while not agrees(choices, survey):
        others = [x for x in choices if x[0].kinds != choices[0][0].kinds]
        choices, doubt = _ranked(others, shorter, survey)
    best, own = with_turns(choices[0][0], survey, doubt.turns), choices[0][1]
    observed, found, omitted = _states(recordings, own, best, survey)
    noise = np.where(doubt.turns, survey.quiet, survey.noise)
    warn_of_unused(observed, found, best, survey._replace(noise=noise))
    warn_of_lost_motion(best, doubt) if doubt.doubtful.any() else warn_of_noise(found, best)
    # What long windows cut off a smooth motion is no noise.
    told = np.where(best.steep & ~doubt.turns, survey.noise_of(best.kinds), best.sigma)
    sigma = dict(zip(kinds, noise, strict=True)) | dict(zip(best.kinds, told, strict=True))
    rows = {k: x.reshape(shape) for k, x in sigma.items()}
    return found, Smoothing(
        best.degree,
        best.times,
        tuple("qva"[k] for k in best.kinds),
        StateErrors(rows[0], rows.get(1), rows.get(2)),
        StateErrors(*(x.reshape(shape) for x in best.error)),
        tuple(_row(trial) for trial in (best, *(other for other, _ in choices[1:]))),
        omitted,
    )


def _trials(
    series: Sequence[Series], lengths: Sequence[int], degrees: Sequence[int], survey: Survey
) -> list[Choice]:
    """Every degree and length, of positions alone and with what else is observed, for which shorter
    windows are enough."""
    positions, *others = (_part(series, kinds) for kinds in _subsets(survey.kinds))
    choices: list[Choice] = []
    for n in lengths:
        top = degrees[-1] + 2
        first = sampled(positions, n, top, survey)
        alone = {d: tried(first, d, survey) for d in degrees if n >= d + LEAST}
        choices += [(trial, positions) for trial in alone.values() if trial is not None]
        for own in others:
            more = sampled(own, n, top, survey)
            enough = [d for d in degrees if n * len(more.kinds) >= d + LEAST]
            trials = (tried(more, d, survey, alone.get(d)) for d in enough)
            choices += [(trial, own) for trial in trials if trial is not None]
    return choices


def _subsets(kinds: tuple[int, ...]) -> list[tuple[int, ...]]:
    """The positions, and all that may be used with them: something else may be wrong."""
    rest = kinds[1:]
    some = (x for count in range(len(rest) + 1) for x in itertools.combinations(rest, count))
    return [(kinds[0], *x) for x in some]


def _part(series: Sequence[Series], kinds: tuple[int, ...]) -> list[Series]:
    rows = [series[0].kinds.index(order) for order in kinds]
    return [Series(x.t, kinds, x.x[rows]) for x in series]


def _score(choice: Choice) -> float:
    return choice[0].score


def _ranked(
    choices: Sequence[Choice], shorter: Sequence[Choice], survey: Survey
) -> tuple[list[Choice], Doubt]:
    """The best first. Where shorter windows show that what it leaves over is motion, all are rated
    again with the rate at which that changes."""
    motion, turns = np.zeros((2, len(survey.spread))), np.zeros(len(survey.spread), bool)
    while True:
        ranked = sorted(((rated(x, survey, motion), own) for x, own in choices), key=_score)
        doubt = doubted(ranked[0], shorter, survey)
        turns = turns | doubt.turns
        new = (doubt.motion[0] > 0) & (motion[0] == 0)
        if not new.any():
            known = (motion[0] > 0) & (ranked[0][0].left > EXPLAINED)
            return ranked, doubt._replace(doubtful=doubt.doubtful | known, turns=turns)
        motion = np.where(new, doubt.motion, motion)


def _limits(series: Sequence[Series], degree: Any, times: Any) -> tuple[list[int], int]:
    """Degrees to try, and the shortest windows or those asked for; errors for what cannot be."""
    degrees = list(DEGREES) if degree is None else [check_count("degree", degree, 2)]
    least = degrees[0] + LEAST
    if times is None:
        length = least + 1 - least % 2
    else:
        length = check_count("times", times, least)
        if length % 2 == 0:
            raise ValueError(
                f"times must be odd, so that a sample stands in the middle, but it is {times}."
            )
    longest = max(len(x.t) for x in series)
    if longest < length:
        raise ValueError(
            f"A window of {length} samples (polynomials of degree {degrees[0]} take {least}) does not "
            f"fit into the longest recording, which has {longest}."
        )
    return degrees, length


def _given(series: Sequence[Series], noise: Any) -> np.ndarray | None:
    if noise is None:
        return None
    kinds, coordinates = series[0].kinds, series[0].x.shape[2]
    given = (noise,) * len(kinds) if np.ndim(noise) == 0 else tuple(noise)
    if len(given) != len(kinds):
        names = ", ".join("qva"[k] for k in kinds)
        raise ValueError(
            f"noise must be one number or one for each of {names}, which these tracks hold, but it "
            f"is {noise!r}."
        )
    return np.outer([check_number("noise", x) for x in given], np.ones(coordinates))


def _states(
    recordings, series, best: Trial, survey: Survey
) -> tuple[list[Recording], list[Recording], int]:
    """What was observed, and what polynomials make of it, of recordings that are long enough; and how
    many samples have none."""
    observed, found, short, omitted = [], [], [], 0
    sigma = survey.noise_of(best.kinds)
    for recording, own in zip(recordings, series, strict=True):
        middles = middles_of(own.t, best.times)
        states = np.full((3, len(own.t), own.x.shape[2]), np.nan)
        states[:, middles] = states_at(
            own, middles, best.times, best.degree, sigma, survey.interval
        )
        kept = np.all(np.isfinite(states), axis=(0, 2))
        omitted += len(recording) - int(np.sum(kept))
        if kept.sum() < 2:
            short.append(recording.name)
            continue
        q, v, a = states[:, kept].reshape(3, -1, *recording.q.shape[1:])
        u = None if recording.u is None else recording.u[kept]
        observed.append(recording)
        found.append(Recording(recording.name, recording.t[kept], q.copy(), v.copy(), a.copy(), u))
    if not found:
        raise ValueError(
            f"Fewer than two samples of every recording stand in the middle of {best.times} others. "
            "Recordings must be longer, or windows shorter: times=."
        )
    if short:
        warnings.warn(
            f"{len(short)} of {len(recordings)} recordings are left out, since they are too short for "
            f"windows of {best.times} times: {short!r:.200}. Shorter windows keep them: times=.",
            stacklevel=4,
        )
    return observed, found, omitted


def _row(trial: Trial) -> str:
    noise, truncation = (np.sqrt(np.mean(x[2] ** 2)) for x in (trial.noise, trial.truncation))
    names = ", ".join("qva"[k] for k in trial.kinds)
    return (
        f"degree {trial.degree}, {trial.times} times of {names}: error of a "
        f"{np.hypot(noise, truncation):.3g} (noise {noise:.3g}, truncation {truncation:.3g})"
    )
