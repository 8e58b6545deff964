"""Benchmarks: one file a question; figures side by side, written to results/."""
