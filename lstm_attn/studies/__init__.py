"""One file a question: its config, what it does, its record."""
