"""Fuzzing: broken and hostile input for everything that reads what others may have written.

    python -m tests.fuzz [TARGET ...] [--seconds N] [--seed N] [--case N]

A case is made and run by a random generator that depends on seed, target and number alone, so that
``--case`` repeats it. A finding is an exception that ragdoll does not raise on purpose, a process
that dies, more than a second of processor time, 256 MiB more memory than any case before, a file
written outside the case's folder, or output that could forge a terminal. A document that the wall
gives up is none. Not collected by pytest.
"""
