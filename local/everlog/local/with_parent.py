"""Become another program that the system kills when its parent dies: ``with_parent.py PARENT_PID PROGRAM ARG...``.

Linux only (prctl(2), PR_SET_PDEATHSIG); the setting survives exec. Run as a plain script, without any import of ours.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Ask for the death signal, then exec."""
    parent, program, *arguments = sys.argv[1:]
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(parent):
        sys.exit("the parent is gone already")
    try:
        os.execv(program, [program, *arguments])  # noqa: S606 - the point of this script
    except OSError as error:
        sys.exit(f"cannot run {program}: {error.strerror}")


if __name__ == "__main__":
    main()
