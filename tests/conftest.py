import gc
import itertools

import jax
import matplotlib
import pytest

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_dtype_promotion", "strict")
# The tests compile much and run little: compile quickly.
jax.config.update("jax_disable_most_optimizations", True)
matplotlib.use("Agg")

_tests = itertools.count(1)


@pytest.fixture(autouse=True)
def _few_programs_at_once():
    """Every compiled program holds memory maps, of which Linux gives a process 65,530; beyond that
    XLA crashes. Programs are hardly shared between tests, so dropping them costs little."""
    yield
    if next(_tests) % 12 == 0:
        jax.clear_caches()
        gc.collect()
