"""Docstrings of private modules, under the names that public modules give them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from ragdoll.corpus.documents import LINE
from ragdoll.corpus.sources import python_package as python_exports
from ragdoll.corpus.sources.python_package import PythonSource
from tests.making import open_corpus

TILL = '''"""Private."""


class Till:
    """Counts."""

    def open(self):
        """Open it."""
'''


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def write(place: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        file = place / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)


def titles(name: str = "shop") -> list[str]:
    return [document.title for document in open_corpus([f"python:{name}"])]


def test_what_a_package_offers_of_a_private_module_has_the_packages_name(shop: Path) -> None:
    write(shop, {"shop/__init__.py": "from ._till import Till\n", "shop/_till.py": TILL})
    found = list(open_corpus(["python:shop"]))
    assert [(d.source, d.title, d.metadata[LINE]) for d in found] == [
        ("shop/_till.py#shop.Till", "shop.Till", 4),
        ("shop/_till.py#shop.Till.open", "shop.Till.open", 7),
    ]
    assert found[0].text == "shop.Till\n\nCounts."


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("from ._till import Till as Cash", ["shop.Cash", "shop.Cash.open"]),
        ("from shop._till import Till", ["shop.Till", "shop.Till.open"]),
        ("from ._till import *", ["shop.Till", "shop.Till.open"]),
        ("from ._again import Till", ["shop.Till", "shop.Till.open"]),
        ("from ._again import *", []),
        ("from ._all import *", ["shop.Till", "shop.Till.open"]),
        ("from ._stars import *", ["shop.Till", "shop.Till.open"]),
        ("from ._inner import Till", ["shop.Till", "shop.Till.open"]),
        ("from ._till import Till as _Till", []),
        ("from ._till import Nobody", []),
        ("from ._nowhere import Till", []),
        ("from ...._till import Till", []),
        ("from . import _till", []),
        ("from ._circle import Till", []),
        ("from ._till import Till\n__all__ = []", []),
        ("from ._till import Till\n__all__ = ['Till']", ["shop.Till", "shop.Till.open"]),
        ("from ._till import Till\n__all__ = [n for n in dir()]", ["shop.Till", "shop.Till.open"]),
        ("try:\n    from _c import Till\nexcept ImportError:\n    from ._till import Till", None),
    ],
)
def test_imports_are_followed(shop: Path, statement: str, expected: list[str] | None) -> None:
    write(
        shop,
        {
            "shop/__init__.py": statement + "\n",
            "shop/_till.py": TILL,
            "shop/_again.py": "from ._till import Till\n",
            "shop/_all.py": "from ._till import Till\n__all__ = ['Till']\n",
            "shop/_stars.py": "from ._till import *\n",
            "shop/_inner/__init__.py": "from .._till import Till\n",
            "shop/_circle.py": "from ._circle import *\n",
        },
    )
    assert titles() == (["shop.Till", "shop.Till.open"] if expected is None else expected)


def test_modules_that_all_import_each_other_are_read_in_time(shop: Path) -> None:
    names = [f"_m{number}" for number in range(12)]
    stars = "".join(f"from .{name} import *\n" for name in names)
    modules = {f"shop/{name}.py": stars for name in names}
    write(shop, {"shop/__init__.py": stars, "shop/_till.py": TILL, **modules})
    assert titles() == []


def test_a_module_offers_what_it_lists_and_what_it_takes_by_star(shop: Path) -> None:
    write(
        shop,
        {
            "shop/_till.py": TILL,
            "shop/listed.py": "from ._till import Till\n__all__ = ['Till']\n",
            "shop/_door.py": 'def lock():\n    """Lock."""\n',
            "shop/starred.py": "from ._door import *\n",
            "shop/_used.py": 'def helper():\n    """Help."""\n',
            "shop/user.py": "from ._used import helper\n",
        },
    )
    assert titles() == ["shop.listed.Till", "shop.listed.Till.open", "shop.starred.lock"]


def test_what_is_offered_twice_is_read_once_and_by_the_first(shop: Path) -> None:
    write(
        shop,
        {
            "shop/__init__.py": "from ._till import Till\nfrom ._again import Till as Cash\n",
            "shop/_till.py": TILL,
            "shop/_again.py": "from ._till import Till\n",
            "shop/cash/__init__.py": "from .._till import Till\n",
        },
    )
    assert titles() == ["shop.Till", "shop.Till.open"]


def test_what_a_public_module_defines_is_named_by_that_module(shop: Path) -> None:
    write(shop, {"shop/__init__.py": "from .till import Till\n", "shop/till.py": TILL})
    assert titles() == ["shop.till", "shop.till.Till", "shop.till.Till.open"]


@pytest.mark.skipif(sys.platform != "linux", reason="names there are no bytes")
def test_a_name_that_is_no_text_is_made_one(shop: Path) -> None:
    place = os.fsdecode(b"shop/caf\xe9")
    write(shop, {f"{place}/__init__.py": "from ._till import Till\n", f"{place}/_till.py": TILL})
    found = [(document.source, document.title) for document in open_corpus(["python:shop"])]
    name = "shop.caf\\udce9.Till"  # as names of files are shown
    assert found == [
        (f"shop/caf\\udce9/_till.py#{name}", name),
        (f"shop/caf\\udce9/_till.py#{name}.open", f"{name}.open"),
    ]


def test_a_private_file_that_is_no_python_is_left_out_once_with_the_reason(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(python_exports, "_TREES", 0)  # as though there were many others
    write(shop, {"shop/__init__.py": "from ._till import a, b\n", "shop/_till.py": "def f(:\n"})
    corpus = open_corpus(["python:shop"])
    assert list(corpus) == []
    (skipped,) = corpus.skipped
    assert skipped.path == "shop/_till.py"
    assert skipped.reason.startswith("line 1: not parsed")


def test_the_signature_changes_with_private_files(shop: Path) -> None:
    write(shop, {"shop/__init__.py": "from ._till import Till\n", "shop/_till.py": TILL})
    before = PythonSource("shop").signature()
    write(shop, {"shop/_till.py": TILL + "\n"})
    assert PythonSource("shop").signature() != before


def test_the_futures_of_the_standard_library_are_found() -> None:
    assert "concurrent.futures.Future.add_done_callback" in titles("concurrent.futures")
