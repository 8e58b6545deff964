"""What tests of several folders share."""

# A process that takes longer, in seconds, counts as hung. No other verdict depends on a clock.
PATIENCE = 1200
