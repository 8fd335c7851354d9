"""`python -m chunky_core`: see `chunky_core.cli`."""

import sys

try:
    from .cli import main  # takes seconds, in which Ctrl-C is no news for a traceback
except KeyboardInterrupt:
    print("stopped", file=sys.stderr)
    raise SystemExit(130) from None

raise SystemExit(main())
