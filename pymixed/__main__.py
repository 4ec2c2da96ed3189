"""``python -m pymixed`` is the command ``pymixed``."""

import sys

from .cli import main

sys.exit(main())
