"""How much work the tests do: the usual suite, or with INCROOS_BUDGET=full what takes longer (`make test-full`)."""

import os
from typing import Final

FULL: Final = os.environ.get('INCROOS_BUDGET') == 'full'
