"""What a thing consists of, as lines of text that are the same in every process.

Two runs are one and the same if their optimisers, losses and data are, and no name tells that: all
lambdas share one, and the learning rate of an Optax optimiser is in the closures of its functions. So
a description walks through what a thing holds. Numbers and arrays are told by their values; functions
by their instructions, closures, defaults, and the globals they read; what a library offers by name, by
that name and the library's version. Nothing is called, pickled or imported on the way.
"""

from typing import Any, NamedTuple

from ._functions import look
from ._names import class_name, equal_up_to_versions
from ._parts import Part, digest, short

MOST_LINES = 2_000
"""Further lines are told by one hash together, since every checkpoint holds the description."""

MOST_PARTS = 100_000
"""Looked at in a few seconds; what is beyond is named as not seen."""

LONGEST_PATH = 500
"""Characters; longer ones go on from their hash."""


class Description(NamedTuple):
    """Lines `path=text`, and the paths of what could not be looked into."""

    lines: list[str]
    unseen: list[str]


def describe(name: str, thing: Any) -> Description:
    """What a thing consists of; the path of every part begins with `name`."""
    lines, unseen = [], []
    met: dict[int, tuple[str, Any]] = {}  # with what was met, lest its identity be used again
    stack = [(name, thing)]
    while stack:
        path, thing = stack.pop()
        if id(thing) in met:
            lines.append(f"{path}=as {met[id(thing)][0]}")
            continue
        try:
            part = look(thing)
        except Exception as error:  # of a stranger's class, whatever it may be
            part = Part(f"{class_name(type(thing))}, {type(error).__name__}", seen=False)
        if part.parts and type(thing) is not tuple:  # equal constants may be one tuple, or two
            met[id(thing)] = path, thing
        if not part.seen:
            unseen.append(f"{path} ({part.text})")
        lines.append(f"{path}={part.text}")
        if len(lines) == MOST_PARTS:
            unseen.append(f"what follows {path}, the {MOST_PARTS:,}th part")
            break
        if len(path) > LONGEST_PATH:
            path = f"{path[:LONGEST_PATH]}…{digest(path.encode())}"
        stack.extend((path + step, child) for step, child in reversed(part.parts))
    if len(lines) > MOST_LINES:
        rest = "\n".join(lines[MOST_LINES:])
        lines[MOST_LINES:] = [f"{name} (rest)={rest.count(chr(10))} lines, {digest(rest.encode())}"]
    return Description(lines, unseen)


@look.register(set)
@look.register(frozenset)
def _set(thing: Any) -> Part:
    """Sorted by content: the order of a set of strings differs from process to process."""
    told = [describe("", member) for member in thing]
    text = ", ".join(sorted("; ".join(line.removeprefix("=") for line in x.lines) for x in told))
    return Part(
        f"{class_name(type(thing))} {{{short(text)}}}", seen=not any(x.unseen for x in told)
    )


def differences(theirs: list[str], ours: list[str]) -> tuple[list[str], list[str]]:
    """How two descriptions differ: in what they describe, and only in versions. Each difference reads
    "path was … and is …"."""
    was, now = (dict(line.split("=", 1) for line in lines) for lines in (theirs, ours))
    content, versions = [], []
    for path in dict.fromkeys([*was, *now]):
        old, new = was.get(path, "absent"), now.get(path, "absent")
        if old != new:
            found = versions if equal_up_to_versions(old, new) else content
            found.append(f"{path} was {old} and is {new}")
    if theirs != ours and not content and not versions:
        content.append("the parts were in another order")
    return content, versions
