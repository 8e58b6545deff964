"""Sections of the README and docs, written from run folders and benchmark files."""
