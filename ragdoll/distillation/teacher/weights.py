"""The weights that a teacher's files lack, or have in other shapes.

transformers gives such weights random numbers, other ones each time, and only logs that it does.
Often that does no harm: few models use their pooler. Here what is missing becomes NaN, which shows
in every vector that depends on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from ragdoll.errors import TeacherError


class Loading:
    """The loading of a teacher's models by transformers, and what it found in their files."""

    def __init__(self) -> None:
        self._reports: list[tuple[Any, dict[str, Any]]] = []
        self._missing: list[str] = []
        self._unknown: list[str] = []

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Take in the report on each model that is loaded meanwhile."""
        from transformers import PreTrainedModel

        method = PreTrainedModel.__dict__["from_pretrained"]

        def from_pretrained(kind: type, *arguments: Any, **options: Any) -> Any:
            reporting = {"output_loading_info": True, "ignore_mismatched_sizes": True}
            report = method.__func__(kind, *arguments, **{**options, **reporting})
            self._reports.append(report)
            return report if options.get("output_loading_info") else report[0]

        setattr(PreTrainedModel, "from_pretrained", classmethod(from_pretrained))  # noqa: B010
        try:
            yield
        finally:
            setattr(PreTrainedModel, "from_pretrained", method)  # noqa: B010

    def check(self, name: str) -> None:
        """Fill the weights that the files lack with NaN, but not those that are tied or computed.

        Raises:
            TeacherError: a tensor has another shape than the teacher's configuration says.
        """
        import torch

        while self._reports:
            model, report = self._reports.pop(0)
            for tensor, shape, expected in sorted(report["mismatched_keys"]):
                raise TeacherError(
                    f"{name} cannot be loaded: the tensor {tensor} has the shape {tuple(shape)}, "
                    f"by the configuration {tuple(expected)}.",
                    hint="Take the config.json that belongs to the weights.",
                )
            weights = dict(model.named_parameters(remove_duplicate=False))
            missing = weights.keys() & set(report["missing_keys"])
            filled = {weights[key].data_ptr() for key in weights.keys() - missing}
            for key in sorted(missing):
                if weights[key].requires_grad and weights[key].data_ptr() not in filled:
                    torch.nn.init.constant_(weights[key], torch.nan)
                    self._missing.append(key)
            self._unknown += sorted(report["unexpected_keys"])

    def refuse_missing(self, name: str, vectors: Iterable[Any]) -> None:
        """Check that no vector of a text depends on weights that the files lack.

        Raises:
            TeacherError: one does.
        """
        if self._missing and any(vector.isnan().any() for vector in vectors):
            others = f"; they name others, such as {self._unknown[0]}" if self._unknown else ""
            raise TeacherError(
                f"{name} cannot be loaded: its files lack the weights {self._missing[0]}{others}.",
                hint="They are damaged, or were saved under other names: save the model anew.",
            )
