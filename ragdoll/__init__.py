"""Train a small static embedding model on your documents, index them and search them with it.

>>> import ragdoll
>>> corpus = ragdoll.read("docs")
>>> features = ragdoll.featurize(corpus, "features", teacher="teacher")
>>> model = ragdoll.train("features", "model", ragdoll.TrainSettings(pca_dims=2))
>>> index = ragdoll.Index.create("database", model="model")
>>> index.update(corpus).documents
12
>>> index.search("call a function after a delay", k=1)[0].source
'loop.md'

Names are loaded when they are first used. Public too are the errors in ``ragdoll.errors``, all of
them a ``RagdollError``, and the retrievers in ``ragdoll.integrations``. Everything else in the
package is an implementation detail, which may change without notice.
"""

__version__ = "0.1.0"

# Checkers of types take the name for true; importing it would take longer than all the rest here.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from ragdoll.client import Client
    from ragdoll.corpus.documents import Corpus, Document, Skipped
    from ragdoll.corpus.reading import read
    from ragdoll.distillation.features.featurize import FeaturizeResult, featurize
    from ragdoll.distillation.training.train import TrainResult, train
    from ragdoll.embedding.identity import ModelIdentity
    from ragdoll.embedding.static import Encoder, StaticModel
    from ragdoll.errors import RagdollError
    from ragdoll.evaluation.evaluate import Evaluation, evaluate
    from ragdoll.pipeline import RunResult, run
    from ragdoll.retrieval.answers import Hit, StoredDocument, StoredPassage
    from ragdoll.retrieval.index import Index
    from ragdoll.retrieval.writing.target import IndexResult
    from ragdoll.settings import (
        CorpusSettings,
        EngineSettings,
        EvaluateSettings,
        FeaturizeSettings,
        IndexSettings,
        QuerySettings,
        ServeSettings,
        Settings,
        TeacherSettings,
        TrainSettings,
    )

_PLACES = {
    "client": ("Client",),
    "corpus.documents": ("Corpus", "Document", "Skipped"),
    "corpus.reading": ("read",),
    "distillation.features.featurize": ("FeaturizeResult", "featurize"),
    "distillation.training.train": ("TrainResult", "train"),
    "embedding.identity": ("ModelIdentity",),
    "embedding.static": ("Encoder", "StaticModel"),
    "errors": ("RagdollError",),
    "evaluation.evaluate": ("Evaluation", "evaluate"),
    "pipeline": ("RunResult", "run"),
    "retrieval.answers": ("Hit", "StoredDocument", "StoredPassage"),
    "retrieval.index": ("Index",),
    "retrieval.writing.target": ("IndexResult",),
    "settings": (
        "CorpusSettings",
        "EngineSettings",
        "EvaluateSettings",
        "FeaturizeSettings",
        "IndexSettings",
        "QuerySettings",
        "ServeSettings",
        "Settings",
        "TeacherSettings",
        "TrainSettings",
    ),
}
_MODULES = {name: module for module, names in _PLACES.items() for name in names}

__all__ = [
    "Client",
    "Corpus",
    "CorpusSettings",
    "Document",
    "Encoder",
    "EngineSettings",
    "EvaluateSettings",
    "Evaluation",
    "FeaturizeResult",
    "FeaturizeSettings",
    "Hit",
    "Index",
    "IndexResult",
    "IndexSettings",
    "ModelIdentity",
    "QuerySettings",
    "RagdollError",
    "RunResult",
    "ServeSettings",
    "Settings",
    "Skipped",
    "StaticModel",
    "StoredDocument",
    "StoredPassage",
    "TeacherSettings",
    "TrainResult",
    "TrainSettings",
    "__version__",
    "evaluate",
    "featurize",
    "read",
    "run",
    "train",
]


if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Load a public name when it is first used (PEP 562)."""
        if name not in _MODULES:
            raise AttributeError(f"module 'ragdoll' has no attribute '{name}'")
        import importlib

        value = getattr(importlib.import_module(f"ragdoll.{_MODULES[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return __all__
