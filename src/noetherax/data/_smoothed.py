"""Recordings with the states and accelerations of the polynomials nearest to what was observed."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, final

import numpy as np
from jaxtyping import Float

from .._checks import check_count, check_number
from ._choice import DEGREES, EXPLAINED, LEAST, Survey, Trial, rated, sampled, surveyed, tried
from ._left_over import Choice, Doubt, doubted
from ._local_fits import Series, middles_of, series_of, states_at
from ._recording import MEMBERS, Recording
from ._times import even_interval, typical_intervals

POOR = 0.5
"""Of the accelerations themselves: an estimated error above tells the reader that they are noise."""

UNLIKE = 3.0
"""Times the shortest of the typical intervals: one number of samples does not suit the longest."""

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
    noise: StateErrors
    error: StateErrors
    trials: tuple[str, ...]
    omitted: int

    def __repr__(self) -> str:
        def largest(errors: StateErrors) -> str:
            known = {name: x for name, x in errors._asdict().items() if x is not None}
            return ", ".join(f"{name} {np.max(x):.2g}" for name, x in known.items())

        return (
            f"Smoothing(degree {self.degree}, {self.times} times; noise {largest(self.noise)}; "
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
    _warn_of_intervals(series)
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
    best, own = choices[0]
    found, omitted = _states(recordings, own, best, survey)
    _warn(found, best, kinds, doubt)
    sigma = dict(zip(kinds, survey.noise, strict=True)) | dict(
        zip(best.kinds, best.sigma, strict=True)
    )
    rows = {k: x.reshape(shape) for k, x in sigma.items()}
    return found, Smoothing(
        best.degree,
        best.times,
        StateErrors(rows[0], rows.get(1), rows.get(2)),
        StateErrors(*(x.reshape(shape) for x in best.error)),
        tuple(_row(trial) for trial, _ in choices),
        omitted,
    )


def _trials(
    series: Sequence[Series], lengths: Sequence[int], degrees: Sequence[int], survey: Survey
) -> list[Choice]:
    """Every degree and length, of positions alone and of all that is observed."""
    kinds = series[0].kinds
    alone = [Series(x.t, (0,), x.x[:1]) for x in series]
    choices: list[Choice] = []
    for n in lengths:
        top = degrees[-1] + 2
        first = sampled(alone, n, top, survey)
        second = sampled(series, n, top, survey) if len(kinds) > 1 else None
        for d in degrees:
            trial = tried(first, d, survey) if n >= d + LEAST else None
            if trial is not None:
                choices.append((trial, alone))
                both = tried(second, d, survey, trial) if second is not None else None
                choices += [(both, series)] if both is not None else []
    return choices


def _score(choice: Choice) -> float:
    return choice[0].score


def _ranked(
    choices: Sequence[Choice], shorter: Sequence[Choice], survey: Survey
) -> tuple[list[Choice], Doubt]:
    """The best first. Where shorter windows show that what it leaves over is motion, all are rated
    again with the rate at which that changes."""
    motion = np.zeros((2, len(survey.spread)))
    while True:
        ranked = sorted(((rated(x, survey, motion), own) for x, own in choices), key=_score)
        doubt = doubted(ranked[0], shorter, survey)
        new = (doubt.motion[0] > 0) & (motion[0] == 0)
        if not new.any():
            known = (motion[0] > 0) & (ranked[0][0].left > EXPLAINED)
            return ranked, doubt._replace(doubtful=doubt.doubtful | known)
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


def _states(recordings, series, best: Trial, survey: Survey) -> tuple[list[Recording], int]:
    found, short, omitted = [], [], 0
    sigma = survey.noise[: len(best.kinds)]
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
    return found, omitted


def _warn(found: Sequence[Recording], best: Trial, kinds: Sequence[int], doubt: Doubt) -> None:
    """Of observations that were not used, of accelerations that are noise, of lost motion."""
    if len(best.kinds) < len(kinds):
        names = " and ".join(MEMBERS["qva"[k]] for k in kinds[1:])
        warnings.warn(
            f"Recorded {names} were not used: with them the estimated error of the acceleration would "
            "be larger than from positions alone. They are not the derivatives of the positions within "
            "their noise; look at their units, and how they were measured.",
            stacklevel=4,
        )
    if doubt.doubtful.any():
        k = int(np.argmax(np.where(doubt.doubtful, doubt.difference / best.unit[0], -1.0)))
        noise, left = best.unit[0, k] * np.sqrt([1, best.left[k]])
        warnings.warn(
            f"Windows of {best.times} times leave {left:.3g} of coordinate {k} over, beside noise of "
            f"{noise:.3g} that shorter ones leave. It may be motion: windows of {doubt.times[k]} times "
            f"find accelerations that are different by {doubt.difference[k]:.3g}, within "
            f"{doubt.within[k]:.2g}; the estimated error here is {best.error[2, k]:.2g}. If it is "
            f"motion, use times={doubt.times[k]}; if it is noise that is not independent between "
            f"samples, say so: noise={left:.2g}.",
            stacklevel=4,
        )
        return
    a = np.concatenate([x.a.reshape(len(x), -1) for x in found if x.a is not None])
    size, error = np.sqrt(np.mean(a**2)), np.sqrt(np.mean(best.error[2] ** 2))
    if error > POOR * size > 0:
        warnings.warn(
            f"Smoothed accelerations are of size {size:.3g}, but their estimated error is {error:.3g}: "
            "they are mostly noise, or the motion changes faster than samples follow each other. "
            "Longer or more finely sampled recordings help, or noetherax.TrajectoryLoss, which "
            "needs no accelerations.",
            stacklevel=4,
        )


def _warn_of_intervals(series: Sequence[Series]) -> None:
    low, high = typical_intervals([x.t for x in series])
    if high > UNLIKE * low:
        warnings.warn(
            f"Samples follow each other at intervals of {low:.3g} in some places and of {high:.3g} in "
            "others, and windows have the same number of samples everywhere: they are too short there, "
            "or too long here. Smooth recordings of unlike intervals apart, each by its own "
            "Tracks.smooth, and divide one whose interval changes.",
            stacklevel=4,
        )


def _row(trial: Trial) -> str:
    noise, truncation = (np.sqrt(np.mean(x[2] ** 2)) for x in (trial.noise, trial.truncation))
    names = ", ".join("qva"[k] for k in trial.kinds)
    return (
        f"degree {trial.degree}, {trial.times} times of {names}: error of a "
        f"{np.hypot(noise, truncation):.3g} (noise {noise:.3g}, truncation {truncation:.3g})"
    )
