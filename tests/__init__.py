"""What the tests of several rooms share."""

# Seconds after which a process is taken to hang. Nothing else is decided by a clock.
PATIENCE = 1200
