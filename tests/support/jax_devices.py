"""Devices of JAX on a CPU, which stand for the cores of a TPU."""


def xla_flags(devices: int) -> str:
    """Return XLA_FLAGS for so many devices of one CPU.

    LLVM's expensive passes are left out: they take half of the time to compile, and a TPU has none.
    """
    return (
        f"--xla_force_host_platform_device_count={devices} "
        "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
    )
