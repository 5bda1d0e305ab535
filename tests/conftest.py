import gc
import itertools
import os
import subprocess
import sys
from pathlib import Path

import jax
import matplotlib
import pytest

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_dtype_promotion", "strict")
# The tests compile much and run little: compile quickly.
jax.config.update("jax_disable_most_optimizations", True)
QUICK = "--xla_cpu_use_fusion_emitters=false"  # halves the time that XLA compiles


def _compile_quickly():
    """Sets a flag of XLA's for this process and those that it starts. XLA aborts a process in which it
    does not know a flag, so another one has to try it first."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        return  # the process that started this one has tried
    flags = f"{os.environ.get('XLA_FLAGS', '')} {QUICK}".strip()
    command = [sys.executable, "-c", "import jax; jax.devices()"]
    environment = os.environ | {"XLA_FLAGS": flags}
    if not subprocess.run(command, env=environment, capture_output=True, check=False).returncode:
        os.environ["XLA_FLAGS"] = flags


_compile_quickly()
matplotlib.use("Agg")

MAPS = Path("/proc/self/maps")
MANY = 30_000
"""Memory maps after which all compiled programs are dropped: each holds some, Linux gives a process
65,530, and beyond that XLA crashes."""

_tests = itertools.count(1)


@pytest.fixture(autouse=True)
def _few_programs_at_once():
    yield
    if next(_tests) % 8 == 0 and MAPS.exists() and len(MAPS.read_bytes().splitlines()) > MANY:
        jax.clear_caches()
        gc.collect()
