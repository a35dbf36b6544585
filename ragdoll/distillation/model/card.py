"""The model card: what a model is, what it was made of, and how to load it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ragdoll.corpus.formats.markdown import escaped


def card(
    shape: Sequence[int],
    record: Mapping[str, Any],
    base_model: str | None,
    place: str | None = None,
) -> str:
    """Return the model card, in Markdown.

    ``shape`` is tokens × dimensions, ``record`` the provenance. ``base_model`` is the teacher for
    the hub's index of models; None leaves it out. ``place`` is the name or path to load the model
    by; None is a placeholder for the path.
    """
    rows, dimension = shape
    place = place or "path/of/this/folder"
    base = f"base_model: {json.dumps(base_model)}\n" if base_model else ""
    variant = record.get("variant", record["recommended"])
    teacher = escaped(record["teacher"]["name"])
    settings = "\n".join(f"| {key} | {value} |" for key, value in record["settings"].items())
    versions = ", ".join(f"{name} {number}" for name, number in record["versions"].items())
    training = (
        "the untrained distillate"
        if variant == "distillate"
        else f"trained with the method `{record['method']}` ({variant})"
    )
    return f"""---
{base}library_name: model2vec
tags:
- embeddings
- static-embeddings
- sentence-transformers
- ragdoll
---

# A static embedding model of {teacher}

A [Model2Vec](https://github.com/MinishLab/model2vec) model, {training} by
ragdoll: {rows:,} token vectors of {dimension} dimensions,
compared by {record["metric"]}. The licence of the teacher applies to what is derived from it.

## Use

```python
from model2vec import StaticModel

model = StaticModel.from_pretrained("{place}")
vectors = model.encode(["a text"])
```

or `SentenceTransformer("{place}")` with sentence-transformers.

## Provenance

| | |
|---|---|
| teacher | {teacher} |
| teacher's fingerprint | {record["teacher"]["fingerprint"]} |
| corpus | {_corpus(record)} |
| passages | {record["rows"]:,} |
| features, SHA-256 | {record["features"].get("identity") or "unknown"} |
{settings}
| passes over the corpus | {record["epochs"]} |
| versions | {versions} |

{_quality(record)}"""


def _quality(record: Mapping[str, Any]) -> str:
    if "heldout_agreement" not in record:
        return "It was not trained: the passages were too few.\n"
    agreement = record["heldout_agreement"]
    return f"""## Quality

| measure | value |
|---|---|
| variance of the targets that the PCA keeps | {record["explained_variance"]:.3f} |
| validation loss (MSE of the best linear map to the targets) | {record["validation_loss"]:.4g} |
| held-out agreement: distillate | {agreement["distillate"]:.3f} |
| held-out agreement: trained, unweighted | {agreement["unweighted"]:.3f} |
| held-out agreement: trained, weighted | {agreement["weighted"]:.3f} |

Held-out agreement is the share of the teacher's ten nearest neighbours, among passages that the
model was not trained on, that the model finds too.
"""


def _corpus(record: Mapping[str, Any]) -> str:
    paths = record["features"].get("corpus", {}).get("path") or ["unknown"]
    return escaped(", ".join(Path(path).name or path for path in paths))
