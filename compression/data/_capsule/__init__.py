"""The parts of compression/data/capsule.py: what varies, the capsule's surface, what damages it, the camera.

Lengths are in 1/256 of the picture's side, angles in radians. A capsule has its own coordinates: `along` its axis,
cap to body, and `across` it.
"""
