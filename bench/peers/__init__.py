"""One driver for each contender, with the same small interface (``bench.driver.Peer``). Each runs in the environment it needs."""
