import hashlib
import os
import warnings
from pathlib import Path
from typing import Any, final

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from ._checks import check_count
from ._files import load, load_metadata, save

PATTERN = "step_*.nx"


@final
class Checkpoints(eqx.Module):
    """Where and how often [`noetherax.fit`][] saves its state, so that a run survives its process.

    A run that finds checkpoints of its own in the folder goes on from the newest, and ends with the
    same weights, bit for bit, as one that was never stopped: on the same machine and with the same
    versions, since another compiler rounds differently.

    Each checkpoint is one file as [`noetherax.save`][] writes it: whole or not at all. The first is
    written before training starts, so that a folder that cannot be written is known by then. If a later
    one fails, for instance on a full disk, a warning says so and training goes on.

    !!! example

        ```python
        import jax
        import noetherax as nx

        model = nx.NeuralLagrangian(nx.Rotations(3).invariant_features(1), key=jax.random.key(0))
        checkpoints = nx.Checkpoints("run", every=50)
        data = nx.systems.Kepler().sampler()
        model, _ = nx.fit(model, data, steps=100, key=jax.random.key(1), checkpoints=checkpoints)
        ```

    **Arguments:**

    - `folder`: where to; made if it is not there. One folder for one run.
    - `every`: steps between two checkpoints.
    - `keep`: how many of the last ones to keep. With more than one, a damaged newest one costs no more
        than the steps since the one before.

    **Raises:**

    `ValueError` if `every` or `keep` is no positive integer.
    """

    folder: Path = eqx.field(static=True)
    every: int = eqx.field(static=True)
    keep: int = eqx.field(static=True)

    def __init__(self, folder: str | os.PathLike, *, every: int = 1000, keep: int = 2):
        check_count("every", every)
        check_count("keep", keep)
        self.folder = Path(folder)
        self.every = int(every)
        self.keep = int(keep)


def restore(checkpoints: Checkpoints, start: PyTree, run: dict[str, Any]) -> tuple[PyTree, float]:
    """The state of the newest checkpoint that can be read and the seconds it took, or `start` itself.

    Raises `ValueError` if the folder holds another run.
    """
    for path in sorted(checkpoints.folder.glob(PATTERN), reverse=True):
        try:
            metadata = load_metadata(path)
        except (OSError, ValueError) as error:
            warnings.warn(f"Left out a checkpoint: {error}", stacklevel=4)
            continue
        theirs = metadata.get("run")
        if theirs != run:
            theirs = theirs if isinstance(theirs, dict) else {}
            differing = [
                f"{name} was {theirs.get(name)!r} and is {run.get(name)!r}"
                for name in dict.fromkeys([*theirs, *run])
                if theirs.get(name) != run.get(name)
            ]
            raise ValueError(
                f"{path} belongs to another run: {'; '.join(differing)}. Take another folder, or "
                "delete its checkpoints."
            )
        return load(path, start), float(metadata["seconds"])
    write(checkpoints, start, 0, run, 0.0)
    return start, 0.0


def record(checkpoints: Checkpoints, state: PyTree, step: int, run, seconds: float) -> None:
    """Writes a checkpoint of a run under way; what fails is a warning, and costs no training."""
    try:
        write(checkpoints, state, step, run, seconds)
    except OSError as error:
        warnings.warn(f"The checkpoint of step {step} was not written: {error}", stacklevel=5)


def write(checkpoints: Checkpoints, state: PyTree, step: int, run, seconds: float) -> None:
    """Writes a checkpoint, and deletes those that are no longer kept; one process for all."""
    if jax.process_index() > 0:
        return
    metadata = {"run": run, "seconds": seconds}
    save(checkpoints.folder / f"step_{step:012d}.nx", state, metadata=metadata)
    for path in sorted(checkpoints.folder.glob(PATTERN))[: -checkpoints.keep]:
        path.unlink(missing_ok=True)


def describe(steps, batch_size, max_norm, averaging, key) -> dict[str, Any]:
    """What must be equal for a run to go on from a checkpoint."""
    words = jax.random.key_data(key) if jnp.issubdtype(key.dtype, jax.dtypes.prng_key) else key
    return {
        "steps": steps,
        "batch_size": batch_size,
        "max_norm": max_norm,
        "averaging": averaging,
        "key": np.asarray(words).tolist(),
    }


def fingerprint(tree: PyTree) -> str:
    """A short hash of all arrays of a tree: two runs of different data or weights differ in it."""
    digest = hashlib.sha256()
    for leaf in jax.tree.leaves(tree):
        if eqx.is_array(leaf) or isinstance(leaf, np.ndarray):
            digest.update(np.ascontiguousarray(leaf).tobytes())
    return digest.hexdigest()[:16]
