"""The table of types and their rules for the equations of motion, from the registries themselves."""

import noetherax as nx


def ruled_types() -> list[type]:
    """Public types that have registered a rule."""
    types = {kind for function in nx.dynamics.RULES for kind in function.registry}
    public = [getattr(nx, name) for name in nx.__all__]
    return sorted(
        (x for x in public if isinstance(x, type) and x in types),
        key=lambda x: x.__name__,
    )


def rules_table() -> str:
    """A Markdown table of types × functions."""
    names = [f"`{function.__name__}`" for function in nx.dynamics.RULES]
    lines = [f"| type | {' | '.join(names)} |", f"| --- |{' :---: |' * len(names)}"]
    for kind in ruled_types():
        marks = (
            "✓" if kind in function.registry else "" for function in nx.dynamics.RULES
        )
        lines.append(
            f"| [`{kind.__name__}`][noetherax.{kind.__name__}] | {' | '.join(marks)} |"
        )
    return "\n".join(lines)
