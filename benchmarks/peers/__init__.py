"""The same cases by other libraries: one file a library, imported in that contender's process."""
