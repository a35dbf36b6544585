"""Run the command line as ``python -m ragdoll``."""

from ragdoll.cli import main

if __name__ == "__main__":
    main()
