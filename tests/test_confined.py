"""Which paths stay in a folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragdoll.files import is_inside


@pytest.mark.parametrize(
    ("target", "inside"),
    [
        pytest.param("folder/../file", True, id="within"),
        pytest.param("nowhere", True, id="to nothing within"),
        pytest.param("../outside", False, id="out"),
        pytest.param("../nowhere", False, id="to nothing outside"),
        pytest.param("../place2", False, id="to a folder whose name begins alike"),
        pytest.param("link", True, id="to itself"),
        pytest.param("../place/link", True, id="to itself by way of outside"),
    ],
)
def test_links_are_followed(tmp_path: Path, target: str, inside: bool) -> None:
    place = tmp_path / "place"
    (place / "folder").mkdir(parents=True)
    (tmp_path / "place2").mkdir()
    (place / "link").symlink_to(target)
    assert is_inside(place / "link", place) is inside
    (tmp_path / "way").symlink_to("place")
    assert is_inside(tmp_path / "way" / "link", place) is inside
