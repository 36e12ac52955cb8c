"""How much work the tests do: the usual suite, or with INCROOS_BUDGET=full what takes longer (`make test-full`).

And how long they wait for what should come soon. No test judges by the clock.
"""

import os
from typing import Final

FULL: Final = os.environ.get('INCROOS_BUDGET') == 'full'
SECONDS: Final = 600  # so long that only what hangs takes them, also at a load of 20 on two processors
