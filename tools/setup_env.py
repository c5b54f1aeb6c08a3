#!/usr/bin/env python3
"""Make the Python environment of this checkout when it is missing or stale: `python3 tools/setup_env.py --help`.

Runs before anything is installed: standard library only. This file stays readable for any Python 3,
so that one that is too old gets a sentence instead of a syntax error.
"""

import sys

if sys.version_info < (3, 10):
    sys.exit(
        "setup: Python 3.10 or newer is needed, this is %d.%d; set PYTHON=python3.11, for example"
        % sys.version_info[:2]
    )

from envsetup.command import main

if __name__ == "__main__":
    sys.exit(main())
