"""Fewer weights at the same accuracy, and the reference inspection model to try it on."""
