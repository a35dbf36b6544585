"""Options that commands share. Each stands for the setting that its help names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

_COMMON = "Common options"
_DATASET = "Corpus options"


def auto_or(kind: type[int | float]) -> Callable[[str], int | float | str]:
    """Parse a number or the word ``auto``."""

    def parse(text: str) -> int | float | str:
        try:
            return text if text == "auto" else kind(text)
        except ValueError:
            name = "whole number" if kind is int else "number"
            raise typer.BadParameter(f"'{text}' is neither a {name} nor 'auto'") from None

    return parse


Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="Settings; default: ./ragdoll.toml.",
        rich_help_panel=_COMMON,
    ),
]
Json = Annotated[
    bool,
    typer.Option(
        "--json", help="Print JSON on standard output, and nothing else.", rich_help_panel=_COMMON
    ),
]
Quiet = Annotated[
    bool,
    typer.Option("--quiet", "-q", help="No progress and no notes.", rich_help_panel=_COMMON),
]
Verbose = Annotated[
    bool,
    typer.Option(
        "--verbose",
        "-v",
        rich_help_panel=_COMMON,
        help="Say where each setting came from; show tracebacks.",
    ),
]

Teacher = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Sentence-transformer: hub id or folder. [teacher.model]"),
]
Device = Annotated[
    str | None,
    typer.Option(metavar="DEVICE", help="auto, cpu, cuda, cuda:0 or mps. [teacher.device]"),
]
TrainDevice = Annotated[
    str | None,
    typer.Option(
        "--device", metavar="DEVICE", help="auto, cpu, cuda, cuda:0 or mps. [train.device]"
    ),
]
Dtype = Annotated[
    Literal["auto", "float32", "bfloat16", "float16"] | None,
    typer.Option(help="Type the teacher computes in. [teacher.dtype]"),
]
TrustRemoteCode = Annotated[
    bool,
    typer.Option(
        "--trust-remote-code", help="Run code that comes with the teacher. Only if you trust it."
    ),
]

TextKey = Annotated[
    str | None,
    typer.Option(
        metavar="KEY",
        rich_help_panel=_DATASET,
        help="Key or column of the text in JSON, CSV, Parquet and datasets. [corpus.text_key]",
    ),
]
DatasetName = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        rich_help_panel=_DATASET,
        help="Configuration of the Hugging Face dataset. [corpus.name]",
    ),
]
DatasetSplit = Annotated[
    str | None,
    typer.Option(
        metavar="SPLIT",
        rich_help_panel=_DATASET,
        help="Split of the Hugging Face dataset. [corpus.split]",
    ),
]
Streaming = Annotated[
    bool | None,
    typer.Option(
        "--streaming/--no-streaming",
        rich_help_panel=_DATASET,
        help="Stream the Hugging Face dataset, or download it first. [corpus.streaming]",
    ),
]
NoIgnore = Annotated[
    bool,
    typer.Option(
        "--no-ignore",
        rich_help_panel=_DATASET,
        help="Also read what .gitignore and .ragdollignore leave out. [corpus.ignore_files]",
    ),
]


def corpus_settings(
    text_key: str | None,
    dataset_name: str | None,
    dataset_split: str | None,
    streaming: bool | None,
    no_ignore: bool,
) -> dict[str, Any]:
    """What the corpus options set."""
    return {
        "corpus.text_key": text_key,
        "corpus.name": dataset_name,
        "corpus.split": dataset_split,
        "corpus.streaming": streaming,
        "corpus.ignore_files": False if no_ignore else None,
    }


Target = Annotated[
    Literal["mean", "sentence"] | None,
    typer.Option(
        help="Target vectors: the mean of the token embeddings, or the teacher's own "
        "sentence embedding. [featurize.target]"
    ),
]
MaxMeans = Annotated[
    int | None,
    typer.Option(metavar="N", help="Embed at most N passages. [featurize.max_means]"),
]

FeaturizeBatchSize = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Size of the teacher's batches: at most the tokens of N passages of full length, and "
        "fewer on a CPU. [featurize.batch_size]",
    ),
]

Method = Annotated[
    Literal["ridge", "tokenlearn"] | None,
    typer.Option(
        help="Training recipe: ridge regression of the targets, or the library tokenlearn's "
        "gradient descent. [train.method]"
    ),
]
PcaDims = Annotated[
    int | None, typer.Option(metavar="N", help="Dimensions of the model. [train.pca_dims]")
]
VocabSize = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Add N terms of the corpus to the teacher's vocabulary: words, and pairs of words, "
        "that it splits. [train.vocab_size]",
    ),
]
TrainBatchSize = Annotated[
    str | None,
    typer.Option(
        metavar="N|auto",
        parser=auto_or(int),
        help="Passages in a step, of the method tokenlearn only. [train.batch_size]",
    ),
]
LearningRate = Annotated[
    str | None,
    typer.Option(
        "--lr",
        metavar="RATE|auto",
        parser=auto_or(float),
        help="Learning rate, of the method tokenlearn only. [train.lr]",
    ),
]
Patience = Annotated[
    int | None,
    typer.Option(
        metavar="N", help="Stop after N validations without a lower loss. [train.patience]"
    ),
]
Epochs = Annotated[
    str | None,
    typer.Option(
        metavar="N|auto",
        parser=auto_or(int),
        help="Stop after N passes over the corpus; auto leaves it to the patience (ridge: 40). "
        "[train.epochs]",
    ),
]
Seed = Annotated[int | None, typer.Option(metavar="N", help="Random seed. [train.seed]")]
SaveDtype = Annotated[
    Literal["float32", "float16", "int8"] | None,
    typer.Option(help="Type of the saved vectors. [train.save_dtype]"),
]

Database = Annotated[
    str | None,
    typer.Option(
        "--database",
        "--vector-data-dir",
        metavar="DIR",
        help="Folder or URI of the LanceDB database. [index.database]",
    ),
]
Table = Annotated[
    str | None, typer.Option(metavar="NAME", help="Table in the database. [index.table]")
]
Metric = Annotated[
    Literal["auto", "cosine", "dot", "l2"] | None,
    typer.Option(help="Similarity; auto is what the model was made for. [index.metric]"),
]
ChunkSize = Annotated[
    int | None,
    typer.Option(metavar="TOKENS", help="A passage has at most so many tokens. [index.chunk_size]"),
]
