"""The world of tests/machine serves here too.

The same examples are tried in every run; ``PROVISIONING_THOROUGH=1`` tries many more, other ones each time, and prints how to
have a failing one again.
"""

import os
import sys
from pathlib import Path

from hypothesis import HealthCheck, settings

sys.path.insert(0, str(Path(__file__).parents[1] / "machine"))

IS_THOROUGH = os.environ.get("PROVISIONING_THOROUGH") == "1"

settings.register_profile(
    "machine",
    max_examples=5000 if IS_THOROUGH else 150,
    deadline=None,
    derandomize=not IS_THOROUGH,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("machine")
