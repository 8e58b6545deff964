"""Experiments: one file a question, config in, run folder out."""
