"""The cells of a grid trained into a run folder: resume, progress, machine, flags, launchers."""
