"""A trained language model continues a prompt, and shows the text while it draws.

    python -m experiments.generate --run=runs/language_model --prompt="The statement"

The same seed writes the same text.
"""

from absl import flags

from lstm_attn.runner import command_line
from lstm_attn.studies.write_text import command

FLAGS = (
    flags.DEFINE_string("run", "", "A run folder of experiments.language_model."),
    flags.DEFINE_string("cell", "", "Which of its models; the first by default."),
    flags.DEFINE_integer("trial", 0, "Which of its trials."),
    flags.DEFINE_string("prompt", "\n", "What the text begins with."),
    flags.DEFINE_integer("tokens", 500, "How many to write."),
    flags.DEFINE_integer("samples", 1, "Texts to write, all at once."),
    flags.DEFINE_float("temperature", 0.8, "0 takes the likeliest token."),
    flags.DEFINE_integer("top_k", 0, "Only so many of the likeliest tokens; 0 for all."),
    flags.DEFINE_float("top_p", 1.0, "Only the likeliest tokens that reach this probability."),
    flags.DEFINE_float("repetition_penalty", 1.0, "Of tokens that were there; 1 for none."),
    flags.DEFINE_integer("seed", 0, "Of the draws."),
)

if __name__ == "__main__":
    command_line.run(lambda: command(**{flag.name: flag.value for flag in FLAGS}))
