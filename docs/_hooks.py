"""MkDocs hook: what a page asks for in double braces.

`{{ include: NAME.md }}` becomes a file of the repository's root, with links that hold on the site;
`{{ example of README }}` the README's first example; `{{ file: NAME }}` a file as it stands;
`{{ printed: NAME }}` what an example prints; `{{ derived table }}` the table of what is derived for
every group; `{{ rules table }}` that of the types with rules of their own; `{{ exact where table }}`
and its like, and `{{ exact where: NAME / NAME }}`, `{{ speed: NAME }}`, `{{ compiling: NAME / NAME }}`
and `{{ start: NAME }}`, what the benchmarks measured; `{{ field table: NAME }}` what a task of the
field gave.

Links of those files start at the repository's root. On the site those into `docs/` lose that prefix,
those to a file with a page of its own go there, and those to any other file become plain text.
"""

import re
import sys
import textwrap
from pathlib import Path

_ROOT = Path(__file__).parent.parent
_PAGES = {"CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md"}
_PAGES |= {"CITATION.cff": "citation.md"}
_INCLUDED = re.compile(r"^( *)\{\{ (include|file|printed): ([^}]+) \}\}$", re.MULTILINE)
_EXAMPLE = re.compile(r"```python\n.*?\n```", re.DOTALL)
_MEASURED = re.compile(
    r"\{\{ (exact where|speed|compiling|start|ensembles|field table): ([^}]+) \}\}"
)
_LINK = re.compile(r"(?P<label>!?\[[^\[\]]*\])\((?P<target>[^)\s]+)\)")


def _relink(link: re.Match[str]) -> str:
    label, target = link["label"], link["target"]
    if re.match(r"#|[a-z]+:", target):
        return link[0]
    if target in _PAGES:
        return f"{label}({_PAGES[target]})"
    if target.startswith("docs/"):
        return f"{label}({target.removeprefix('docs/')})"
    return label.lstrip("![").rstrip("]")


def _included(match: re.Match[str]) -> str:
    indent, kind, name = match.groups()
    if kind == "include":
        text = _LINK.sub(_relink, (_ROOT / name).read_text("utf-8"))
    elif kind == "file":
        text = f"```yaml\n{(_ROOT / name).read_text('utf-8')}```"
    else:
        text = f"```text\n{(_ROOT / 'docs' / 'gallery' / f'{name}.txt').read_text('utf-8')}```"
    return textwrap.indent(text, indent)


def on_page_markdown(markdown: str, **_: object) -> str:
    """Puts files, tables and numbers where a page asks for them."""
    if "{{ example of README }}" in markdown:
        example = _EXAMPLE.search((_ROOT / "README.md").read_text("utf-8"))
        assert example is not None
        markdown = markdown.replace("{{ example of README }}", example[0])
    markdown = _INCLUDED.sub(_included, markdown)
    sys.path.insert(0, str(Path(__file__).parent))
    if "{{ derived table }}" in markdown:
        from _derived import derived_table

        markdown = markdown.replace("{{ derived table }}", derived_table())
    if "{{ rules table }}" in markdown:
        from _rules import rules_table

        markdown = markdown.replace("{{ rules table }}", rules_table())
    import _measured
    from _field import field_table

    tables = {
        "exact where": _measured.exact_where_table,
        "solvers": _measured.solvers_table,
        "speed": _measured.speed_table,
        "one core": _measured.one_core_table,
        "scaling": _measured.scaling_tables,
        "routes": _measured.routes_table,
        "training": _measured.training_table,
        "accelerator": _measured.accelerator_table,
        "regular start": _measured.regular_start_table,
        "linear part": _measured.linear_part_table,
        "first layer": _measured.first_layer_table,
        "single trajectory": _measured.single_trajectory_table,
    }
    for name, table in tables.items():
        if f"{{{{ {name} table }}}}" in markdown:
            markdown = markdown.replace(f"{{{{ {name} table }}}}", table())
    numbers = {
        "exact where": _measured.exact_where,
        "speed": _measured.speed,
        "compiling": _measured.compiling,
        "start": _measured.start,
        "ensembles": _measured.ensembles,
        "field table": field_table,
    }
    return _MEASURED.sub(
        lambda match: numbers[match[1]](*match[2].split(" / ")), markdown
    )
