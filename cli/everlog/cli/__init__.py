"""The ``everlog`` command, and the composition of the services."""
