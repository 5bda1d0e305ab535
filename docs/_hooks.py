"""MkDocs hooks: `{{ README }}` in a page becomes the README, with links that hold on the site, and
`{{ derived table }}` the table of what is derived for every group.

The README's links start at the repository's root. On the site those into `docs/` lose that
prefix; those to any other file of the repository have no page and become plain text.
"""

import re
import sys
from pathlib import Path

_README = Path(__file__).parent.parent / "README.md"
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
    if "{{ derived table }}" in markdown:
        sys.path.insert(0, str(Path(__file__).parent))
        from _derived import derived_table

        markdown = markdown.replace("{{ derived table }}", derived_table())
    return markdown
