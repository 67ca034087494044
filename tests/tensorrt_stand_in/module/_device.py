"""The device: CUDA's driver where one is loaded in this process, plain memory of the host otherwise.

The stand-in driver (tests/cuda_stand_in) has the host's memory as the device's: an address is read and written as it
is. Work goes onto a stream through cuLaunchHostFunc, so that it comes after the copies queued before it.
"""

import ctypes
import os

SM_VARIABLE = "BOARDFIT_CUDA_SM"
_MAJOR, _MINOR = 75, 76  # cuda.h, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR
_HOST_FUNCTION = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


def start():
    """CUDA's status after its start, as TensorRT starts it; 0 without a driver."""
    driver = _driver()
    return 0 if driver is None else driver.cuInit(0)


def compute_capability(default):
    """The driver's device 0, or BOARDFIT_CUDA_SM, or `default`; 87 for 8.7. After `start`."""
    driver = _driver()
    if driver is not None:
        parts = []
        for attribute in (_MAJOR, _MINOR):
            value = ctypes.c_int()
            if driver.cuDeviceGetAttribute(ctypes.byref(value), ctypes.c_int(attribute), ctypes.c_int(0)) == 0:
                parts.append(value.value)
        if len(parts) == 2:
            return 10 * parts[0] + parts[1]
    return int(os.environ.get(SM_VARIABLE, default))


def shown(sm):
    """8.7 for 87."""
    return "%d.%d" % divmod(sm, 10)


def has_fast_fp16(sm):
    return sm in (53, 60, 62) or sm >= 70


def has_fast_int8(sm):
    return sm == 61 or sm >= 72


def has_tf32(sm):
    return sm >= 80


def read(address, size):
    """So many bytes at an address of the device, as they are now."""
    return ctypes.string_at(address, size)


def write(address, content):
    ctypes.memmove(address, content, len(content))


def launch(stream, work):
    """Does `work` when it is the stream's turn; at once without a driver or on the default stream. False: refused."""
    driver = _driver()
    if driver is None or not stream:
        work()
        return True

    def run(_):
        _waiting.remove(callback)
        work()

    callback = _HOST_FUNCTION(run)
    _waiting.append(callback)  # C does not keep it alive
    driver.cuLaunchHostFunc.argtypes = [ctypes.c_void_p, _HOST_FUNCTION, ctypes.c_void_p]
    if driver.cuLaunchHostFunc(stream, callback, None) == 0:
        return True
    _waiting.remove(callback)
    return False


def wait(stream):
    """Until the stream has done all that was put on it."""
    driver = _driver()
    if driver is not None and stream:
        driver.cuStreamSynchronize.argtypes = [ctypes.c_void_p]
        driver.cuStreamSynchronize(stream)


_waiting = []


def _driver():
    """The libcuda.so.1 that this process has loaded, whoever did."""
    try:
        return ctypes.CDLL("libcuda.so.1", mode=os.RTLD_NOLOAD | os.RTLD_NOW)
    except OSError:
        return None
