"""Templates compiled ahead: used for the very template they were made of, and for nothing else."""

import pytest
from jinja2 import DictLoader, Environment, FileSystemLoader

from servelo.mail import outbound
from servelo.mail.template_cache import TemplateCache, compile_all


def environment(folder, **templates: str) -> Environment:
    loader = DictLoader({f"{name}.txt.j2": source for name, source in templates.items()})
    return Environment(loader=loader, bytecode_cache=TemplateCache(folder))  # noqa: S701 - plain text


def compiled(folder, **templates: str) -> None:
    made = environment(folder, **templates)
    compile_all(made, made.loader, folder)


@pytest.fixture
def _no_compiler(monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("compiled")

    monkeypatch.setattr(Environment, "compile", refuse)


def test_compiled_template_is_used_as_it_is(tmp_path, request):
    compiled(tmp_path, greeting="Hello {{ name }}")
    request.getfixturevalue("_no_compiler")

    made = environment(tmp_path, greeting="Hello {{ name }}")

    assert "Hello Jo" == made.get_template("greeting.txt.j2").render(name="Jo")


def test_template_that_was_changed_since_is_compiled_again(tmp_path):
    compiled(tmp_path, greeting="Hello {{ name }}")

    made = environment(tmp_path, greeting="Dear {{ name }}")

    assert "Dear Jo" == made.get_template("greeting.txt.j2").render(name="Jo")


def test_file_of_another_interpreter_is_left_alone(tmp_path):
    compiled(tmp_path, greeting="Hello {{ name }}")
    file = tmp_path / "greeting.txt.j2.bin"
    file.write_bytes(b"another" + file.read_bytes())

    made = environment(tmp_path, greeting="Hello {{ name }}")

    assert "Hello Jo" == made.get_template("greeting.txt.j2").render(name="Jo")


def test_nothing_is_written_while_a_mail_is(tmp_path):
    environment(tmp_path, greeting="Hello {{ name }}").get_template("greeting.txt.j2")

    assert [] == list(tmp_path.iterdir())


def test_all_templates_of_mails_are_compiled_and_name_no_place_of_the_build(tmp_path):
    made = outbound.environment()
    assert isinstance(made.loader, FileSystemLoader)

    count = compile_all(made, made.loader, tmp_path)

    files = list(tmp_path.glob("*.j2.bin"))
    assert len(made.list_templates(extensions=["j2"])) == count == len(files)
    assert not any(str(made.loader.searchpath[0]).encode() in file.read_bytes() for file in files)
