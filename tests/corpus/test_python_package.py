"""The docstrings of a package as a corpus, read from its source files."""

from __future__ import annotations

import ast
import itertools
import json
import sys
import textwrap
import threading
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ragdoll.corpus.documents import LINE, Document
from ragdoll.corpus.sources import python_package
from ragdoll.corpus.sources.python_package import PythonSource
from ragdoll.errors import CorpusError
from tests.making import open_corpus

MakePackage = Callable[[dict[str, str | bytes]], str]


@pytest.fixture
def make_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakePackage:
    """Put modules on the path, named by their files, and return the package's name."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def make(files: dict[str, str | bytes]) -> str:
        for name, content in files.items():
            file = tmp_path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            raw = content if isinstance(content, bytes) else textwrap.dedent(content).encode()
            file.write_bytes(raw)
        return Path(next(iter(files))).parts[0].removesuffix(".py")

    return make


def read(name: str) -> list[Document]:
    return list(open_corpus([f"python:{name}"]))


def titles(name: str) -> list[str]:
    return [document.title for document in read(name)]


def left_out(name: str) -> dict[str, str]:
    corpus = open_corpus([f"python:{name}"])
    list(corpus)
    return {skipped.path: skipped.reason for skipped in corpus.skipped}


def test_a_docstring_is_a_document_titled_with_its_qualified_name() -> None:
    documents = {document.title: document for document in read("json")}
    decode = documents["json.decoder.JSONDecoder.decode"]
    assert decode.root == "python:json"
    assert decode.source == "json/decoder.py#json.decoder.JSONDecoder.decode"
    docstring = "Return the Python representation of ``s`` (a ``str`` instance"
    assert decode.text.startswith(f"json.decoder.JSONDecoder.decode\n\n{docstring}")
    source = Path(json.__file__).with_name("decoder.py").read_text().splitlines()
    assert "def decode(" in source[decode.metadata[LINE] - 1]
    assert set(decode.metadata) == {LINE}


def test_modules_classes_functions_and_methods_are_documented(make_package: MakePackage) -> None:
    name = make_package(
        {
            "shop/__init__.py": '"""A shop."""\n',
            "shop/till.py": '''
                """Takes money."""

                VAT = 20


                class Till:
                    """Counts."""

                    class Drawer:
                        """Holds coins."""

                    def open(self):
                        """Open it."""

                    @property
                    def total(self):
                        """The sum."""

                    def close(self):
                        return None


                def pay(amount):
                    """Pay.

                    At the till:
                        Indented.
                    """


                async def wait():
                    """Wait for change."""
            ''',
        }
    )
    assert [(d.source, d.text, d.metadata[LINE]) for d in read(name)] == [
        ("shop/__init__.py#shop", "shop\n\nA shop.", 1),
        ("shop/till.py#shop.till", "shop.till\n\nTakes money.", 1),
        ("shop/till.py#shop.till.Till", "shop.till.Till\n\nCounts.", 7),
        ("shop/till.py#shop.till.Till.Drawer", "shop.till.Till.Drawer\n\nHolds coins.", 10),
        ("shop/till.py#shop.till.Till.open", "shop.till.Till.open\n\nOpen it.", 13),
        ("shop/till.py#shop.till.Till.total", "shop.till.Till.total\n\nThe sum.", 17),
        ("shop/till.py#shop.till.pay", "shop.till.pay\n\nPay.\n\nAt the till:\n    Indented.", 24),
        ("shop/till.py#shop.till.wait", "shop.till.wait\n\nWait for change.", 32),
    ]


def test_private_and_special_names_are_left_out(make_package: MakePackage) -> None:
    name = make_package(
        {
            "shop/__init__.py": '''
                """A shop."""


                def _till():
                    """Not for customers."""


                class _Drawer:
                    """Not for customers."""

                    def open(self):
                        """Within a private class."""


                class Till:
                    def __init__(self):
                        """Special."""

                    def _count(self):
                        """Private."""

                    def open(self):
                        """Public, in a class without a docstring."""
            '''
        }
    )
    assert titles(name) == ["shop", "shop.Till.open"]


def test_functions_within_functions_are_not_public(make_package: MakePackage) -> None:
    content = '''
        def pay():
            """Pay."""

            def helper():
                """Nobody can call this by its name."""
    '''
    name = make_package({"shop/__init__.py": content})
    assert titles(name) == ["shop.pay"]


def test_blank_docstrings_are_no_documents(make_package: MakePackage) -> None:
    name = make_package({"shop/__init__.py": '"""  \n"""\n\n\ndef pay():\n    ""\n'})
    assert titles(name) == []


def test_half_characters_of_a_docstring_are_replaced(make_package: MakePackage) -> None:
    name = make_package({"shop.py": r'"""A \ud800 shop."""'})
    (document,) = read(name)
    assert document.text == "shop\n\nA \ufffd shop."


def test_the_same_name_twice_is_two_documents(make_package: MakePackage) -> None:
    content = '''
        class Till:
            @property
            def total(self):
                """Get it."""

            @total.setter
            def total(self, value):
                """Set it."""
    '''
    name = make_package({"shop/__init__.py": content})
    assert [document.source for document in read(name)] == [
        "shop/__init__.py#shop.Till.total",
        "shop/__init__.py#shop.Till.total~2",
    ]


def test_nothing_is_imported(make_package: MakePackage) -> None:
    name = make_package(
        {
            "explosive/__init__.py": '"""Raises."""\nraise SystemExit("it was imported")\n',
            "explosive/inner/__init__.py": '"""Too."""\nraise SystemExit("it was imported")\n',
        }
    )
    assert titles(name) == ["explosive", "explosive.inner"]
    assert len(read(f"{name}.inner")) == 1
    assert not {"explosive", "explosive.inner"} & set(sys.modules)


def test_a_file_with_a_syntax_error_is_left_out_with_the_reason(make_package: MakePackage) -> None:
    name = make_package(
        {"shop/__init__.py": '"""A shop."""', "shop/bad.py": "def f(:\n", "shop/new.py": '"""N."""'}
    )
    assert titles(name) == ["shop", "shop.new"]
    assert list(left_out(name)) == ["shop/bad.py"]
    assert left_out(name)["shop/bad.py"].startswith("line 1: not parsed: invalid syntax")


@pytest.mark.parametrize(
    "content", [b"x = '\0'", b"x = '\xff'", b"(" * 1000], ids=["zero", "encoding", "brackets"]
)
def test_a_file_that_is_no_python_is_left_out(content: bytes, make_package: MakePackage) -> None:
    name = make_package({"shop/__init__.py": '"""A shop."""', "shop/bad.py": content})
    assert titles(name) == ["shop"]
    assert list(left_out(name)) == ["shop/bad.py"]


@pytest.mark.parametrize(
    "content", [b"-" * 100_000 + b"1", b"a" + b".b" * 100_000], ids=["operators", "attributes"]
)
def test_a_file_that_is_nested_too_deeply_does_not_stop_the_reading(
    content: bytes, make_package: MakePackage
) -> None:
    name = make_package({"shop/deep.py": content, "shop/__init__.py": '"""A shop."""'})
    assert titles(name) == ["shop"]


def test_a_file_in_the_encoding_that_it_declares_is_read(make_package: MakePackage) -> None:
    content = '# -*- coding: latin-1 -*-\n"""A café."""\n'.encode("latin-1")
    (document,) = read(make_package({"shop/__init__.py": content}))
    assert document.text == "shop\n\nA café."


def test_a_file_with_a_byte_order_mark_is_read(make_package: MakePackage) -> None:
    (document,) = read(make_package({"shop/__init__.py": '"""A café."""\n'.encode("utf-8-sig")}))
    assert document.text == "shop\n\nA café."


def test_reading_repeats_no_warning_of_the_parser(make_package: MakePackage) -> None:
    name = make_package({"shop/__init__.py": '"""A \\d shop."""\n'})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert titles(name) == ["shop"]
    assert [str(warning.message) for warning in caught] == []


def test_tests_and_caches_of_a_package_are_left_out(make_package: MakePackage) -> None:
    name = make_package(
        {
            "shop/__init__.py": '"""A shop."""',
            "shop/tests/test_till.py": '"""Tests."""',
            "shop/test/test_till.py": '"""Tests."""',
            "shop/__pycache__/till.py": '"""Cached."""',
            "shop/testing/till.py": '"""Not a test."""',
            "shop/data.txt": "text",
        }
    )
    assert titles(name) == ["shop", "shop.testing.till"]


def test_the_order_is_that_of_the_files(make_package: MakePackage) -> None:
    files: dict[str, str | bytes] = {
        f"shop/{place}": '"""D."""' for place in ("z.py", "b/c.py", "a.py", "b/__init__.py")
    }
    name = make_package(files)
    assert titles(name) == ["shop.a", "shop.b", "shop.b.c", "shop.z"]


def test_a_module_alone_is_read(make_package: MakePackage) -> None:
    name = make_package({"till.py": '"""Takes money."""\n'})
    assert [(d.root, d.source, d.title) for d in read(name)] == [
        ("python:till", "till.py#till", "till")
    ]


def test_a_package_without_an_init_file_is_read(make_package: MakePackage) -> None:
    assert titles(make_package({"shop/till.py": '"""Takes money."""\n'})) == ["shop.till"]


@pytest.mark.parametrize(("part", "first"), [("inner", "shop.inner"), ("till", "shop.till")])
def test_a_part_of_a_package_has_the_same_names_as_in_the_whole(
    part: str, first: str, make_package: MakePackage
) -> None:
    name = make_package(
        {
            "shop/__init__.py": '"""A shop."""',
            "shop/till.py": '"""Takes money."""',
            "shop/inner/__init__.py": '"""Within."""',
            "shop/inner/door.py": '"""Opens."""',
        }
    )
    found = titles(f"{name}.{part}")
    assert found[0] == first
    assert set(found) < set(titles(name))


@pytest.mark.parametrize(
    "name", ["no_such_package", "", ".", "json.no_such_part", "__main__", "sys", "a b", "../json"]
)
def test_an_unknown_package_is_an_error_that_names_it(name: str) -> None:
    with pytest.raises(CorpusError) as caught:
        read(name)
    assert f"python:{name}." in caught.value.message
    assert "python:stdlib" in str(caught.value.hint)


@pytest.mark.slow
def test_the_standard_library_holds_the_well_known_and_nothing_else() -> None:
    corpus = open_corpus(["python:stdlib"])
    documents = {document.title: document for document in corpus}
    timer = documents["threading.Timer"]
    assert timer.source == "threading.py#threading.Timer"
    assert "Call a function after a specified number of seconds" in timer.text
    source = Path(threading.__file__).read_text().splitlines()
    assert source[timer.metadata[LINE] - 1].startswith("class Timer")
    assert {"asyncio", "json.dumps", "pathlib.Path.glob"} <= set(documents)
    assert len(documents) > 3000
    places = {document.source.split("/")[0] for document in documents.values()}
    assert {"site-packages", "test", "idlelib", "lib2to3"}.isdisjoint(places)
    assert corpus.skipped == []


def test_the_signature_changes_with_the_files(make_package: MakePackage) -> None:
    files: dict[str, str | bytes] = {"shop/__init__.py": '"""A shop."""'}
    name = make_package(files)
    first = PythonSource(name).signature()
    assert PythonSource(name).signature() == first is not None
    make_package(files | {"shop/till.py": '"""Takes money."""'})
    second = PythonSource(name).signature()
    assert second != first
    make_package(files | {"shop/till.py": '"""Takes coins and notes."""'})
    assert PythonSource(name).signature() not in {first, second}


def test_private_modules_are_left_out(make_package: MakePackage) -> None:
    name = make_package(
        {
            "shop/__init__.py": '"""A shop."""',
            "shop/_till.py": '"""Not for others."""',
            "shop/_inner/__init__.py": '"""Not for others."""',
        }
    )
    assert titles(name) == ["shop"]


def test_definitions_under_a_condition_are_read(make_package: MakePackage) -> None:
    content = '''
        try:
            from fast import pay
        except ImportError:
            def pay():
                """Pay slowly."""

        if True:
            class Till:
                """Holds money."""
    '''
    assert titles(make_package({"shop/__init__.py": content})) == ["shop.pay", "shop.Till"]


def test_readings_in_two_threads_leave_the_warnings_of_the_program_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.py"
    file.write_text(r'"""A \d."""')
    calls, parse = itertools.count(), ast.parse
    begun, may_end = ([threading.Event(), threading.Event()] for _ in range(2))

    def in_turn(*arguments: Any, **options: Any) -> Any:
        number = next(calls)
        begun[number].set()
        assert may_end[number].wait(60)
        return parse(*arguments, **options)

    monkeypatch.setattr(python_package.ast, "parse", in_turn)
    before = list(warnings.filters)
    with ThreadPoolExecutor(2) as threads:
        readings = []
        for number in range(2):
            readings.append(threads.submit(python_package._parse, file))
            assert begun[number].wait(60)
        for number in range(2):
            may_end[number].set()
            readings[number].result()
    added = [entry for entry in warnings.filters if entry not in before]
    assert [entry[3].pattern for entry in added] == [python_package._PARSED]  # type: ignore[union-attr]
