"""The same cases by other libraries, imported in the processes of their contenders."""
