"""Side-by-side measurements on an NVIDIA GPU with TensorRT, through the board profile desktop-tensorrt.

    python -m benchmarks.gpu       both; exit status 1 where a bar was missed, 2 without such a GPU

presence.py   why there is no GPU to measure on     board.py       an agent of that profile, and models on it
fidelity.py   `host bench` against a bare loop      compressed.py  what compression buys, by precision
"""
