"""Configs: one get_config() a file. Each docstring is a lab note: command, cost, what was seen."""
