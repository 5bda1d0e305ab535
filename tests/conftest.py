import gc
import itertools
import os
import subprocess
import sys

import jax
import matplotlib
import pytest

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_dtype_promotion", "strict")
# The tests compile much and run little: compile quickly.
jax.config.update("jax_disable_most_optimizations", True)
QUICK = (
    "--xla_cpu_use_fusion_emitters=false",  # halves the time that XLA compiles
    # There is a process for every core: a program cut into parts, to compile them at once, only costs.
    "--xla_cpu_parallel_codegen_split_count=1",
)


def _compile_quickly():
    """Sets flags of XLA's for this process and those that it starts. XLA aborts a process in which it
    does not know a flag, so another one has to try them first."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        return  # the process that started this one has tried them
    command = [sys.executable, "-c", "import jax; jax.devices()"]
    for count in range(len(QUICK), 0, -1):
        flags = " ".join([os.environ.get("XLA_FLAGS", ""), *QUICK[:count]]).strip()
        environment = os.environ | {"XLA_FLAGS": flags}
        if not subprocess.run(
            command, env=environment, capture_output=True, check=False
        ).returncode:
            os.environ["XLA_FLAGS"] = flags
            return


def _one_thread_each():
    """There is a process for every core: threads of theirs would only wait for each other."""
    if "PYTEST_XDIST_WORKER_COUNT" not in os.environ:
        for library in ("OPENBLAS", "OMP", "MKL"):
            os.environ.setdefault(f"{library}_NUM_THREADS", "1")  # for the processes to come


_compile_quickly()
_one_thread_each()
matplotlib.use("Agg")
# Of all that tracing allocates hardly anything can be freed before programs are dropped, but looking
# for it takes a tenth of the time.
gc.disable()

MOST_MAPS = 30_000
_tests = itertools.count(1)


def _memory_maps() -> int:
    try:
        with open("/proc/self/maps") as maps:
            return sum(1 for _ in maps)
    except OSError:  # not Linux
        return MOST_MAPS


@pytest.fixture(autouse=True)
def _few_programs_at_once():
    """Every compiled program holds memory maps, of which Linux gives a process 65,530; beyond that
    XLA crashes."""
    yield
    if next(_tests) % 6 == 0 and _memory_maps() >= MOST_MAPS:
        jax.clear_caches()
        gc.collect()
