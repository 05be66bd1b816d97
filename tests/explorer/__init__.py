"""Searches every behaviour of one run, a store and a few engines: the real machine, and a model of all that is around it."""
