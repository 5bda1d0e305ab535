"""Runs a script as Python does, and quickly: `python quickly.py SCRIPT [arguments]`.

Scripts here compile much and run little. Of all that tracing allocates hardly anything can be freed
before they end, but looking for it takes a tenth of their time.
"""

import gc
import runpy
import sys
from pathlib import Path

if __name__ == "__main__":
    gc.disable()
    script, *_ = sys.argv = sys.argv[1:]
    sys.path[0] = str(Path(script).resolve().parent)
    runpy.run_path(script, run_name="__main__")
