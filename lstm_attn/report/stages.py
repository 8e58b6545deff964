"""The two times at which a model is looked at."""

BEFORE, AFTER = STAGES = ("before", "after")  # training
