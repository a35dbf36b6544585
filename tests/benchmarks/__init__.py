"""Measurements, each a script: ``python -m tests.benchmarks.NAME``; not collected by pytest."""
