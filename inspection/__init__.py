"""From an image to a decision: preprocessing, error map, score, threshold, accuracy.

Needs numpy and Pillow alone and imports no other room: it runs on the host and, in the agent, on the board. Only
pixel_accuracy.py, which the host alone uses, needs scipy, and imports it when it is called.
"""
