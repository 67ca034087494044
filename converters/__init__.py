"""A model file -> a model file a board can run; no network, no board, no training. Imports no other room."""
