"""Numbers in sentences."""


def number_of(thing: str, number: int, plural: str | None = None) -> str:
    """Such as ``1 row`` and ``2 rows``; ``plural`` None is the thing with an s."""
    return f"{number:,} {thing if number == 1 else plural or f'{thing}s'}"
