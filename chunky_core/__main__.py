"""`python -m chunky_core`: see `chunky_core.cli`."""

from .cli import main

raise SystemExit(main())
