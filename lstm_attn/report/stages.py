"""The two times at which a model is looked at."""

STAGES = ("before", "after")  # training
