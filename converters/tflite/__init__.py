"""ONNX -> a full-int8 TFLite file that the Edge TPU's compiler reads: written directly, without TensorFlow.

network.py      the ONNX graph, with its constants and shapes at hand
fold.py         constants that scale and shift a channel go into the weights beside them
lowering.py     the graph in TFLite's operators, NHWC, its tensors not quantised yet; operators/ has one module a family
calibration.py  what the tensors hold on the calibration inputs
joining.py      which tensors that are put together have one scale from the start
quantising.py   scales, zero points and integers for all of it
writer.py       the bytes
gate.py         what every finished file has to keep to, and what of it the Edge TPU will not run
interpreter.py  the file as TFLite computes it here
"""
