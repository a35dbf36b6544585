"""The errors that ragdoll raises on purpose.

* ``RagdollError``
    * ``UsageError``: the request itself is wrong (an option, a setting, a missing argument)
    * ``CorpusError``: documents cannot be read
    * ``TeacherError``: a teacher cannot be had, or is not what it should be
    * ``FeaturesError``: a features folder is unusable, or was made by other settings
        * ``CorpusChangedError``: a features folder was made from another corpus
    * ``ModelError``: a static model cannot be read
    * ``TrainingError``: training cannot start or cannot go on
    * ``HubError``: a model cannot be uploaded
    * ``TableError``: a database or table cannot be used
        * ``ModelMismatchError``: a table and a model do not belong together
    * ``EngineError``: a cluster cannot be used, or its workers fail
    * ``ServiceError``: a service cannot be reached, or cannot answer
    * ``MissingExtraError``: an optional part of ragdoll is not installed
"""

CREDENTIALS = (
    "Credentials come from the environment: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY for s3://, "
    "GOOGLE_APPLICATION_CREDENTIALS for gs://, AZURE_STORAGE_ACCOUNT_NAME and "
    "AZURE_STORAGE_ACCOUNT_KEY for az://."
)
"""The hint at errors of object storage."""


def first_line(error: BaseException) -> str:
    """Return the first line of an exception's message, or its type where it has no message."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def number_of(thing: str, number: int, plural: str | None = None) -> str:
    """Count things in a message: ``1 row``, ``2 rows``; ``plural`` None is the thing with an s."""
    return f"{number:,} {thing if number == 1 else plural or f'{thing}s'}"


def first_of(names: list[str], most: int) -> str:
    """List the first names in a message, and mark that there are more."""
    return ", ".join(names[:most]) + (", …" if len(names) > most else "")


class RagdollError(Exception):
    """An error that a message explains: the base of all others.

    ``message`` says what is wrong, with the offending value; ``hint`` says what to do about it, or
    is None.

    >>> try:
    ...     read("no/such/folder")
    ... except RagdollError as error:
    ...     print(error.message)
    No file or folder at no/such/folder.
    """

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(RagdollError):
    """Wrong usage or configuration; no work was begun."""


class CorpusError(RagdollError):
    """A corpus or one of its files cannot be read."""


class TeacherError(RagdollError):
    """A teacher cannot be found, loaded or used."""


class FeaturesError(RagdollError):
    """A features folder is damaged, incomplete or made by other settings."""


class CorpusChangedError(FeaturesError):
    """A features folder was made from another corpus than the one that is read."""


class ModelError(RagdollError):
    """A model folder is missing, damaged or of an unknown kind."""


class TrainingError(RagdollError):
    """Training cannot start or cannot go on."""


class HubError(RagdollError):
    """A model cannot be uploaded to the hub."""


class TableError(RagdollError):
    """A database or a table is missing, damaged or not ragdoll's."""


class ModelMismatchError(TableError):
    """A table was made with another model than the one at hand."""


class EngineError(RagdollError):
    """A cluster of workers cannot be used, or its workers fail."""


class ServiceError(RagdollError):
    """A service cannot be reached, or cannot answer."""


class MissingExtraError(RagdollError):
    """An optional part of ragdoll is not installed.

    ``extra`` is its name in the distribution, ``need`` what needs it, ``command`` what installs it.
    """

    def __init__(self, extra: str, need: str, command: str) -> None:
        super().__init__(f"{need} needs the extra '{extra}', which is not installed.", hint=command)
