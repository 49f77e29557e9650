"""Modules: the portal's scripts, joined when they are served: a first view asks for one and not for twelve.

There is no build: the sources are ES modules that a browser runs as they are. Each becomes a function of its
own, in the order in which they need one another, and an import becomes a look into what that function
returned. What is loaded later (``import("./settings.js")``) is joined in the same way, less the modules that
the first script brought: of those there is one of each, as the browser would have it.

Sources keep to what this reads: imports first, one line each, by names, without cycles; ``export`` before a
declaration or names in braces.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

# What the first script of each kind of page brings: where it starts, and what it would load at once.
FIRST = {
    "team": ("app.js", "team.js", "inbox.js"),
    "customer": ("app.js", "customer.js"),
    "file": ("app.js", "file.js"),
}
_IMPORT = re.compile(r'^import \{ ([^}]*) \} from "\./([a-z]+\.js)";$', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async function|function|const|class) ([\w$]+))", re.MULTILINE)
_EXPORTED = re.compile(r"^export \{ ([\w$, ]+) \};$", re.MULTILINE)
_LATER = re.compile(r'import\("\./([a-z]+\.js)"\)')

Source = Callable[[str], str]


def kind_of(path: str) -> str:
    """Return which kind of page a request's path is, as app.js tells it."""
    if path == "/file":
        return "file"
    return "customer" if re.match(r"/portal/[^/]", path) else "team"


def joined(kind: str, name: str, source: Source) -> str:
    """Return module *name* with all that it imports, as pages of *kind* load it."""
    first = _needed(FIRST[kind], source)
    if name == FIRST[kind][0]:
        there = [each for each in first if each != name]
        parts = [_function(each, source(each), first) for each in there]
        # What is loaded later imports this one and would wait for ever for one that waits for it.
        start = f"(async () => {{\n{_body(source(name), first)}}})();"
        return "\n".join([*parts, f"export {{ {_names(there)} }};", start, ""])
    more = [each for each in _needed((name,), source) if each not in first]
    there = [each for each in first if each != FIRST[kind][0]]
    parts = [_function(each, source(each), [*first, *more]) for each in more]
    exported = f"export const {{ {', '.join(_exports(source(name)))} }} = {_variable(name)};\n"
    return "\n".join([f'import {{ {_names(there)} }} from "./{FIRST[kind][0]}";', *parts, exported])


def _needed(names: Iterable[str], source: Source) -> list[str]:
    """Return *names* and what they import, each after what it needs."""
    found: list[str] = []

    def visit(name: str, above: tuple[str, ...]) -> None:
        if name in above:
            raise ValueError(f"{name} imports itself by way of {above[-1]}")
        if name not in found:
            for _, needed in _IMPORT.findall(source(name)):
                visit(needed, (*above, name))
            found.append(name)

    for each in names:
        visit(each, ())
    return found


def _function(name: str, text: str, there: Iterable[str]) -> str:
    returned = ", ".join(_exports(text))
    return (
        f"const {_variable(name)} = (() => {{ // {name}\n{_body(text, there)}return {{ {returned} }};\n}})();"
    )


def _body(text: str, there: Iterable[str]) -> str:
    known = set(there)
    text = _IMPORT.sub(lambda m: f"const {{ {m[1].replace(' as ', ': ')} }} = {_variable(m[2])};", text)
    text = _EXPORTED.sub("", _EXPORT.sub("", text))
    return _LATER.sub(lambda m: f"Promise.resolve({_variable(m[1])})" if m[1] in known else m[0], text)


def _exports(text: str) -> list[str]:
    return [*_EXPORT.findall(text), *(n.strip() for m in _EXPORTED.findall(text) for n in m.split(","))]


def _variable(name: str) -> str:
    return "$" + name.removesuffix(".js")


def _names(modules: Iterable[str]) -> str:
    return ", ".join(_variable(each) for each in modules)
