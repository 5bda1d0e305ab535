"""Tracks and recordings as datasets of xarray, and back."""

from collections.abc import Hashable
from typing import Any

import numpy as np

from .._checks import is_missing
from ..data import Recording, Tracks
from ._datasets import STATE, library, ordered, to_xarray, variable

SCALARS = (np.bool_, np.number, np.str_, np.bytes_)
"""Of NumPy, for which there are types of Python's own."""


@to_xarray.register
def _(motion: Recording):
    dataset = _dataset([motion])
    return dataset.assign_coords(recording=dataset["recording"][0].variable)


@to_xarray.register
def _(motion: Tracks):
    dataset = _dataset(motion.recordings)
    if np.isnan(motion.periods).all():
        return dataset
    return dataset.assign(period=(STATE, motion.periods))


def _dataset(recordings):
    arrays = {
        name: np.concatenate([recording.arrays[name] for recording in recordings])
        for name in recordings[0].arrays
    }
    dimensions = {"u": ("time", "input")}
    names = np.repeat(_kept([r.name for r in recordings]), [len(r) for r in recordings])
    return library().Dataset(
        {n: (dimensions.get(n, ("time", *STATE)), x) for n, x in arrays.items() if n != "t"},
        {"time": arrays["t"], "recording": ("time", names)},
    )


def _kept(names: list) -> np.ndarray:
    """Names of recordings as an array that gives them back; NumPy makes texts of mixed ones."""
    plain = [x.item() if isinstance(x, SCALARS) else x for x in names]
    try:
        array = library().Variable("recording", np.array(plain)).values
        found = array.tolist()
    except ValueError as error:  # of tuples, which are rows of an array
        raise ValueError(_not_kept(names, f"NumPy or xarray says: {error}")) from None
    for name, told in zip(plain, found, strict=True):
        if name is None or type(name) is not type(told) or name != told:
            raise ValueError(_not_kept(names, f"{name!r} would come back as {_told(told)}"))
    return array


def _told(name: Any) -> str:
    return "a missing value" if name is None else repr(name)


def _not_kept(names: list, why: str) -> str:
    return (
        f"A dataset cannot hold the names of the recordings {names!r:.200} as they are: {why}. Give "
        "them names of one type where the tracks are made, texts or whole numbers: "
        "nx.Tracks(times, positions, names=['first', 'second', …])."
    )


def tracks_from_xarray(
    dataset: Any,
    *,
    time: Hashable = "time",
    position: Hashable = "q",
    velocity: Hashable | None = None,
    acceleration: Hashable | None = None,
    inputs: Hashable | None = None,
    recording: Hashable | None = None,
) -> Tracks:
    """Tracks from a dataset of arrays: one of yours, or of [`noetherax.interop.to_xarray`][].

    Where every coordinate is a variable of its own, as in a table,
    [`noetherax.Tracks.from_table`][] takes the dataset as it is.

    !!! example

        ```python
        import numpy as np
        import noetherax as nx
        import xarray

        t = np.linspace(0.0, 6.0, 61)
        circle = np.stack([np.cos(t), np.sin(t)], axis=-1)
        dataset = xarray.Dataset({"place": (("time", "xy"), circle)}, {"time": t})
        tracks = nx.interop.tracks_from_xarray(dataset, position="place")
        assert tracks[0].q.shape == (61, 1, 2)
        assert dict(nx.interop.to_xarray(tracks).sizes) == {"time": 61, "point": 1, "axis": 2}
        ```

    **Arguments:**

    - `dataset`: an `xarray.Dataset`.
    - `time`: the variable or coordinate of times, along one dimension. Dates become seconds.
    - `position`: the variable of positions. Beside the dimension of times it has `point` and `axis`;
        other names of dimensions are taken in this order, and a single one is the axis of one point.
    - `velocity`, `acceleration`, `inputs`: likewise; `v`, `a` and `u` if not given, where there are
        such.
    - `recording`: what tells recordings apart, along the dimension of times; the coordinate
        `recording` if not given, where there is one.

    **Returns:**

    The [`noetherax.Tracks`][], with periods of angles from the variable `period` if there is one.

    **Raises:**

    `ValueError` that names the variable that is missing or has other dimensions, or a sample without a
    recording, or that says what [`noetherax.Tracks`][] says of its data.
    """
    t = variable(dataset, time)
    if t.ndim != 1:
        raise ValueError(f"{time!r} must have one dimension, that of times, but it has {t.dims}.")
    along = t.dims[0]
    given = {"a": acceleration, "u": inputs, "v": velocity}
    names = {member: name if name is not None else member for member, name in given.items()}
    members = {"q": _samples(dataset, position, along, STATE)}
    for member, name in names.items():
        if given[member] is not None or name in dataset:
            dimensions = ("input",) if member == "u" else STATE
            members[member] = _samples(dataset, name, along, dimensions)
    samples: dict[Hashable, list[int]] = {}
    for i, label in enumerate(_labels(dataset, recording, along)):
        samples.setdefault(label, []).append(i)
    times, parts = np.asarray(t.values), samples.values()
    return Tracks(
        [times[part] for part in parts],
        *([members[m][part] for part in parts] if m in members else None for m in "qvau"),
        names=list(samples),
        periods=variable(dataset, "period").values if "period" in dataset else None,
    )


def _samples(dataset, name: Hashable, along: Hashable, wanted: tuple[str, ...]) -> np.ndarray:
    """An array of shape `(times, *wanted)`. Dimensions of other names are taken in their order, and a
    missing first one is that of a single point."""
    array = variable(dataset, name)
    rest = [d for d in array.dims if d != along]
    if set(rest) == set(wanted):
        rest = list(wanted)
    if along not in array.dims or not 0 < len(rest) <= len(wanted):
        raise ValueError(
            f"{name!r} must have the dimensions {(along, *wanted)}, or the last alone for one point, "
            f"but it has {array.dims}."
        )
    values = ordered(name, array, (along, *rest))
    return values if len(rest) == len(wanted) else values[:, None]


def _labels(dataset, name: Hashable | None, along: Hashable) -> list:
    """The name of the recording of each sample."""
    if name is None and ("recording" not in dataset or not dataset["recording"].dims):
        told = dataset["recording"].item() if "recording" in dataset else None
        return [dataset.attrs.get("recording", 0) if told is None else told] * dataset.sizes[along]
    labels = variable(dataset, "recording" if name is None else name)
    if labels.dims != (along,):
        raise ValueError(
            f"{labels.name!r} must tell the recording of each sample, along {along!r}, but it has "
            f"the dimensions {labels.dims}."
        )
    if missing := [k for k, label in enumerate(labels.values) if is_missing(label)]:
        raise ValueError(
            f"{labels.name!r}, which tells recordings apart, is missing for {len(missing)} of "
            f"{labels.size} samples, first for sample {missing[0]}. Leave out samples that belong to "
            "no recording, or give theirs a name."
        )
    return labels.values.tolist()
