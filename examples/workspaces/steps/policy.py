"""How often the steps try again."""

from provisioning_core import MissingExtra, Retry

THREE_TIMES = Retry(attempts=3, initial=0.3, factor=2.0, maximum=5.0, jitter=0.1, give_up_on=(MissingExtra,))
PATIENTLY = Retry(attempts=5, initial=0.3, factor=2.0, maximum=5.0, jitter=0.1, give_up_on=(MissingExtra,))
"""For compensations: what can't be undone stays behind."""
