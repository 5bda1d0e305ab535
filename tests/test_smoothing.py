"""Smoothing windows: exact on polynomials, best among unbiased rules, and no further."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import compiled
from scipy.signal import butter, lfilter, savgol_coeffs

import noetherax as nx
from noetherax.data._choice import surveyed
from noetherax.data._local_fits import Series

H, TIMES, DEGREE = 0.1, 15, 4
PLACES = (-1.0, 0.0, 0.4)
OBSERVED = {"q": (0,), "q, v": (0, 1), "q, a": (0, 2), "q, v, a": (0, 1, 2)}
ROUNDING = 1e-10  # float64, with curvatures a thousand times as uncertain as values


def polynomials(degree: int, places) -> np.ndarray:
    """Values, slopes and curvatures of two random polynomials of time, `(3, places, 1, 2)`."""
    half = (TIMES - 1) / 2 * H
    curves = [
        np.polynomial.Polynomial(row)
        for row in np.random.default_rng(0).normal(size=(2, degree + 1))
    ]
    at = half * np.asarray(places)
    orders = [[curve.deriv(order)(at) for curve in curves] for order in range(3)]
    return np.moveaxis(np.array(orders), 1, 2)[:, :, None]


def windows(degree: int, kinds) -> nx.Windows:
    exact = polynomials(degree, np.linspace(-1, 1, TIMES))[:, None]
    return nx.Windows(*(jnp.asarray(exact[k]) if k in kinds else None for k in range(3)))


def smooth(batch, **options):
    options = dict(interval=H, degree=DEGREE, places=PLACES) | options
    return nx.smooth(batch, **options)


@pytest.mark.parametrize("observed", OBSERVED)
def test_polynomials_are_left_as_they_are(observed):
    kinds = OBSERVED[observed]
    exact = polynomials(DEGREE, PLACES)
    assert np.allclose(smooth(windows(DEGREE, kinds)), exact, atol=ROUNDING)
    # Negative control: one degree more is not followed.
    wrong = np.abs(smooth(windows(DEGREE + 1, kinds)) - polynomials(DEGREE + 1, PLACES))
    assert np.all(wrong.max(axis=(1, 2, 3)) > 1e3 * ROUNDING)


def test_positions_alone_are_filtered_as_by_savitzky_and_golay():
    q = jnp.asarray(np.random.default_rng(0).normal(size=(3, TIMES, 2, 2)))
    ours = smooth(nx.Windows(q), places=(0.0,))
    for order, values in enumerate(ours):
        weights = savgol_coeffs(TIMES, DEGREE, deriv=order, delta=H, use="dot")
        assert np.allclose(values, np.einsum("t,wtpd->wpd", weights, q), atol=ROUNDING)


def gains(**options) -> np.ndarray:
    """Noise of q, v and a in the middle of a window, for noise of one in every observation."""
    observed = options.pop("observed", (0, 1, 2))
    sigma = options.pop("sigma", np.ones(3))
    units = sigma[list(observed)][:, None, None] * np.eye(len(observed) * TIMES).reshape(
        len(observed) * TIMES, len(observed), TIMES
    ).transpose(1, 0, 2)
    kinds = dict(zip(observed, units[..., None, None], strict=True))
    batch = nx.Windows(*(jnp.asarray(kinds[k]) if k in kinds else None for k in range(3)))
    return np.linalg.norm(np.array(smooth(batch, places=(0.0,), **options)), axis=1)[:, 0, 0]


def test_what_more_is_observed_lowers_the_noise():
    alone, two, three = (gains(observed=kinds) for kinds in ((0,), (0, 1), (0, 1, 2)))
    assert np.all(three <= two + ROUNDING)
    assert np.all(two <= alone + ROUNDING)
    assert three[2] < 0.1 * alone[2]
    # Independent noise of many windows has the size that the weights say.
    noise = jax.random.normal(jax.random.key(1), (3, 20_000, TIMES, 1, 1))
    sizes = np.std(np.array(smooth(nx.Windows(*noise), places=(0.0,))), axis=1)[:, 0, 0]
    assert np.allclose(sizes, three, rtol=0.03)


def test_observations_count_by_their_noise():
    sigma = np.array([1.0, 0.1, 10.0])
    best, plain = gains(sigma=sigma, noise=tuple(sigma)), gains(sigma=sigma)
    assert np.all(best <= plain + ROUNDING)
    assert np.any(best < 0.5 * plain)
    assert np.allclose(gains(noise=(2.0, 2.0, 2.0)), gains())


def test_places_of_a_window_are_next_to_each_other():
    batch = nx.Windows(jnp.asarray(np.random.default_rng(2).normal(size=(4, TIMES, 2, 3))))
    together = smooth(batch)
    assert together.q.shape == (12, 2, 3)
    each = [smooth(nx.Windows(np.asarray(batch.q)[w : w + 1])) for w in range(4)]
    assert np.allclose(together.a, np.concatenate([x.a for x in each]), atol=ROUNDING)


def test_a_coordinate_far_from_zero_keeps_its_digits():
    """A clock that has run to a thousand: float32 rounds it to 6e-5, and no more may be lost."""
    ts = (1000 + H * np.arange(TIMES)).astype(np.float32)[None, :, None, None]
    one, zero = jnp.ones_like(ts), jnp.zeros_like(ts)
    q, v, a = jax.jit(smooth)(nx.Windows(jnp.asarray(ts), one, zero))
    assert q.dtype == a.dtype == jnp.float32
    assert np.allclose(q[:, 0, 0], 1000 + (TIMES - 1) / 2 * H * (1 + np.array(PLACES)), atol=1e-4)
    assert np.allclose(v, 1, atol=1e-3)
    assert np.allclose(a, 0, atol=1e-3)


def test_smoothed_observations_are_those_of_the_law():
    system = nx.systems.Schwarzschild()
    draw = system.windows(times=41, batch_size=64, velocities=True, accelerations=True)
    exact = system.windows(times=41, batch_size=64, noise=0.0, velocities=True, accelerations=True)
    key = jax.random.key(3)
    observed, truth = (compiled(x, key) for x in (draw, exact))
    smoothed = nx.smooth(observed, interval=0.1, degree=8)
    noisy, clean = (nx.smooth(truth, interval=0.1, degree=d) for d in (2, 8))
    a = nx.acceleration(system.lagrangian, clean.q, clean.v)
    assert np.allclose(clean.a, a, atol=1e-6)
    assert not np.allclose(noisy.a, a, atol=1e-4)  # negative control: a parabola does not follow
    pairs = zip(smoothed, clean, strict=True)
    sizes = [np.std(np.asarray(x) - np.asarray(y)) for x, y in pairs]
    assert all(size < 0.4e-3 for size in sizes)


Q = np.zeros((2, TIMES, 1, 3))
MISTAKES = {
    "degree": ((Q,), {"degree": 1}, ValueError, "degree must be an integer of at least 2.* 1"),
    "too many": ((Q,), {"degree": 15}, ValueError, "16 coefficients.* 15 times determine 15"),
    "places": ((Q,), {"places": (0.0, 1.5)}, ValueError, "places must be numbers from -1 to 1"),
    "no places": ((Q,), {"places": ()}, ValueError, "places must be numbers from -1 to 1"),
    "noise": ((Q, Q), {"noise": (1.0, 0.0)}, ValueError, "noise must be positive"),
    "few noises": ((Q, Q, Q), {"noise": (1.0, 1.0)}, ValueError, r"\(σ_q, σ_v, σ_a\)"),
    "interval": ((Q,), {"interval": -1.0}, ValueError, "interval must be a positive"),
    "no windows": ((Q[0],), {}, ValueError, "q must have shape"),
    "shapes": ((Q, Q, Q[:1]), {}, ValueError, "q and a must have the same shape"),
    "four": ((Q, Q, Q, Q), {}, TypeError, "tuple of 4 items"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_named(name):
    batch, options, error, message = MISTAKES[name]
    with pytest.raises(error, match=message):
        smooth(batch, **options)


MODE = 25.0
"""Rate of the fast mode of two tethered masses that a stiff spring joins; that of the slow one is 1."""
NOISE = 1e-3
HONEST = 2.0
"""Between an estimate of an error and the error."""


def two_masses(amplitude, interval=0.01, coordinates=2, times=2000, noise=NOISE):
    """Tracks, and the true acceleration of what is kept of them."""
    rng = np.random.default_rng(0)
    t = interval * np.arange(times)
    signs = np.array([1.0, -1.0])[:, None]
    sizes = amplitude * signs * (np.arange(2) < coordinates)[:, None]

    def motion(t, order):
        slow, fast = np.cos(t)[:, None, None], np.cos(MODE * t)[:, None, None]
        return slow + sizes * fast if order == 0 else -slow - MODE**2 * sizes * fast

    q = motion(t, 0) + noise * rng.normal(size=(times, 2, 1))
    return nx.Tracks([t, t], [q, q[::-1]]), motion


def error_and_estimate(smoothed, motion):
    first = smoothed[0]  # the second one is the first, backwards
    off = np.sqrt(np.mean(np.square(first.a - motion(first.t, 2))))
    return off, np.sqrt(np.mean(np.square(smoothed.smoothing.error.a)))


@pytest.mark.parametrize("given", [{}, {"noise": NOISE}], ids=["found", "given"])
@pytest.mark.parametrize(
    ("amplitude", "per_period"), [(1e-2, 25), (3e-3, 25), (1e-1, 25), (1e-2, 8)]
)
def test_a_fast_mode_is_no_noise(amplitude, per_period, given):
    tracks, motion = two_masses(amplitude, 2 * np.pi / MODE / per_period)
    error, estimate = error_and_estimate(tracks.smooth(**given), motion)
    size = amplitude * MODE**2 / np.sqrt(2)
    assert error < size / 3
    assert 1 / HONEST < estimate / error < HONEST
    # Negative control: windows that leave it over lose it, and say so.
    if per_period == 25:
        with pytest.warns(UserWarning, match=r"may be motion.*use times="):
            lost = tracks.smooth(times=501, **given)
        error, estimate = error_and_estimate(lost, motion)
        assert error > 0.9 * size
        assert estimate > error / HONEST


def test_a_fast_mode_of_one_coordinate_or_without_noise():
    for options in ({"coordinates": 1}, {"noise": 0.0, "interval": 2 * np.pi / MODE / 8}):
        tracks, motion = two_masses(1e-2, **options)
        error, estimate = error_and_estimate(tracks.smooth(), motion)
        assert error < 0.5
        assert 1 / HONEST < estimate / error < HONEST
    tracks, motion = two_masses(0.0)  # control: without the mode windows are long
    smoothed = tracks.smooth()
    assert smoothed.smoothing.times > 500
    assert error_and_estimate(smoothed, motion)[0] < 1e-3


@pytest.mark.parametrize("memory", [0.9, 0.99])
def test_noise_that_is_not_independent_is_no_mode(memory):
    """Of an autoregressive kind, as large as the mode above, without a word."""
    t = 0.01 * np.arange(2000)
    fresh = 1e-2 * np.sqrt(1 - memory**2) * np.random.default_rng(0).normal(size=2000)
    noise = np.array([fresh[: k + 1] @ memory ** np.arange(k, -1, -1.0) for k in range(2000)])
    smoothed = nx.Tracks(t, (np.cos(t) + noise)[:, None, None]).smooth()
    assert smoothed.smoothing.times > 500
    a = smoothed[0].a[:, 0, 0]
    assert np.sqrt(np.mean(np.square(a + np.cos(smoothed[0].t)))) < 0.05


def test_smooth_noise_may_be_motion():
    """Of a device that filters its output: resolved by short windows, but it does not oscillate."""
    t = 0.01 * np.arange(2000)
    noise = lfilter(*butter(2, 0.1), np.random.default_rng(0).normal(size=2200))
    q = np.cos(t) + 1e-2 * (noise / noise.std())[200:]
    with pytest.warns(UserWarning, match="may be motion.*noise that is not independent"):
        smoothed = nx.Tracks(t, q[:, None, None]).smooth()
    assert smoothed.smoothing.times > 500


def test_unlike_intervals_are_said():
    def recording(interval, times):
        t = interval * np.arange(times)
        noise = NOISE * np.random.default_rng(times).normal(size=times)
        return t, (np.cos(t) + noise)[:, None, None]

    fine, coarse = recording(0.01, 1200), recording(0.2, 200)
    with pytest.warns(UserWarning, match=r"intervals of 0\.01 .* of 0\.2 .*apart"):
        nx.Tracks(*zip(fine, coarse, strict=True)).smooth()
    for alone in (fine, coarse):  # negative control: warnings are errors
        nx.Tracks(*alone).smooth()


def on_an_orbit(eccentricity, t, order=0):
    """Positions on a Kepler orbit of period 2π, or velocities or accelerations."""
    mean = np.mod(t + np.pi, 2 * np.pi) - np.pi
    low, high = mean - eccentricity, mean + eccentricity
    for _ in range(60):  # halves the interval that holds E − e sin E = M
        middle = (low + high) / 2
        below = middle - eccentricity * np.sin(middle) < mean
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    narrow = np.sqrt(1 - eccentricity**2)
    q = np.stack([np.cos(middle) - eccentricity, narrow * np.sin(middle)], axis=-1)
    r = np.linalg.norm(q, axis=-1, keepdims=True)
    v = np.stack([-np.sin(middle), narrow * np.cos(middle)], axis=-1) / r
    return (q, v, -q / r**3)[order][:, None]


def orbit(eccentricity, per_period, noise, kinds=1):
    """Tracks with some of q, v and a, each with that noise."""
    t = 0.1 + 2 * np.pi / per_period * np.arange(500)
    rng = np.random.default_rng(1)
    exact = [on_an_orbit(eccentricity, t, order) for order in range(kinds)]
    return nx.Tracks(t, *(x + noise * rng.normal(size=x.shape) for x in exact))


TOO_FAST = pytest.mark.filterwarnings("ignore:Smoothed accelerations are of size")


@pytest.mark.parametrize(
    ("eccentricity", "per_period", "noise"),
    [
        (0.3, 60, 1e-3),
        (0.7, 60, 1e-3),
        pytest.param(0.7, 30, 1e-6, marks=TOO_FAST),
        pytest.param(0.8, 45, 1e-3, marks=TOO_FAST),
        pytest.param(0.9, 60, 1e-3, marks=TOO_FAST),
    ],
)
def test_sharp_turns_are_no_noise(eccentricity, per_period, noise):
    smoothed = orbit(eccentricity, per_period, noise).smooth()

    def motion(t, order):
        return on_an_orbit(eccentricity, t, order)

    error, estimate = error_and_estimate(smoothed, motion)
    assert 1 / HONEST < estimate / error < HONEST
    assert np.all(smoothed.smoothing.noise.q < 3 * noise)
    assert np.all(smoothed.smoothing.noise.q > 0.8 * noise)


def test_turns_between_samples_are_said():
    with pytest.warns(UserWarning, match="motion changes faster than samples"):
        orbit(0.9, 60, 1e-3).smooth()


@TOO_FAST
def test_sharp_turns_have_no_unit():
    one = orbit(0.7, 30, 1e-6)
    first = one.smooth().smoothing
    assert f"error of a {np.sqrt(np.mean(first.error.a**2)):.3g}" in first.trials[0]
    for length, time in ((1e-10, 1e-15), (1e10, 1e5)):
        found = nx.Tracks(time * one[0].t, length * one[0].q).smooth().smoothing
        assert found.times == first.times
        assert np.allclose(found.error.a, first.error.a * length / time**2, rtol=1e-3)
        assert np.allclose(found.noise.q, first.noise.q * length, rtol=1e-3)


def test_recordings_of_unlike_noise_have_no_turns():
    """Noise that is not independent in time, ten times larger in one recording of five."""
    t = 0.01 * np.arange(2000)
    noise = [
        size * lfilter([1 - 0.9**2], [1, -0.9], np.random.default_rng(k).normal(size=2000))
        for k, size in enumerate((1e-3, 1e-3, 1e-3, 1e-3, 1e-2))
    ]
    tracks = nx.Tracks([t] * 5, [(np.cos(t) + x)[:, None, None] for x in noise])
    assert tracks.smooth().smoothing.times > 300


def test_what_stands_still_most_of_the_time_tells_its_noise():
    """Read in steps of a camera's pixels, of which most short windows see one."""
    t = 0.01 * np.arange(2000)
    q = 0.03 * np.round(np.exp(-0.25 * t) * np.cos(3 * t) / 0.03)
    survey = surveyed([Series(t, (0,), q[None, :, None])], 0.01, None)
    assert survey.quiet == survey.noise > 1e-3


def test_velocities_help_at_sharp_turns():
    both, alone = (orbit(0.5, 60, 1e-3, kinds).smooth() for kinds in (2, 1))
    assert both.smoothing.used == ("q", "v")
    assert np.all(both.smoothing.error.a < 0.5 * alone.smoothing.error.a)
    assert np.allclose(both.smoothing.noise.v, 1e-3, rtol=0.2)


@pytest.mark.parametrize("per_period", [31, 126])
def test_what_long_windows_cut_off_a_smooth_motion_is_no_noise(per_period):
    """They suit a coordinate with more noise."""
    t = 2 * np.pi / per_period * np.arange(800)
    noise = np.array([1e-2, 1e-6])
    q = np.cos(t)[:, None] + noise * np.random.default_rng(0).normal(size=(800, 2))
    smoothed = nx.Tracks(t, q[:, None]).smooth()
    assert np.allclose(smoothed.smoothing.noise.q, noise, rtol=0.1)
