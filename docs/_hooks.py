"""MkDocs hooks: `{{ README }}` in a page becomes the README, with links that hold on the site;
`{{ derived table }}` the table of what is derived for every group, `{{ rules table }}` that of the
types with rules of their own; `{{ exact where table }}` and its like, and
`{{ exact where: NAME / NAME }}`, `{{ speed: NAME }}` and `{{ start: NAME }}`, what the benchmarks
measured; `{{ field table: NAME }}` what a task of the field gave.

The README's links start at the repository's root. On the site those into `docs/` lose that
prefix; those to any other file of the repository have no page and become plain text.
"""

import re
import sys
from pathlib import Path

_README = Path(__file__).parent.parent / "README.md"
_MEASURED = re.compile(r"\{\{ (exact where|speed|start|ensembles|field table): ([^}]+) \}\}")
_LINK = re.compile(r"(?P<label>!?\[[^\[\]]*\])\((?P<target>[^)\s]+)\)")


def _relink(link: re.Match[str]) -> str:
    label, target = link["label"], link["target"]
    if re.match(r"#|[a-z]+:", target):
        return link[0]
    if target.startswith("docs/"):
        return f"{label}({target.removeprefix('docs/')})"
    return label.lstrip("![").rstrip("]")


def on_page_markdown(markdown: str, **_: object) -> str:
    """Put README and table where a page asks for them."""
    if "{{ README }}" in markdown:
        markdown = markdown.replace("{{ README }}", _LINK.sub(_relink, _README.read_text("utf-8")))
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
    }
    for name, table in tables.items():
        if f"{{{{ {name} table }}}}" in markdown:
            markdown = markdown.replace(f"{{{{ {name} table }}}}", table())
    numbers = {
        "exact where": _measured.exact_where,
        "speed": _measured.speed,
        "start": _measured.start,
        "ensembles": _measured.ensembles,
        "field table": field_table,
    }
    return _MEASURED.sub(lambda match: numbers[match[1]](*match[2].split(" / ")), markdown)
