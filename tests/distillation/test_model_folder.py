"""The model folder: replaced as one, never through a link; and its card."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ragdoll.distillation.model import card as model_card
from ragdoll.distillation.model import folder as model_folder
from ragdoll.distillation.training.workplace import workplace
from ragdoll.errors import TrainingError


def test_a_model_whose_replacement_fails_is_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("m", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "which").write_text(name)
    rename = Path.rename

    def interrupted(self: Path, target: Path) -> Path:
        if self.name == "new":
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        model_folder.replace(tmp_path / "m", tmp_path / "new")
    assert (tmp_path / "m" / "which").read_text() == "m"


def made(folder: Path) -> None:
    folder.mkdir()
    (folder / "new").touch()


@pytest.mark.parametrize("role", ["old", "partial"])
@pytest.mark.parametrize(
    "plant", [Path.symlink_to, lambda place, to: made(place)], ids=["link", "folder"]
)
def test_what_stands_in_the_way_of_a_new_model_is_removed_and_not_followed(
    tmp_path: Path, role: str, plant: Callable[[Path, Path], None]
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/mine").touch()
    output = tmp_path / "model"
    output.mkdir()
    plant(model_folder.beside(output, role), tmp_path / "elsewhere")
    made(tmp_path / "by")
    model_folder.discard(model_folder.beside(output, "partial"))
    model_folder.replace(output, tmp_path / "by")
    assert [file.name for file in output.iterdir()] == ["new"]
    assert [file.name for file in (tmp_path / "elsewhere").iterdir()] == ["mine"]
    assert {file.name for file in tmp_path.iterdir()} == {"elsewhere", "model"}


def test_no_work_of_a_training_is_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    model_folder.beside(tmp_path / "model", "training").symlink_to(tmp_path / "elsewhere")
    with (
        pytest.raises(TrainingError, match=r"\.model\.ragdoll-training"),
        workplace(tmp_path / "model"),
    ):
        pytest.fail("it is written through")
    assert not any((tmp_path / "elsewhere").iterdir())


def test_names_are_no_markup_in_a_model_card() -> None:
    record = {
        "teacher": {"name": "<b>x</b>|\n# y\x1b[2J\u202e", "fingerprint": "f"},
        "features": {"corpus": {"path": ["docs/<img src=x>|[a](b)"]}},
        "metric": "cosine",
        "method": "ridge",
        "settings": {},
        "versions": {},
        "rows": 1,
        "epochs": 1,
        "explained_variance": 1.0,
        "validation_loss": 1.0,
        "recommended": "weighted",
        "heldout_agreement": {"distillate": 1.0, "weighted": 1.0, "unweighted": 1.0},
    }
    card = model_card.card((1, 1), record, None)
    assert "| teacher | \\<b\\>x\\</b\\>\\| \\# y\ufffd\\[2J\ufffd |" in card
    assert r"| corpus | \<img src=x\>\|\[a\](b) |" in card
