"""What the host and the agent agree on: manifests, requests and replies, result rows, board profiles.

Pydantic and the standard library alone; imports no other room.
"""
