"""python -m benchmarks NAME ... --peers --output=FOLDER

Names: recurrent, recurrences, training, attention, memory, decoding, whole_job, trial_layouts,
resident_size.
"""

from benchmarks import command

if __name__ == "__main__":
    command.main()
