import os
import re
import warnings
from pathlib import Path
from typing import Any, NamedTuple, final

import equinox as eqx
import jax
from jaxtyping import PyTree

from ._atomic import checked_path, remove_unfinished
from ._checks import check_count
from ._description import Description, describe, differences
from ._files import MOST_SHOWN, OtherVersion, read, save
from ._names import label

NAME = re.compile(r"step_\d{12,}\.nx")

FIRST_BATCH = "first batch"
"""What the data of a sampler are called in the description of a run."""

NOT_DESCRIBED = Description([], [])
"""Of a run without checkpoints."""

SETTINGS = (
    "jax_enable_x64",
    "jax_numpy_dtype_promotion",
    "jax_default_matmul_precision",
    "jax_threefry_partitionable",
)
"""Of JAX, what changes the numbers of a run."""

LIBRARIES = ("jax", "jaxlib", "equinox", "optax", "diffrax", "noetherax")
"""Whose versions may change the rounding of a run."""


@final
class Checkpoints(eqx.Module):
    """Where and how often [`noetherax.fit`][] saves its state, so that a run survives its process.

    A run that finds checkpoints of its own in the folder goes on from the newest, and ends with the
    same weights, bit for bit, as one that was never stopped: on the same machine, on as many devices
    and with the same versions, since another compiler or order of a sum rounds differently. `sharding`
    is not part of what a run is known by.

    A run is known by the content of all that `fit` is given: numbers and arrays by their values,
    functions by what they do, with their closures and the globals they read, so that those of an Optax
    optimiser differ by their learning rate. Another run in the folder is an error that says what
    differs. What cannot be seen into, such as an open file that a sampler reads, is named in a warning;
    what a function asks the system for, such as the environment, is not seen.

    Each checkpoint is one file as [`noetherax.save`][] writes it: whole or not at all. The first is
    written before training starts, so that a folder that cannot be written is known by then. If a later
    one fails, for instance on a full disk, a warning says so and training goes on.

    !!! example

        ```python
        import jax
        import noetherax as nx

        q, v = jax.random.normal(jax.random.key(0), (2, 64, 1, 3))
        features = nx.Rotations(3).invariant_features(points=1)
        model = nx.NeuralLagrangian(features, width=8, key=jax.random.key(8))
        checkpoints = nx.Checkpoints("run", every=10)  # a folder
        options = dict(steps=20, key=jax.random.key(3), checkpoints=checkpoints)
        model, _ = nx.fit(model, (q, v, -q), **options)
        saved = sorted(path.name for path in checkpoints.folder.glob("*.nx"))
        assert saved == ["step_000000000010.nx", "step_000000000020.nx"]
        ```

    **Arguments:**

    - `folder`: where to; made if it is not there. One folder for one run.
    - `every`: steps between two checkpoints.
    - `keep`: how many of the last ones to keep. With more than one, a damaged newest one costs no more
        than the steps since the one before.

    **Raises:**

    `ValueError` if `every` or `keep` is no positive integer; `TypeError` or `ValueError` if `folder` is
    no path.
    """

    folder: Path = eqx.field(static=True)
    every: int = eqx.field(static=True)
    keep: int = eqx.field(static=True)

    def __init__(self, folder: str | os.PathLike, *, every: int = 1000, keep: int = 2):
        check_count("every", every)
        check_count("keep", keep)
        self.folder = checked_path("folder", folder)
        self.every = int(every)
        self.keep = int(keep)


def as_checkpoints(value: Any) -> Checkpoints | None:
    """What `fit` takes as checkpoints; `TypeError` or `ValueError` for what is none."""
    if value is None or isinstance(value, Checkpoints):
        return value
    return Checkpoints(checked_path("checkpoints, if not noetherax.Checkpoints,", value))


class Restored(NamedTuple):
    """What a run goes on from."""

    state: PyTree
    seconds: float  # that it took
    stopped: str  # why, if its callback had stopped it


def restore(checkpoints: Checkpoints, start: PyTree, run: Description) -> Restored:
    """What the newest checkpoint that can be read holds, or `start` itself.

    Raises `ValueError` if the folder holds another run.
    """
    if run.unseen:
        warnings.warn(
            "Checkpoints cannot tell whether this is the run that they are of, since they cannot see "
            f"what is in {'; '.join(run.unseen)}.",
            stacklevel=4,
        )
    damaged = 0
    for path in reversed(_files(checkpoints.folder)):
        try:
            stored = read(path)
        except OtherVersion:
            raise
        except (OSError, ValueError) as error:
            warnings.warn(f"Left out a checkpoint: {error}", stacklevel=4)
            damaged += 1
            continue
        _check_same_run(path, stored.metadata, run)
        stopped = stored.metadata.get("stopped", "")
        return Restored(stored.restored(start), stored.metadata["seconds"], str(stopped))
    if damaged:
        warnings.warn(
            f"None of the {damaged} checkpoints in {checkpoints.folder} can be read, so that the run "
            "starts anew.",
            stacklevel=4,
        )
    write(checkpoints, start, 0, run, 0.0)
    return Restored(start, 0.0, "")


def _check_same_run(path: Path, metadata: dict[str, Any], run: Description) -> None:
    """Raises `ValueError` if a checkpoint is of another run, and warns if that cannot be known."""
    theirs, seconds = metadata.get("run"), metadata.get("seconds")
    described = isinstance(theirs, list) and all(isinstance(x, str) and "=" in x for x in theirs)
    if theirs is None or not described or not isinstance(seconds, float):
        raise ValueError(f"{path} is a model, and no checkpoint. Take another folder.")
    content, versions = differences(theirs, run.lines)
    rounded = [x for x in content if x.startswith(FIRST_BATCH)]
    if content and (run.unseen or len(rounded) < len(content)):
        more = len(content) - MOST_SHOWN
        raise ValueError(
            f"{path} belongs to another run: {'; '.join(content[:MOST_SHOWN])}"
            + (f"; and {more} more differences" if more > 0 else "")
            + ". Take another folder, or delete its checkpoints."
        )
    if rounded:
        warnings.warn(
            f"The sampler gives another first batch than it gave to the run of {path}. Another machine "
            "or version rounds differently; otherwise the sampler depends on something outside.",
            stacklevel=5,
        )
    if versions:
        warnings.warn(
            f"{path} was written with other versions, by which the rest of the run may round "
            f"differently: {'; '.join(versions[:MOST_SHOWN])}.",
            stacklevel=5,
        )


def record(
    checkpoints: Checkpoints,
    state: PyTree,
    step: int,
    run: Description,
    seconds: float,
    stopped: str,
) -> None:
    """Writes a checkpoint of a run under way; what fails is a warning, and costs no training."""
    try:
        write(checkpoints, state, step, run, seconds, stopped)
    except OSError as error:
        warnings.warn(f"The checkpoint of step {step} was not written: {error}", stacklevel=5)


def write(
    checkpoints: Checkpoints,
    state: PyTree,
    step: int,
    run: Description,
    seconds: float,
    stopped: str = "",
) -> None:
    """Writes a checkpoint, and deletes those that are no longer kept; one process for all."""
    if jax.process_index() > 0:
        return
    metadata = {"run": run.lines, "seconds": seconds, "stopped": stopped}
    path = checkpoints.folder / f"step_{step:012d}.nx"
    save(path, state, metadata=metadata)
    remove_unfinished(checkpoints.folder, "step_")
    # Later steps are of files that could not be read: they do not count as kept.
    past = [other for other in _files(checkpoints.folder) if other.name <= path.name]
    for other in past[: -checkpoints.keep]:
        other.unlink(missing_ok=True)


def _files(folder: Path) -> list[Path]:
    """The checkpoints in a folder, by their steps."""
    return sorted(path for path in folder.glob("step_*.nx") if NAME.fullmatch(path.name))


def describe_run(**parts: Any) -> Description:
    """What must be equal for a run to go on from a checkpoint, the settings of JAX included."""
    settings = {name: jax.config.values[name] for name in SETTINGS}
    libraries = {name: label(name, "version") for name in LIBRARIES}
    told = [describe(name, part) for name, part in {**parts, "JAX": settings}.items()]
    told.append(Description([f"version of {k}={text}" for k, text in libraries.items()], []))
    return Description(
        [line for some in told for line in some.lines],
        [path for some in told for path in some.unseen],
    )
