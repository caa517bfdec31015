"""The machine that a run uses: its devices, its processes, and the Keras backend.

startup.py         import Keras and its backend quietly; choose JAX if only JAX sees a TPU
hardware.py        processors, signs of a TPU, installed libraries
devices.py         the accelerators of a run, its replicas and its number format
processes.py       the processes of a cluster that train one model together
input_pipeline.py  batches to `fit` and `predict`, prefetched
replicas.py        reductions over the replicas inside a training step
proxies.py         proxies of the environment: loopback goes without
atomic_files.py    replace a file or a folder as a whole
"""
