"""The service on a board: serves models, each in a worker process of its own, and measures them."""
