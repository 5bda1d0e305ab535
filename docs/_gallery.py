"""Runs the examples and keeps, in `docs/gallery`, the figure of each and what it prints.

python docs/_gallery.py  # all of them, one after another: half an hour on two cores
python docs/_gallery.py kepler driven
"""

import argparse
import io
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "docs" / "gallery"
HOME = "kepler"  # its figure opens the site
MOST_BYTES = 60_000  # of a figure
SHAPES = ((1400, 32), (1300, 24), (1200, 16), (1000, 16))
"""Widths in pixels and numbers of colours, the best first. A page shows some 700 pixels."""


def compressed(data: bytes) -> bytes:
    """A figure no wider than a page needs, in as many colours as fit."""
    from PIL import Image

    content = b""
    for width, colours in SHAPES:
        with Image.open(io.BytesIO(data)) as image:
            image = image.convert("RGB")
            if image.width > width:
                height = round(image.height * width / image.width)
                image = image.resize((width, height), Image.Resampling.LANCZOS)
            out = io.BytesIO()
            image = image.quantize(colours, dither=Image.Dither.NONE)
            image.save(out, "PNG", optimize=True)
        content = out.getvalue()
        if len(content) <= MOST_BYTES:
            break
    return content


def run(name: str) -> None:
    """One example as a user runs it."""
    script = ROOT / "examples" / f"{name}.py"
    environment = os.environ | {"MPLBACKEND": "Agg"}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(script), "--out", folder]
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            sys.exit(f"examples/{name}.py failed:\n{done.stderr[-2000:]}")
        figure = (Path(folder) / f"{name}.png").read_bytes()
        printed = re.sub(rf".*{re.escape(folder)}.*\n", "", done.stdout)
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.png").write_bytes(compressed(figure))
    (FOLDER / f"{name}.txt").write_text(printed)
    if name == HOME:
        (FOLDER.parent / "assets" / "home.png").write_bytes(compressed(figure))


def main() -> None:
    names = sorted(path.stem for path in (ROOT / "examples").glob("*.py"))
    parser = argparse.ArgumentParser(
        description="Run the examples and keep their figures."
    )
    parser.add_argument("names", nargs="*", choices=[*names, []], help="some of them")
    for name in parser.parse_args().names or names:
        run(name)
        print(f"{name}: {(FOLDER / f'{name}.png').stat().st_size} bytes", flush=True)


if __name__ == "__main__":
    main()
