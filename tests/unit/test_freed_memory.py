"""What an update frees stays with the process, so that the next one need not ask for it again."""

import platform
import subprocess
import sys

import pytest

UPDATES = """
import resource
import numpy as np
from harness.worker import freed_memory

if {keep}:
    freed_memory.keep()
np.ones(2**18)  # mapped, and freed: blocks of this size come from the heap from here on
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for update in range(50):
    gradients = [np.ones(2**18) for variable in range(4)]
    del gradients
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
PAGES = 4 * 2**18 * 8 // 4096  # of one update


def page_faults(keep):
    command = [sys.executable, "-c", UPDATES.format(keep=keep)]
    return int(subprocess.run(command, capture_output=True, check=True, text=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="what glibc does, and no other")
def test_updates_after_the_first_ask_the_system_for_no_page_once_freed_memory_is_kept():
    assert page_faults(keep=True) < 3 * PAGES
    assert page_faults(keep=False) > 30 * PAGES, "without it the system takes the pages back"
