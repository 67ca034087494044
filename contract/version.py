"""The versions two processes compare when they meet."""

__version__ = "0.1.0"

API_VERSION = 1
"""Of the management API. A host and an agent with different numbers refuse each other, naming both."""
