"""Benchmarks: one file a question, each run alone as `python -m benchmarks.NAME`.

    recurrent       the LSTM and GRU layers, forward and with their gradients
    training        a whole training step
    attention       dot-product attention
    memory          what long sequences need
    decoding        tokens a second, one step at a time
    trial_layouts   how trials lie on devices
    scaling         training steps beside what the cost model of docs/scaling.md says of them
    resident_size   whether a long run keeps its size

Every contender lives in a process of its own and is checked to compute the same values; then all
take turns, so that the machine's noise hits them alike.
"""
