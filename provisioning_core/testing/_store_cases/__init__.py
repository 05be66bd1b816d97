"""The cases of the store's contract, by what they are about. ``StoreContract`` and ``SqlStoreContract`` put them together."""
