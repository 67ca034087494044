"""The parts of the runtime in tflite.py.

edgetpu.py    the Edge TPU's library and device, and why they cannot be had
files.py      whether a file is whole and for whom, before it is loaded; a tiny one
messages.py   what TensorFlow Lite says where it takes no model -> our errors
"""
