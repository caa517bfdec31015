"""Tests of mlm/backend.

Covered elsewhere:
    hardware, replicas, startup by test_devices
"""
