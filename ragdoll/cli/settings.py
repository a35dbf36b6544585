"""From the configuration to the plain arguments of the library."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragdoll.config import Config
from ragdoll.errors import UsageError

if TYPE_CHECKING:
    from ragdoll.corpus.documents import Corpus
    from ragdoll.distillation.features.featurize import FeaturizeSettings
    from ragdoll.distillation.training.train import TrainSettings
    from ragdoll.pipeline import RunSettings
    from ragdoll.retrieval.writing.job import IndexSettings


def corpus(config: Config) -> Corpus:
    """Open what is to be learned from.

    Raises:
        UsageError: no corpus is given anywhere.
    """
    return _open(config, _corpus_paths(config))


def documents(config: Config) -> Corpus:
    """Open what is to be searched: ``[index].docs``, else ``[corpus].path``.

    Raises:
        UsageError: neither is given anywhere.
    """
    return _open(config, config.index.docs or _corpus_paths(config))


def featurize(config: Config) -> FeaturizeSettings:
    """The settings of the teacher's pass."""
    from ragdoll.distillation.features.featurize import FeaturizeSettings

    return FeaturizeSettings(
        teacher=teacher(config.teacher.model),
        output=Path(config.featurize.output),
        corpus=_description(config),
        target=config.featurize.target,
        max_means=config.featurize.max_means,
        batch_size=config.featurize.batch_size,
        device=config.teacher.device,
        dtype=config.teacher.dtype,
    )


def teacher(name: str) -> str:
    """A teacher's name, which for a folder does not depend on the current one."""
    folder = Path(os.path.expanduser(name))  # noqa: PTH111 (takes any name)
    return str(folder.resolve()) if os.path.isdir(folder) else name  # noqa: PTH112


def train(config: Config) -> TrainSettings:
    """The settings of the training."""
    from ragdoll.distillation.training.train import TrainSettings

    section = config.train
    return TrainSettings(
        features=Path(section.features or config.featurize.output),
        output=_behind_links(section.output),
        method=section.method,
        pca_dims=section.pca_dims,
        vocab_size=section.vocab_size,
        batch_size=None if section.batch_size == "auto" else section.batch_size,
        lr=None if section.lr == "auto" else section.lr,
        patience=section.patience,
        epochs=None if section.epochs == "auto" else section.epochs,
        seed=section.seed,
        device=section.device,
        save_dtype=section.save_dtype,
    )


def index(config: Config) -> IndexSettings:
    """The settings of the table. The model may be named by its hub id, if it is cached."""
    from ragdoll.retrieval.writing.job import IndexSettings

    section = config.index
    return IndexSettings(
        database=database(config),
        table=section.table,
        model=model_folder(section.model or config.train.output),
        metric=None if section.metric == "auto" else section.metric,
        chunk_size=section.chunk_size,
        columns=section.metadata,
    )


def run(config: Config, retrain: bool, restart: bool, overwrite: bool) -> RunSettings:
    """The settings of all three stages, and what is asked for although nothing changed."""
    from ragdoll.pipeline import RunSettings

    stages = featurize(config), train(config), index(config)
    return RunSettings(*stages, retrain, restart, overwrite)


def database(config: Config) -> str:
    """The database's folder or URI; a file:// URI is a folder."""
    return config.index.database.removeprefix("file://")


def alpha(config: Config) -> float | None:
    """The weight of the vector in a hybrid search; None where the table says."""
    return None if config.query.alpha == "auto" else config.query.alpha


def model_folder(name: str) -> Path:
    """The folder of a model that is named by its path, or by its hub id where it is cached."""
    from ragdoll.embedding.identity import find_model

    return Path(name) if Path(name).is_dir() else find_model(name) or Path(name)


def _behind_links(path: str) -> Path:
    """What a link leads to: a folder that is replaced is renamed, and would be the link itself."""
    return Path(os.path.realpath(path)) if Path(path).is_symlink() else Path(path)


def _corpus_paths(config: Config) -> list[str]:
    if not config.corpus.path:
        raise UsageError(
            "No corpus is given.",
            hint="Name a folder, a file, a dataset (OWNER/NAME) or python:PACKAGE: on the command "
            "line, in RAGDOLL_CORPUS_PATH, or as path in the section [corpus] of ragdoll.toml.",
        )
    return config.corpus.path


def _open(config: Config, paths: list[str]) -> Corpus:
    from ragdoll.corpus.reading import open_corpus

    section = config.corpus
    return open_corpus(
        paths,
        text_key=section.text_key,
        name=section.name,
        split=section.split,
        streaming=section.streaming,
        ignore_files=section.ignore_files,
    )


def _description(config: Config) -> dict[str, Any]:
    """The corpus as it was named, independent of the current folder."""
    section = config.corpus
    paths = [
        str(Path(path).resolve()) if Path(path).exists() else path for path in _corpus_paths(config)
    ]
    return {
        "path": paths,
        "text_key": section.text_key,
        "name": section.name,
        "split": section.split,
        "ignore_files": section.ignore_files,
    }
