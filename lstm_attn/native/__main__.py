"""python -m lstm_attn.native: compiles the kernels for this machine; one line says where."""

import sys
import time

from lstm_attn import native
from lstm_attn.errors import UsageError
from lstm_attn.native.library import load


def main() -> int:
    """0 and the path and seconds, or 2 and the reason."""
    start = time.perf_counter()
    if sys.stderr.isatty():
        print("native: compiling ...", end="\r", file=sys.stderr, flush=True)
    try:
        path = native.build()
        load()
    except UsageError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"native: compiled in {time.perf_counter() - start:.1f} s to {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
