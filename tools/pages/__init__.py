"""Writes sections of this repository's README from run folders and benchmark records."""
