"""What a record says of the machine."""

import pytest

from lstm_attn.runner import machine

OLD, NEW = "fpu sse2 avx", "fpu sse2 avx avx2 fma avx512f avx512vl"


@pytest.mark.parametrize(
    ("known", "xla_flags", "bits"),
    [
        (NEW, "", 512),
        ("fpu sse2 avx avx2", "", 256),
        (OLD, "", 256),
        ("fpu sse2", "", 128),
        ("fp asimd", "", None),
        ("", "", None),
        (NEW, "--xla_cpu_max_isa=AVX2", 256),
        (NEW, "--xla_dump_to=/x --xla_cpu_max_isa=AVX", 256),
        (NEW, "--xla_cpu_max_isa=SSE4_2", 128),
        (NEW, "--xla_cpu_max_isa=AVX512", 512),
        (OLD, "--xla_cpu_max_isa=AVX512", 256),
    ],
)
def test_vectors_are_as_wide_as_the_processor_and_xla_allow(known, xla_flags, bits, monkeypatch):
    """By hand, from the flags of /proc/cpuinfo. Catches the width of the processor where XLA is
    limited, and a prefix of a flag taken for it."""
    monkeypatch.setattr(machine, "_of_processor", lambda name: known if name == "flags" else "")
    monkeypatch.setenv("XLA_FLAGS", xla_flags)
    assert machine._vector_bits() == bits


def test_a_machine_without_cpuinfo_is_described(monkeypatch):
    """Catches a traceback where /proc is missing."""

    def missing(self, *arguments, **options):
        raise FileNotFoundError(self)

    monkeypatch.setattr("pathlib.Path.read_text", missing)
    assert machine._of_processor("flags") == ""
    assert machine._vector_bits() is None
    assert machine._processor()
