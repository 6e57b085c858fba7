"""``python -m minillm``: the command line, also where no script ``minillm`` is on the path."""

from __future__ import annotations

import sys

from minillm.cli import main

if __name__ == "__main__":
    sys.exit(main())
