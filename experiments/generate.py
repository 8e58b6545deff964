"""A trained language model writes on from a prompt, as it draws.

    python -m experiments.generate --run=runs/language_model --prompt="The statement"

The same seed writes the same text.
"""

from lstm_attn.runner import command_line
from lstm_attn.studies import generate

if __name__ == "__main__":
    command_line.run(generate.main)
