"""Benchmarks, run as `python -m benchmarks NAME ... --peers --output=FOLDER`.

    recurrent       the LSTM and GRU layers, forward and with their gradients
    recurrences     the linear recurrences and matrix memories
    training        a training step of an LSTM, and of a language model
    attention       dot-product attention
    memory          memory and time of long sequences
    decoding        tokens a second, one step at a time
    whole_job       eight trials trained until solved, ours and an idiomatic Flax loop
    trial_layouts   trials one after another or batched, on one device or on all
    resident_size   the size of a process that trains for an hour

The table: command. What is timed: workloads, data. Who is timed: contenders, ours, language,
jitted, peers; recurrences and recurrence_forms have both. How: comparison, processes. What is
shown: sections, markdown, figures, progress.

In the first five every contender has a process of its own and must compute the same values as ours;
then all take turns, so that the machine's noise hits them alike.
"""
