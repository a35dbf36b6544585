"""The program: ``ragdoll`` and ``python -m ragdoll``."""

import sys


def main() -> None:
    """Run the command line; say nothing of an interruption while it is being loaded."""
    try:
        from ragdoll.cli import main as command_line

        command_line()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
