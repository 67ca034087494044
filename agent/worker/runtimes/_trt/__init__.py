"""The parts of the runtime in trt.py.

versions.py   what TensorRT 8.2 to 11 do differently: one table, chosen once
module.py     the `tensorrt` of this Python      messages.py   what it writes to its logger -> our errors
building.py   ONNX -> engine                     execution.py  engine -> runs      transfer.py  arrays <-> device
cuda.py       the few calls of CUDA that a runtime needs; libcuda.py and pycuda.py have them, both over driver.py
missing.py    why there is no CUDA, in words
"""
