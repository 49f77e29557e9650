"""Modules: joined when they are served, and the same program."""

import re

import pytest

from servelo.portal import modules, pages

SOURCES = {
    "app.js": 'import { greet as hello } from "./el.js";\n\nawait import("./team.js"); hello();\n',
    "el.js": "let count = 0;\nexport const icon = 1;\nexport function greet() { count += 1; }\n",
    "team.js": 'import { icon } from "./el.js";\nexport const later = () => import("./more.js");\nicon;\n',
    "inbox.js": "",
    "more.js": 'import { icon } from "./el.js";\nimport { own } from "./own.js";\n'
    "export async function open() { icon; own; }\n",
    "own.js": "const own = 2;\nexport { own };\n",
}


def test_the_first_script_holds_each_module_once_after_what_it_needs() -> None:
    assert [
        "const $el = (() => { // el.js",
        "let count = 0;",
        "const icon = 1;",
        "function greet() { count += 1; }",
        "return { icon, greet };",
        "})();",
        "const $team = (() => { // team.js",
        "const { icon } = $el;",
        'const later = () => import("./more.js");',
        "icon;",
        "return { later };",
        "})();",
        "const $inbox = (() => { // inbox.js",
        "return {  };",
        "})();",
        "export { $el, $team, $inbox };",
        "(async () => {",
        "const { greet: hello } = $el;",
        "",
        "await Promise.resolve($team); hello();",
        "})();",
    ] == modules.joined("team", "app.js", SOURCES.__getitem__).splitlines()


def test_a_later_script_takes_from_the_first_what_that_has() -> None:
    assert [
        'import { $el, $team, $inbox } from "./app.js";',
        "const $own = (() => { // own.js",
        "const own = 2;",
        "",
        "return { own };",
        "})();",
        "const $more = (() => { // more.js",
        "const { icon } = $el;",
        "const { own } = $own;",
        "async function open() { icon; own; }",
        "return { open };",
        "})();",
        "export const { open } = $more;",
    ] == modules.joined("team", "more.js", SOURCES.__getitem__).splitlines()


def test_modules_that_need_one_another_are_refused() -> None:
    sources = {**SOURCES, "el.js": 'import { later } from "./team.js";\n'}
    with pytest.raises(ValueError, match="imports itself"):
        modules.joined("team", "app.js", sources.__getitem__)


@pytest.mark.parametrize("file", sorted(pages.FOLDER.glob("*.js")), ids=lambda file: file.name)
def test_every_source_has_the_shape_that_is_read(file: object) -> None:
    text = file.read_text()
    rest = modules._EXPORTED.sub("", modules._EXPORT.sub("", modules._IMPORT.sub("", text)))
    assert not re.search(r"^(import|export)\b", rest, re.MULTILINE)
    assert not re.search(r"^export let|^export default", text, re.MULTILINE)
    assert "import.meta" not in text
