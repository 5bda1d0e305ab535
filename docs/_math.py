"""MkDocs hook: mathematics is typeset when the site is built, so that it needs no script to be read.

`$…$` and `$$…$$` of a page reach this hook as Arithmatex leaves them. KaTeX (`docs/assets/katex`, its
licence beside it) runs in the V8 that the package mini-racer brings. It comes last, so that the search
index holds the source, and a formula that KaTeX does not accept ends the build.
"""

import html
import json
import re
from pathlib import Path

from mkdocs.exceptions import PluginError
from py_mini_racer import JSEvalException, MiniRacer

KATEX = Path(__file__).parent / "assets" / "katex" / "katex.min.js"
FORMULA = re.compile(
    r'<(?P<tag>span|div) class="arithmatex">\\[(\[](?P<tex>.*?)\\[)\]]</(?P=tag)>',
    re.DOTALL,
)


OPTIONS = {
    "strict": "error",
    "output": "htmlAndMathml",
}  # MathML for readers that speak


def on_post_page(output: str, *, page, **_: object) -> str:
    """Every formula of a finished page."""
    if not FORMULA.search(output):
        return output
    # One engine a page, closed at once: one that is left open keeps Python from ending.
    with MiniRacer() as engine:
        engine.eval(KATEX.read_text("utf-8"))

        def typeset(match: re.Match[str]) -> str:
            tag, tex = match["tag"], html.unescape(match["tex"])
            options = json.dumps({**OPTIONS, "displayMode": tag == "div"})
            try:
                formula = engine.eval(
                    f"katex.renderToString({json.dumps(tex)}, {options})"
                )
            except JSEvalException as error:
                raise PluginError(
                    f"{page.file.src_uri}: {tex}\n{str(error)[:300]}"
                ) from error
            return f'<{tag} class="formula">{formula}</{tag}>'

        return FORMULA.sub(typeset, output)
