"""What a model file consists of: operators, parameters, multiply-adds, memory. Nothing is run, nothing is changed.

inspect.py   the one way in: a file of any of the formats      anatomy.py   what is told of it
onnx.py      of an ONNX file                                   tflite.py    of a TFLite file, also a compiled one
onnx_macs.py   its multiply-adds                               tflite_macs.py   likewise
memory.py    the most memory that activations take at once     cache.py     what would fit on an Edge TPU, estimated
"""
