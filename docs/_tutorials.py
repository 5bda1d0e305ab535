"""Tutorials: `docs/tutorials/NAME.py` in the percent format, run by this script, shown by MkDocs.

    python docs/_tutorials.py                 # run all, and keep what they print and draw
    python docs/_tutorials.py declare_a_group

What a run leaves lies in `docs/tutorials/output`: one JSON file a tutorial, the text that each of its
cells of code printed, and the figures. As a hook, this file makes a page and a notebook of both when
the site is built, and refuses a tutorial whose code is not the one that was run.
"""

import argparse
import ast
import base64
import contextlib
import hashlib
import io
import json
import sys
import time
from pathlib import Path

import jupytext
from nbformat import NotebookNode, v4

FOLDER = Path(__file__).parent / "tutorials"
OUTPUT = FOLDER / "output"
DOWNLOAD = (
    "[Download the notebook]({name}.ipynb){{ .md-button download }} "
    "[Download the script]({name}.py){{ .md-button download }}"
)


def names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("[!_]*.py"))


def notebook(name: str) -> NotebookNode:
    """The cells of a tutorial, without output."""
    found = jupytext.read(FOLDER / f"{name}.py")
    found.metadata = {
        "kernelspec": {
            "name": "python3",
            "display_name": "Python 3",
            "language": "python",
        },
        "language_info": {"name": "python"},
    }
    for index, cell in enumerate(found.cells):
        cell.id = f"{name.replace('_', '-')}-{index}"  # the same in every build
    return found


def code_cells(book: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in book.cells if cell.cell_type == "code"]


def fingerprint(book: NotebookNode) -> str:
    """Of the code alone: words, comments and line breaks may change without a run."""
    code = "\n".join(ast.dump(ast.parse(cell.source)) for cell in code_cells(book))
    return hashlib.sha256(code.encode()).hexdigest()[:16]


def run(name: str) -> None:
    """Runs a tutorial cell by cell in this process, and writes what it leaves."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    plt.show = lambda: None  # figures are saved below, each cell its own
    from _gallery import compressed

    book, scope, kept = notebook(name), {"__name__": "__main__"}, []
    OUTPUT.mkdir(exist_ok=True)
    for old in OUTPUT.glob(f"{name}-*.png"):
        old.unlink()
    start = time.perf_counter()
    for cell in code_cells(book):
        printed, figures = io.StringIO(), []
        with contextlib.redirect_stdout(printed):
            _execute(cell.source, scope)
        for number in plt.get_fignums():
            data = io.BytesIO()
            plt.figure(number).savefig(data, dpi=150)
            file = (
                OUTPUT
                / f"{name}-{sum(len(x['figures']) for x in kept) + len(figures) + 1}.png"
            )
            file.write_bytes(compressed(data.getvalue()))
            figures.append(file.name)
        plt.close("all")
        kept.append({"text": printed.getvalue(), "figures": figures})
    seconds = round(time.perf_counter() - start)
    result = {"code": fingerprint(book), "seconds": seconds, "cells": kept}
    (OUTPUT / f"{name}.json").write_text(
        json.dumps(result, indent=1, ensure_ascii=False) + "\n"
    )


def _execute(source: str, scope: dict) -> None:
    """As a notebook does: the value of a last expression is shown."""
    tree = ast.parse(source)
    last = (
        tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    )
    exec(compile(tree, "<cell>", "exec"), scope)
    if last is not None:
        value = eval(compile(ast.Expression(last.value), "<cell>", "eval"), scope)
        if value is not None and not source.rstrip().endswith(";"):
            print(value)


def kept_output(name: str, book: NotebookNode) -> list[dict]:
    """What the run of a tutorial left; an error if it was another one's."""
    path = OUTPUT / f"{name}.json"
    result = json.loads(path.read_text()) if path.exists() else {"code": "nothing"}
    if result["code"] != fingerprint(book):
        raise ValueError(
            f"docs/tutorials/{name}.py is not the code whose output is kept: run "
            f"`python docs/_tutorials.py {name}` and commit docs/tutorials/output"
        )
    return result["cells"]


def page(name: str) -> str:
    """Markdown of a tutorial with its output."""
    book = notebook(name)
    output = iter(kept_output(name, book))
    title, *rest = book.cells
    head, _, lead = title.source.partition("\n")
    parts = [head, lead.strip(), DOWNLOAD.format(name=name)]
    for cell in rest:
        if cell.cell_type == "markdown":
            parts.append(cell.source)
            continue
        left = next(output)
        parts.append(f"```python\n{cell.source}\n```")
        if left["text"].strip():
            text = left["text"].rstrip()
            parts.append(
                f'<div class="output" markdown>\n\n```text\n{text}\n```\n\n</div>'
            )
        for figure in left["figures"]:
            alt, caption = (cell.metadata.get(key, "") for key in ("alt", "caption"))
            image = f"[![{alt}](output/{figure}){{ loading=lazy }}](output/{figure})"
            parts.append(
                f"<figure markdown>\n{image}\n<figcaption>{caption}</figcaption>\n</figure>"
            )
    return "\n\n".join(parts) + "\n"


def download(name: str) -> str:
    """The executed notebook."""
    book = notebook(name)
    for cell, left in zip(code_cells(book), kept_output(name, book), strict=True):
        if left["text"]:
            cell.outputs.append(
                v4.new_output("stream", name="stdout", text=left["text"])
            )
        for figure in left["figures"]:
            image = base64.b64encode((OUTPUT / figure).read_bytes()).decode()
            cell.outputs.append(v4.new_output("display_data", {"image/png": image}))
    return jupytext.writes(book, fmt="ipynb")


def on_files(files, *, config):
    """MkDocs: a page and a notebook for every tutorial."""
    from mkdocs.structure.files import File

    for name in names():
        for suffix, content in (("md", page(name)), ("ipynb", download(name))):
            files.append(
                File.generated(config, f"tutorials/{name}.{suffix}", content=content)
            )
    return files


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Run the tutorials and keep their output."
    )
    parser.add_argument("names", nargs="*", choices=[*names(), []], help="some of them")
    sys.path.insert(0, str(Path(__file__).parent))
    for name in parser.parse_args().names or names():
        run(name)
        seconds = json.loads((OUTPUT / f"{name}.json").read_text())["seconds"]
        print(f"{name}: {seconds} s", flush=True)


if __name__ == "__main__":
    main()
