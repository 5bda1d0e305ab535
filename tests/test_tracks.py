"""Tracks: what was recorded arrives whole, mistakes are named, and smoothing is judged by the truth."""

import pickle
import warnings
from datetime import datetime

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import noetherax as nx
from noetherax.data import check_timed_windows

T = 0.1 * np.arange(30)
X = np.sin(T)
Q = X[:, None, None]
ANGLE = (3 * T + np.pi) % (2 * np.pi) - np.pi  # leaves the circle's end once
DAYS = np.datetime64("2020-01-01") + np.arange(30) * np.timedelta64(100, "ms")


def motion(t):
    """Two coordinates of unlike frequency, and their accelerations."""
    phase = np.outer(t, [1.0, 2.3])
    q = np.cos(phase - [0.0, np.pi / 2])[:, None]
    return q, -np.square([1.0, 2.3]) * q


def recorded(t, noise=1e-2, seed=0, **options):
    q, _ = motion(t)
    return nx.Tracks(t, q + noise * np.random.default_rng(seed).normal(size=q.shape), **options)


def irregular(samples, span, seed):
    return np.sort(np.random.default_rng(seed).uniform(0, span, samples))


class Frame:
    """Named columns that know nothing but to become arrays, as those of data frames."""

    def __init__(self, columns):
        self.columns = columns

    def keys(self):
        return self.columns.keys()

    def __getitem__(self, name):
        return np.asarray(self.columns[name])


TABLE = {"t": np.tile(T[:15], 2), "x": X, "y": -X, "run": ["a"] * 15 + ["b"] * 15}
STRUCTURED = np.array(
    list(zip(*TABLE.values(), strict=True)),
    dtype=[("t", float), ("x", float), ("y", float), ("run", "U1")],
)


@pytest.mark.parametrize("table", [TABLE, Frame(TABLE), STRUCTURED], ids=["dict", "frame", "array"])
def test_a_table_becomes_recordings(table):
    names = dict(time="t", position=[["x", "y"]])
    tracks = nx.Tracks.from_table(table, recording="run", **names)
    assert [recording.name for recording in tracks] == ["a", "b"]
    assert (tracks.points, tracks.space, len(tracks)) == (1, 2, 2)
    assert np.array_equal(tracks[1].t, T[:15])
    assert np.array_equal(tracks[1].q[:, 0], np.stack([X, -X], -1)[15:])
    two = nx.Tracks.from_table(table, time="t", position=[["x"], ["y"]], recording="run")
    assert (two.points, two.space) == (2, 1)


def test_rows_of_recordings_may_be_mixed():
    order = np.argsort(np.tile(np.arange(15), 2), kind="stable")  # a, b, a, b, ...
    mixed = {name: np.asarray(column)[order] for name, column in TABLE.items()}
    tracks = nx.Tracks.from_table(mixed, time="t", position=[["x", "y"]], recording="run")
    assert np.array_equal(tracks[1].q[:, 0, 0], X[15:])
    with pytest.raises(ValueError, match=r"recording 0 must increase, but 15.*row 1 0.0"):
        nx.Tracks.from_table(mixed, time="t", position=[["x", "y"]])


def test_a_file_becomes_recordings(tmp_path):
    file = tmp_path / "first.csv"
    lines = [
        "# camera 2",
        "t, x, y, run",
        *(f"{0.1 * k:.1f}, {k}, {-k}, {k // 5}" for k in range(10)),
    ]
    file.write_text("\n".join(lines))
    names = dict(time="t", position=[["x", "y"]])
    tracks = nx.Tracks.from_csv(file, recording="run", **names)
    assert [recording.name for recording in tracks] == ["0", "1"]
    assert np.array_equal(tracks[1].q[:, 0, 0], np.arange(5.0, 10.0))
    (tmp_path / "second.csv").write_text("\n".join(lines[1:]))
    both = nx.Tracks.from_csv([file, tmp_path / "second.csv"], **names)
    assert [recording.name for recording in both] == ["first", "second"]
    file.write_text("\n".join(lines).replace("3, -3", "three, -3").replace("4, -4", ", -4"))
    with pytest.raises(TypeError, match="column 'x', line 6 must be a number, but it is 'three'"):
        nx.Tracks.from_csv(file, **names)
    file.write_text("\n".join(lines).replace("4, -4", ", -4"))
    with pytest.raises(ValueError, match="1 of 10 values are missing.* column 'x', line 7"):
        nx.Tracks.from_csv(file, **names)
    file.write_text("t;x\n0;1\n1;2")
    with pytest.raises(ValueError, match="Give delimiter=';'"):
        nx.Tracks.from_csv(file, **names)
    dates = ["2024-05-01T12:00:00Z", "2024-05-01T12:00:00.5Z", "2024-05-01T12:00:01.0Z"]
    file.write_text("\n".join(["t,x,y", *(f"{date},1,2" for date in dates)]))
    assert np.array_equal(nx.Tracks.from_csv(file, **names)[0].t, [0.0, 0.5, 1.0])


def test_numbers_of_any_kind_become_float64():
    whole = nx.Tracks(np.arange(30), np.arange(30)[:, None, None])
    assert whole[0].q.dtype == whole[0].t.dtype == np.float64
    for q in (Q.astype(object), Q.tolist(), jnp.asarray(Q)):
        assert np.array_equal(nx.Tracks(T, q)[0].q, Q)
    assert np.allclose(nx.Tracks(DAYS, Q)[0].t, T, atol=1e-15)
    assert nx.Tracks(DAYS - DAYS[0], Q).interval == pytest.approx(0.1)
    assert nx.Tracks([T, T[:9]], [Q, Q[:9]])[1].q.shape == (9, 1, 1)
    stacked = nx.Tracks(np.stack([T, T]), np.stack([Q, Q]), velocities=[Q, Q])
    assert len(stacked) == 2


def test_tracks_do_not_change():
    given = np.array(Q)
    tracks = nx.Tracks(T, given)
    given[:] = 7.0
    assert np.array_equal(tracks[0].q, Q)
    with pytest.raises(ValueError, match="read-only"):
        tracks[0].q[0] = 1.0
    with pytest.raises(AttributeError):
        tracks.recordings = ()  # pyright: ignore[reportAttributeAccessIssue]
    assert repr(pickle.loads(pickle.dumps(tracks))) == repr(tracks)


def table(**columns):
    return lambda: nx.Tracks.from_table(
        TABLE | columns, time="t", position=[["x"]], recording="run"
    )


def named(**names):
    return lambda: nx.Tracks.from_table(TABLE, **(dict(time="t", position=[["x"]]) | names))


BAD = np.where(np.arange(30) == 17, np.nan, X)
MISTAKES = {
    "one number": (lambda: nx.Tracks(1.0, Q), ValueError, "times must be an array"),
    "nothing": (lambda: nx.Tracks([], []), ValueError, "has 0 samples"),
    "one sample": (lambda: nx.Tracks(T[:1], Q[:1]), ValueError, "has 1 sample, but .* two"),
    "no point": (lambda: nx.Tracks(T, Q[:, 0]), ValueError, r"\(30, 1\).*array\[:, None, :\]"),
    "flat": (lambda: nx.Tracks(T, X), ValueError, r"array\[:, None, None\]"),
    "lengths": (lambda: nx.Tracks(T, Q[:9]), ValueError, "have 9 samples, but its times are 30"),
    "ragged": (lambda: nx.Tracks([0, 1], [[[1.0]], [[1.0, 2.0]]]), ValueError, "equally long"),
    "missing": (lambda: nx.Tracks(T, BAD[:, None, None]), ValueError, r"1 of 30 .* sample 17"),
    "masked": (lambda: nx.Tracks(T, np.ma.masked_greater(Q, 0.9)), ValueError, "9 of 30 values"),
    "texts": (lambda: nx.Tracks(T, Q.astype(str)), TypeError, "must be a number, but it is '0.0'"),
    "complex": (lambda: nx.Tracks(T, Q + 0j), TypeError, "real numbers, but they are complex"),
    "truth": (lambda: nx.Tracks(T, Q > 0), TypeError, "truth values. Give numbers"),
    "dates": (lambda: nx.Tracks(T, DAYS[:, None, None]), TypeError, "but they are dates"),
    "backwards": (lambda: nx.Tracks(-T, Q), ValueError, "must increase, but 29 do not.*order"),
    "twice": (lambda: nx.Tracks(np.minimum(T, 2.8), Q), ValueError, "sample 29 2.8.*same time"),
    "some v": (lambda: nx.Tracks([T, T], [Q, Q], [Q, None]), ValueError, r"all .* none: \[1\]"),
    "one v": (lambda: nx.Tracks([T, T], [Q, Q], Q), ValueError, "velocities must be a list of"),
    "spaces": (
        lambda: nx.Tracks([T, T], [Q, Q.reshape(15, 1, 2).repeat(2, 0)]),
        ValueError,
        "same",
    ),
    "v": (lambda: nx.Tracks(T, Q, Q.repeat(2, 1)), ValueError, "shape of its positions"),
    "u": (lambda: nx.Tracks(T, Q, inputs=X), ValueError, r"One input is array\[:, None\]"),
    "names": (lambda: nx.Tracks([T, T], [Q, Q], names=["a", "a"]), ValueError, "tell .* apart"),
    "periods": (lambda: nx.Tracks(T, Q, periods=6.28), ValueError, r"\(points, space\) = \(1, 1\)"),
    "cell": (table(x=BAD), ValueError, "column 'x', row 17 of recording 'b'"),
    "text": (table(x=[*X[:-1], "oops"]), TypeError, "row 0 .* '0.0'|row 29 .* 'oops'"),
    "column": (table(x=X[:3]), ValueError, "'t' has 30 rows and 'x' 3"),
    "no label": (table(run=[None] * 30), ValueError, "tells recordings apart, is empty in row 0"),
    "no column": (
        named(time="time"),
        ValueError,
        r"no column 'time', but \['t', 'x', 'y', 'run'\]",
    ),
    "near": (named(position=[["xx"]]), ValueError, "Did you mean 'x'"),
    "same column": (named(position=[["x", "x"]]), ValueError, "'x' is named twice"),
    "unequal": (named(position=[["x"], ["x", "y"]]), ValueError, r"as many columns.*\[1, 2\]"),
    "few v": (named(velocity=[["y", "run"]]), ValueError, "a column for every one of position"),
    "period": (named(recording="run", periods={"z": 1.0}), ValueError, "'z', which is no column"),
    "flat names": (named(position=["x"]), TypeError, r"\[\['x', 'y'\]\] for one point"),
    "no table": (
        lambda: nx.Tracks.from_table(np.zeros((3, 3)), time="t", position=[["x"]]),
        TypeError,
        "named columns.*Tracks.from_csv",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_named(name):
    call, error, message = MISTAKES[name]
    with pytest.raises(error, match=message):
        call()


def test_angles_go_on():
    for turn in (2 * np.pi, 360.0):
        wrapped = ANGLE[:, None, None] * turn / (2 * np.pi)
        whole = nx.Tracks(T, wrapped, periods=nx.periods(nx.Periodic(1, period=turn)))
        assert np.allclose(whole[0].q[:, 0, 0], 3 * T * turn / (2 * np.pi))
        with pytest.warns(UserWarning, match="jumps by nearly (2π|360), first .* at sample 10"):
            nx.Tracks(T, wrapped)
        nx.Tracks(T, wrapped, periods=[[np.inf]])  # declared to be no angle: silent
    columns = {"t": T, "phi": ANGLE, "x": X}
    names = dict(time="t", position=[["x", "phi"]])
    with pytest.warns(UserWarning, match="Column 'phi' of recording 0 .* at row 10"):
        nx.Tracks.from_table(columns, **names)
    both = nx.Tracks.from_table(columns, periods={"phi": 2 * np.pi}, **names)
    assert np.allclose(both[0].q[:, 0], np.stack([X, 3 * T], -1))
    with pytest.warns(UserWarning, match="0.48 of its period"):
        nx.Tracks(T, ANGLE[:, None, None] * 10 % (2 * np.pi), periods=[[2 * np.pi]])
    nx.Tracks(T, 7 * Q)  # large steps that are no jumps


SCALES = (1e-10, 1.0, 1e10)


@pytest.mark.parametrize("unit", SCALES)
def test_intervals_are_told_in_any_unit(unit):
    assert nx.Tracks(T * unit, Q).interval == pytest.approx(0.1 * unit)
    jumping = np.where(np.arange(30) < 20, T, T + 0.01)
    assert nx.Tracks(jumping * unit, Q).interval is None


def test_rounded_times_are_regular():
    assert nx.Tracks(2451545.0 + T, Q).interval == pytest.approx(0.1)  # Julian dates
    assert nx.Tracks(1.7e9 + T, Q).interval == pytest.approx(0.1)  # seconds since 1970
    camera = np.arange(1, 31) / 29.97
    assert nx.Tracks(np.round(camera, 3), Q).interval == pytest.approx(1 / 29.97, rel=1e-3)
    single = np.linspace(0, 20, 801, dtype=np.float32)
    assert nx.Tracks(single, np.zeros((801, 1, 1))).interval == pytest.approx(0.025)
    # Negative controls: decimals that are large beside the interval, and none.
    assert nx.Tracks(np.round(1.5 * np.arange(30)), Q).interval is None
    assert nx.Tracks(camera + 5e-4 * np.sin(9 * camera), Q).interval is None
    assert nx.Tracks([T, 2 * T], [Q, Q]).interval is None


def test_windows_hold_every_sample():
    tracks = nx.Tracks([T, T[:5], T[:11]], [Q, Q[:5], Q[:11]], [-Q, -Q[:5], -Q[:11]])
    with pytest.warns(UserWarning, match=r"1 of 3 recordings .* 7 samples .*\[1\]"):
        windows = tracks.windows(7)
    assert isinstance(windows, nx.Windows)
    assert windows.a is None
    assert windows.q.dtype == jnp.result_type(float)
    assert np.array_equal(windows.q, -windows.v)
    assert set(np.ravel(windows.q)) == set(Q.ravel())
    assert tracks.windows(5, stride=1).q.shape == (26 + 1 + 7, 5, 1, 1)
    uneven = nx.Tracks(2451545.0 + T**2, Q).windows(7)
    assert isinstance(uneven, nx.TimedWindows)
    assert np.allclose(uneven.t[1], T[3:10] ** 2 - T[3] ** 2, atol=1e-8)
    assert np.all(uneven.t[:, 0] == 0)
    with pytest.raises(TypeError, match="these carry times of their own"):
        nx.smooth(uneven, interval=0.1, degree=2)
    with pytest.raises(ValueError, match="No recording has the 31 samples"):
        tracks.windows(31)
    with pytest.raises(ValueError, match="times must be an integer of at least 3"):
        tracks.windows(2)


def test_windows_with_times_are_checked():
    t, q = np.zeros((2, 5)), np.zeros((2, 5, 1, 3))
    assert check_timed_windows((t, q, q)).a is None
    for batch, error, message in (
        ((t[:1], q), ValueError, r"t must have shape \(windows, times\), \(2, 5\)"),
        ((t, q, q[:1]), ValueError, "q and v must have the same shape"),
        ((t,), TypeError, "tuple of 1 items"),
    ):
        with pytest.raises(error, match=message):
            check_timed_windows(batch)


def test_what_a_precision_cannot_hold_is_said():
    """Map coordinates in metres, whose float32 has steps of half a metre; and none that it has."""
    with jax.enable_x64(False):
        with pytest.warns(UserWarning, match=r"coordinate 0, spread by .* rounds them by 0\.5"):
            nx.Tracks(T, 4.5e6 + Q).windows(5)
        with pytest.raises(ValueError, match="1e-50, which float32 cannot hold"):
            nx.Tracks(T, 1e-50 * Q / np.abs(Q).max()).windows(5)
    assert nx.Tracks(T, 4.5e6 + Q).windows(5).q.dtype == jnp.float64


def test_times_that_a_precision_rounds_are_told():
    """Seconds since 1970: in float32 a drive would be seen at one time only."""
    stamps = nx.Tracks(1.7e9 + T, Q, Q, Q)
    with jax.enable_x64(False):
        for make in (lambda x: x.observations(timed=True), lambda x: x.windows(5, timed=True)):
            with pytest.warns(
                UserWarning, match=r"Times near 1.7.* are rounded to float32 by up to"
            ):
                make(stamps)
            make(nx.Tracks(T, Q, Q, Q))
        stamps.observations()  # without times
    stamps.observations(timed=True)


def test_dates_of_several_recordings_are_of_one_clock(tmp_path):
    later = DAYS + np.timedelta64(100, "s")
    tracks = nx.Tracks([later, DAYS], [Q, Q])
    assert [x.t[0] for x in tracks] == [100.0, 0.0]
    files = []
    for name, days in (("first", later), ("second", DAYS)):
        files.append(tmp_path / f"{name}.csv")
        rows = (f"{day},{x}" for day, x in zip(days, X, strict=True))
        files[-1].write_text("\n".join(["t,x", *rows]))
    tracks = nx.Tracks.from_csv(files, time="t", position=[["x"]])
    assert [x.t[0] for x in tracks] == [100.0, 0.0]


@pytest.mark.parametrize(
    ("dates", "unit"),
    [
        (["2020-01-01", "2020-02-01", "2020-03-01", "2020-04-01"], "M"),  # not of equal length
        (["1996-01-01", "1997-01-01", "1998-01-01", "2000-01-01"], "Y"),
        (["1600-01-01", "1800-01-01", "2000-01-01", "2200-01-01"], "D"),  # not in nanoseconds
        (["1969-12-31T23:59:59.250", "1970-01-01T00:00:00.750", "2100-01-01"], "ms"),
    ],
)
def test_dates_in_any_unit_are_seconds(tmp_path, dates, unit):
    right = [(datetime.fromisoformat(x) - datetime.fromisoformat(dates[0])) for x in dates]
    right = [x.total_seconds() for x in right]
    q = np.arange(float(len(dates)))[:, None, None]
    given = np.array(dates, f"datetime64[{unit}]")
    assert nx.Tracks(given, q)[0].t.tolist() == right
    # Of recordings as far apart, in units of their own.
    parts = nx.Tracks([given[:2], np.array(dates[-2:], "datetime64[us]")], [q[:2], q[-2:]])
    assert parts[1].t[-1] == right[-1]
    table = tmp_path / "dates.csv"
    rows = (f"{t},{x}" for t, x in zip(dates, q.ravel(), strict=True))
    table.write_text("\n".join(["t,x", *rows]))
    assert nx.Tracks.from_csv(table, time="t", position=[["x"]])[0].t.tolist() == right


def test_dates_that_do_not_fit_are_told(tmp_path):
    table = tmp_path / "dates.csv"
    table.write_text("t,x\n1600-01-01T00:00:00.123456789,0\n1600-01-02,1\n")
    with pytest.raises(ValueError, match="'1600-01-01T00:00:00.123456789' does not fit"):
        nx.Tracks.from_csv(table, time="t", position=[["x"]])
    with pytest.raises(ValueError, match="within .* seconds of 1970"):
        nx.Tracks(np.array([-(10**10), 10**10], "datetime64[Y]"), Q[:2])


@pytest.mark.parametrize("column", ["t", "x", "run"])
def test_what_is_masked_is_missing(column):
    table = {"t": DAYS[:4], "x": X[:4], "run": np.array([0, 0, 1, 1])}
    table[column] = np.ma.array(table[column], mask=[0, 0, 1, 0])
    with pytest.raises(ValueError, match="row 2( of recording 1|[.])"):
        nx.Tracks.from_table(table, time="t", position=[["x"]], recording="run")


@pytest.mark.parametrize(
    ("times", "first", "steps"),
    [
        ([20200130, 20200131, 20200201, 20200202], "2020-01-30", "1, 70, 1"),
        ([20240229, 20240301], "2024-02-29", "72"),
        ([202001302359, 202001310000], "2020-01-30T23:59", "7641"),
        ([20200130235959, 20200131000000], "2020-01-30T23:59:59", "764041"),
    ],
)
def test_digits_that_read_as_dates_are_told(tmp_path, times, first, steps):
    """They may as well be counters, and so are taken as before."""
    file, x = tmp_path / "days.csv", np.arange(float(len(times)))
    file.write_text("\n".join(["t,x", *(f"{t},{k}" for t, k in zip(times, x, strict=True))]))
    message = f"without hyphens, the first, {times[0]}, as {first}, .* steps of {steps}[.]"
    for make in (
        lambda: nx.Tracks.from_csv(file, time="t", position=[["x"]]),
        lambda: nx.Tracks.from_table({"t": times, "x": x}, time="t", position=[["x"]]),
        lambda: nx.Tracks(times, x[:, None, None]),
    ):
        with pytest.warns(UserWarning, match=message) as told:
            tracks = make()
        assert len(told) == 1
        assert np.array_equal(tracks[0].t, times)
    with pytest.warns(UserWarning, match="without hyphens") as told:  # once, not for each of them
        nx.Tracks([times, times], [x[:, None, None]] * 2)
    assert len(told) == 1


def test_counters_are_no_dates():
    """Controls: silent, and never another number of seconds."""
    for first in (20200130, 20230228, 20201301, 20200100, 12000101, 1.7e9, 1.7e12, 202001302359):
        t = first + np.arange(3.0)
        assert np.array_equal(nx.Tracks(t, Q[:3])[0].t, t)
    nx.Tracks([20200130.5, 20200131.5], Q[:2])
    nx.Tracks([[20200130, 20200131], [20200132, 20200133]], [Q[:2], Q[2:4]])


@pytest.mark.parametrize("odd", ["now", "Today", "20200130", "20200130T120000"])
def test_what_is_no_date_is_told(tmp_path, odd):
    """NumPy has "now" and "today" for dates, and 20200130 beside a date for that year."""
    file, names = tmp_path / "odd.csv", dict(time="t", position=[["x"]])
    file.write_text(f"t,x\n2020-01-01,1\n{odd},2\n")
    with pytest.raises(
        TypeError, match="column 't', line 2 must be a number, but it is '2020-01-01'"
    ):
        nx.Tracks.from_csv(file, **names)
    file.write_text("t,x\n2020-01-01,1\n2020-01-31,2\n")  # control
    assert nx.Tracks.from_csv(file, **names)[0].span == 30 * 86400


@pytest.mark.parametrize("missing", ["NaN", "", "n/a", "None"])
def test_what_is_missing_in_a_file_names_no_recording(tmp_path, missing):
    file = tmp_path / "runs.csv"
    names = dict(time="t", position=[["x"]], recording="run")
    file.write_text(f"run,t,x\na,0,1\na,1,2\n{missing},0,3\n{missing},1,4\n")
    with pytest.raises(ValueError, match="'run', which tells recordings apart, is empty in line 4"):
        nx.Tracks.from_csv(file, **names)
    file.write_text("run,t,x\nNantes,0,1\nNantes,1,2\n0,0,3\n0,1,4\n")  # control: names
    assert [x.name for x in nx.Tracks.from_csv(file, **names)] == ["Nantes", "0"]


def test_durations():
    picoseconds = np.array([0, 1500, 3000, 4500], "timedelta64[ps]")
    assert np.allclose(nx.Tracks(picoseconds, Q[:4])[0].t, [0, 1.5e-9, 3e-9, 4.5e-9], rtol=1e-15)
    coarse = np.arange(4).astype("timedelta64[25us]")
    assert np.allclose(nx.Tracks(coarse, Q[:4])[0].t, 25e-6 * np.arange(4), rtol=1e-15)
    for unit, why in (("m8[M]", "months or years"), ("m8", "no unit")):
        with pytest.raises(TypeError, match=f"durations that .*{why}"):
            nx.Tracks(np.arange(4).astype(unit), Q[:4])


def test_observations_need_accelerations():
    q, _, a = nx.Tracks([T, T], [Q, Q], [2 * Q, Q], [3 * Q, Q]).observations()
    assert q.shape == (60, 1, 1)
    assert np.array_equal(a[:30], 3 * Q)
    with pytest.raises(ValueError, match=r"no velocities and no accel.*smooth\(\).observations"):
        nx.Tracks(T, Q).observations()


def test_splits():
    u = np.arange(30.0)[:, None]
    early, late = nx.Tracks([T, T**2], [Q, Q], inputs=[u, u], names="ab").split(0.8)
    assert [len(x) for x in early] == [24, 26]  # by time, not by samples
    for k in range(2):
        assert np.array_equal(np.concatenate([early[k].u, late[k].u]), u)
    many = nx.Tracks([T] * 10, [Q] * 10)
    first, second = many.split(0.7, by="recording")
    assert [x.name for x in second] == [7, 8, 9]
    drawn = many.split(0.7, by="recording", key=jax.random.key(1))
    names = [[x.name for x in part] for part in drawn]
    assert sorted(names[0] + names[1]) == list(range(10))
    assert names[0] != [x.name for x in first]
    for options, message in (
        (dict(fraction=1.0), "above 0 and below 1"),
        (dict(fraction=0.99), "split into 29 and 1"),
        (dict(by="run"), "'time' or 'recording'"),
        (dict(key=jax.random.key(0)), "needs by='recording'"),
    ):
        with pytest.raises(ValueError, match=message):
            many.split(**options)
    with pytest.raises(ValueError, match="There is one recording"):
        nx.Tracks(T, Q).split(by="recording")


def error_of(tracks):
    """Root mean square of the error of the acceleration, by the truth."""
    errors = [x.a - motion(x.t)[1] for x in tracks]
    return np.sqrt(np.mean(np.square(np.concatenate(errors))))


HONEST = 3.0
"""Between an estimate of an error from one recording and the error."""


@pytest.mark.parametrize("even", [True, False], ids=["regular", "irregular"])
@pytest.mark.parametrize("noise", [1e-4, 1e-2])
def test_smoothing_chooses_by_what_is_true(even, noise):
    for seed in (101, 102, 103):  # none of them was looked at when the rules were made
        t = np.linspace(0, 20, 250) if even else irregular(250, 20.0, seed)
        tracks = recorded(t, noise, seed)
        smoothed = tracks.smooth()
        chosen, record = error_of(smoothed), smoothed.smoothing
        estimate = np.sqrt(np.mean(np.square(record.error.a)))
        assert 1 / HONEST < estimate / chosen < HONEST
        assert np.allclose(record.noise.q, noise, rtol=0.3)
        assert chosen < 0.1  # of accelerations up to 5.3
        for degree, times in ((2, 7), (2, 61)):  # too short, and too long
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # mostly noise
                assert chosen < 0.3 * error_of(tracks.smooth(degree=degree, times=times))


@pytest.mark.parametrize("unit", SCALES)
def test_smoothing_has_no_unit(unit):
    t = np.linspace(0, 20, 250)
    one, other = recorded(t), recorded(t)
    other = nx.Tracks(2451545.0 * unit + t * unit, one[0].q / unit)
    records = [tracks.smooth().smoothing for tracks in (one, other)]
    assert records[0].times == records[1].times
    assert np.allclose(records[0].error.a, records[1].error.a * unit**3, rtol=1e-3)


def test_velocities_help_where_they_agree():
    t = np.linspace(0, 20, 250)
    q, _ = motion(t)
    rng = np.random.default_rng(5)
    v = np.gradient(motion(np.linspace(0, 20, 24901))[0], 20 / 24900, axis=0)[::100]
    q, v = q + 1e-2 * rng.normal(size=q.shape), v + 1e-2 * rng.normal(size=q.shape)
    alone, both = nx.Tracks(t, q).smooth(), nx.Tracks(t, q, v).smooth()
    assert error_of(both) < 0.7 * error_of(alone)
    assert np.allclose(both.smoothing.noise.v, 1e-2, rtol=0.3)
    with pytest.warns(UserWarning, match="velocities were not used.*apart.*their units"):
        wrong = nx.Tracks(t, q, 1000 * v).smooth()
    assert error_of(wrong) == pytest.approx(error_of(alone))


def test_exact_velocities_shorten_the_windows():
    """A simulation has no noise: truncation is all, and no fault of the velocities."""
    t = np.linspace(0, 10, 101)
    q = np.stack([np.cos(t) ** 3, np.sin(t)], axis=-1)[:, None]
    v = np.stack([-3 * np.cos(t) ** 2 * np.sin(t), np.cos(t)], axis=-1)[:, None]
    a = np.stack([6 * np.cos(t) * np.sin(t) ** 2 - 3 * np.cos(t) ** 3, -np.sin(t)], -1)[:, None]
    alone, both = nx.Tracks(t, q).smooth(), nx.Tracks(t, q, v).smooth()
    assert both.smoothing.used == ("q", "v")
    assert both.smoothing.times < alone.smoothing.times

    def error(tracks):
        found = tracks[0]
        return np.sqrt(np.mean(np.square(found.a - a[np.isin(t, found.t)])))

    assert error(both) < 0.1 * error(alone)
    assert np.max(both.smoothing.error.a) == pytest.approx(error(both), rel=1)


@pytest.mark.parametrize("noise", [0.0, 1e-3])
def test_what_is_no_derivative_is_left_out(noise):
    t = np.linspace(0, 15, 301)
    rng = np.random.default_rng(3)
    q, v, a = (
        x[:, None, None] + noise * rng.normal(size=(301, 1, 1))
        for x in (np.cos(t), -np.sin(t), -np.cos(t))
    )
    with pytest.warns(UserWarning, match=r"accelerations were not used.*1\.[34]\d* apart"):
        found = nx.Tracks(t, q, v, 3 * a).smooth().smoothing
    assert found.used == ("q", "v")  # and the warning is the only one
    # A column that was never filled in.
    with pytest.warns(UserWarning, match=r"velocities were not used.*0\.7\d* apart"):
        found = nx.Tracks(t, q, 0 * v).smooth().smoothing
    assert found.used == ("q",)
    at_rest = nx.Tracks(t, np.stack([q, 0 * q], 2)[..., 0], np.stack([v, 0 * v], 2)[..., 0])
    assert at_rest.smooth().smoothing.used == ("q", "v")


def test_a_lag_that_hides_in_the_noise_does_no_harm():
    t = np.linspace(0, 15, 3001)
    rng = np.random.default_rng(0)
    q, v = np.sin(2.3 * t), 2.3 * np.cos(2.3 * (t - 0.005))
    q, v = (x[:, None, None] + 1e-2 * rng.normal(size=(3001, 1, 1)) for x in (q, v))
    found = nx.Tracks(t, q, v).smooth()
    error = np.sqrt(np.mean(np.square(found[0].a[:, 0, 0] + 2.3**2 * np.sin(2.3 * found[0].t))))
    assert error < 2 * np.max(found.smoothing.error.a)  # of the velocities: 8 times


def test_unlike_instruments():
    """An encoder with coarse steps, slow drift of a sensor, a noisy coordinate beside a clean one: each
    has errors that are not independent between samples, or not alike."""
    t = np.linspace(0, 20, 800)
    rng = np.random.default_rng(7)
    steps = np.round(20 * np.sin(t)) / 20
    slow = np.sin(t) + np.convolve(rng.normal(size=809), np.full(10, 1e-3), "valid")
    clean, noisy = np.cos(t), np.sin(t) + 1e-2 * rng.normal(size=800)
    for x, other in ((steps, None), (slow, None), (noisy, clean)):
        q = np.stack([x] if other is None else [x, other], axis=-1)[:, None]
        smoothed = nx.Tracks(t, q).smooth()
        recording = smoothed[0]
        truth = -np.stack([np.sin(recording.t), np.cos(recording.t)], -1)[:, None, : q.shape[2]]
        errors = np.sqrt(np.mean(np.square(recording.a - truth), axis=0))
        assert np.all(errors < 0.05)
        assert np.all(smoothed.smoothing.error.a < HONEST * errors)
        assert np.all(smoothed.smoothing.error.a > errors / HONEST)


def test_polynomials_are_left_as_they_are():
    t = irregular(40, 3.0, 1)
    curve = np.polynomial.Polynomial([1.0, -2.0, 0.5, 0.3])
    smoothed = nx.Tracks(t, curve(t)[:, None, None]).smooth(degree=4, times=9)
    q, v, a = smoothed.observations()
    for order, x in enumerate((q, v, a)):
        assert np.allclose(x[:, 0, 0], curve.deriv(order)(smoothed[0].t), atol=1e-8)
    assert len(smoothed[0]) + smoothed.smoothing.omitted == 40
    cubic = nx.Tracks(t, curve(t)[:, None, None]).smooth(degree=2, times=9)  # negative control
    assert not np.allclose(cubic[0].a[:, 0, 0], curve.deriv(2)(cubic[0].t), atol=1e-3)


def test_what_smoothing_leaves_out_is_said():
    t = np.concatenate([np.linspace(0, 5, 100), np.linspace(50, 55, 100)])
    smoothed = recorded(t).smooth(degree=4, times=21)
    assert smoothed.smoothing.omitted == 40  # no window bridges the gap
    assert "40 samples omitted" in repr(smoothed)
    q = motion(t)[0]
    with pytest.warns(UserWarning, match=r"1 of 2 recordings are left out.*21 times: \['b'\]"):
        nx.Tracks([t, t[:9]], [q, q[:9]], names="ab").smooth(degree=4, times=21)
    noise = np.random.default_rng(0).normal(size=(60, 1, 1))
    with pytest.warns(UserWarning, match="mostly noise"):
        nx.Tracks(np.arange(60.0), noise).smooth()
    still = nx.Tracks(T, np.zeros((30, 1, 1))).smooth()
    assert np.all(still.smoothing.error.a == 0)
    for options, message in (
        (dict(degree=1), "degree must be an integer of at least 2"),
        (dict(times=8), "times must be odd"),
        (dict(times=31), "does not fit into the longest recording, which has 30"),
        (dict(noise=-1.0), "noise must be a positive, finite number"),
        (dict(noise=(1.0, 1.0)), "one for each of q"),
    ):
        with pytest.raises(ValueError, match=message):
            nx.Tracks(T, Q).smooth(**options)
    with pytest.raises(ValueError, match="smoothed already"):
        still.smooth()
    with pytest.raises(ValueError, match="between the gaps"):
        nx.Tracks(10.0 ** np.arange(30), Q).smooth()
