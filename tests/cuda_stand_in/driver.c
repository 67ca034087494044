/* A stand-in for the library of CUDA's driver: device memory is the host's, and work waits until it is waited for.
 *
 * Written against the documentation in cuda.h (CUDA 10.2 to 13), not against who calls it: what that leaves open is
 * answered in the way that shows most mistakes. So copies and events wait in their stream until somebody synchronises
 * it, memory is not cleared, and copies that leave an allocation are refused. With cuda.h (-DWITH_CUDA_H) the compiler
 * holds every function against its prototype there. One thread at a time; contexts are current to each by itself.
 */
#define _GNU_SOURCE
#include "state.h"

/* Errors: numbers and names of cuda.h, descriptions of NVIDIA's driver. */

static const struct { int number; const char *name, *description; } errors[] = {
    {0, "CUDA_SUCCESS", "no error"},
    {1, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {2, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {3, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
    {34, "CUDA_ERROR_STUB_LIBRARY", "CUDA driver is a stub library"},
    {46, "CUDA_ERROR_DEVICE_UNAVAILABLE", "CUDA-capable device(s) is/are busy or unavailable"},
    {100, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
    {101, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
    {201, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
    {400, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"},
    {600, "CUDA_ERROR_NOT_READY", "device not ready"},
    {700, "CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"},
    {709, "CUDA_ERROR_CONTEXT_IS_DESTROYED", "context is destroyed"},
    {719, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
    {800, "CUDA_ERROR_NOT_PERMITTED", "operation not permitted"},
    {801, "CUDA_ERROR_NOT_SUPPORTED", "operation not supported"},
    {802, "CUDA_ERROR_SYSTEM_NOT_READY", "system not yet initialized"},
    {803, "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH", "system has unsupported display driver / cuda driver combination"},
    {804, "CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE", "forward compatibility was attempted on non supported HW"},
    {999, "CUDA_ERROR_UNKNOWN", "unknown error"},
};

static CUresult tell(int number, const char **text, int described) {
    REQUIRE(text, CUDA_ERROR_INVALID_VALUE);
    *text = NULL;
    for (size_t at = 0; at < sizeof errors / sizeof *errors; at++)
        if (errors[at].number == number) *text = described ? errors[at].description : errors[at].name;
    return *text ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult CUDAAPI cuGetErrorName(CUresult number, const char **text) { return tell(number, text, 0); }

CUresult CUDAAPI cuGetErrorString(CUresult number, const char **text) { return tell(number, text, 1); }

/* Initialisation and the device. */

CUresult CUDAAPI cuInit(unsigned flags) {
    ENTER;
    REQUIRE(!flags, CUDA_ERROR_INVALID_VALUE);
    REQUIRE(setting("BOARDFIT_CUDA_DEVICES", 1), CUDA_ERROR_NO_DEVICE);
    is_initialised = 1;
    return CUDA_SUCCESS;
}

CUresult CUDAAPI cuDriverGetVersion(int *version) { /* before cuInit too */
    ENTER;
    REQUIRE(version, CUDA_ERROR_INVALID_VALUE);
    *version = DRIVER;
    return CUDA_SUCCESS;
}

CUresult CUDAAPI cuDeviceGetCount(int *number) {
    INITIALISED;
    REQUIRE(number, CUDA_ERROR_INVALID_VALUE);
    *number = 1;
    return CUDA_SUCCESS;
}

CUresult CUDAAPI cuDeviceGet(CUdevice *device, int ordinal) {
    INITIALISED;
    REQUIRE(device, CUDA_ERROR_INVALID_VALUE);
    REQUIRE(!ordinal, CUDA_ERROR_INVALID_DEVICE);
    *device = 0;
    return CUDA_SUCCESS;
}

CUresult CUDAAPI cuDeviceGetName(char *name, int length, CUdevice device) {
    INITIALISED;
    REQUIRE(name && length > 0, CUDA_ERROR_INVALID_VALUE);
    REQUIRE(!device, CUDA_ERROR_INVALID_DEVICE);
    snprintf(name, length, "%s", getenv("BOARDFIT_CUDA_NAME") ? getenv("BOARDFIT_CUDA_NAME") : "Stand-in");
    return CUDA_SUCCESS;
}

CUresult CUDAAPI cuDeviceTotalMem_v2(size_t *bytes, CUdevice device) {
    INITIALISED;
    REQUIRE(bytes, CUDA_ERROR_INVALID_VALUE);
    REQUIRE(!device, CUDA_ERROR_INVALID_DEVICE);
    *bytes = total_bytes();
    return CUDA_SUCCESS;
}

CUresult CUDAAPI cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice device) {
    INITIALISED;
    REQUIRE(value, CUDA_ERROR_INVALID_VALUE);
    REQUIRE(!device, CUDA_ERROR_INVALID_DEVICE);
    int sm = setting("BOARDFIT_CUDA_SM", 87);
    if (attribute == CU_DEVICE_ATTRIBUTE_INTEGRATED) *value = is_integrated();
    else if (attribute == CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING) *value = 1;
    else if (attribute == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR) *value = sm / 10;
    else if (attribute == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR) *value = sm % 10;
    else return CUDA_ERROR_INVALID_VALUE;
    return CUDA_SUCCESS;
}

/* Contexts: the primary one alone. */

CUresult CUDAAPI cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device) {
    INITIALISED;
    REQUIRE(context, CUDA_ERROR_INVALID_VALUE);
    REQUIRE(!device, CUDA_ERROR_INVALID_DEVICE);
    if (!references++) generation++;
    count("contexts", 1);
    *context = primary();
    return CUDA_SUCCESS;
}

static CUresult release(CUdevice device) {
    REQUIRE(!device, CUDA_ERROR_INVALID_DEVICE);
    REQUIRE(references, CUDA_ERROR_INVALID_CONTEXT);
    count("contexts", -1);
    if (references == 1) finish_all(); /* the last: the context is reset, and what was made in it is gone */
    for (references--; !references && resources; drop(&resources)) count("abandoned", 1);
    return CUDA_SUCCESS;
}

CUresult CUDAAPI cuDevicePrimaryCtxRelease(CUdevice device) {
    INITIALISED;
    return release(device);
}

#if DRIVER >= 11000
CUresult CUDAAPI cuDevicePrimaryCtxRelease_v2(CUdevice device) {
    INITIALISED;
    return release(device);
}
#endif

CUresult CUDAAPI cuCtxPushCurrent_v2(CUcontext context) {
    INITIALISED;
    REQUIRE(context && context == primary() && depth < DEEPEST, CUDA_ERROR_INVALID_CONTEXT);
    stack[depth++] = context;
    count("pushed", 1);
    return CUDA_SUCCESS;
}

CUresult CUDAAPI cuCtxPopCurrent_v2(CUcontext *context) {
    INITIALISED;
    REQUIRE(depth, CUDA_ERROR_INVALID_CONTEXT);
    count("pushed", -1);
    depth--;
    if (context) *context = stack[depth];
    return CUDA_SUCCESS;
}

CUresult CUDAAPI cuCtxSetCurrent(CUcontext context) {
    INITIALISED;
    REQUIRE(!context || context == primary(), CUDA_ERROR_INVALID_CONTEXT);
    int before = depth;
    if (!context) depth -= depth > 0;
    else if (!depth) stack[depth++] = context;
    else stack[depth - 1] = context;
    count("pushed", depth - before);
    return CUDA_SUCCESS;
}

/* Memory. */

CUresult CUDAAPI cuMemGetInfo_v2(size_t *available, size_t *total) {
    CURRENT;
    REQUIRE(available && total, CUDA_ERROR_INVALID_VALUE);
    *available = free_bytes();
    *total = total_bytes();
    return CUDA_SUCCESS;
}

static void *memory(size_t size) {
    size_t whole = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    void *made = aligned_alloc(ALIGNMENT, whole);
    return made ? memset(made, UNCLEARED, whole) : NULL;
}

CUresult CUDAAPI cuMemAlloc_v2(CUdeviceptr *address, size_t size) {
    CURRENT;
    REQUIRE(address && size, CUDA_ERROR_INVALID_VALUE);
    REQUIRE(size <= free_bytes(), CUDA_ERROR_OUT_OF_MEMORY);
    *address = keep(DEVICE, memory(size), size);
    return CUDA_SUCCESS;
}

CUresult CUDAAPI cuMemFree_v2(CUdeviceptr address) {
    CURRENT;
    REQUIRE(find(DEVICE, address), CUDA_ERROR_INVALID_VALUE);
    finish_all();
    return drop(find(DEVICE, address));
}

CUresult CUDAAPI cuMemHostAlloc(void **address, size_t size, unsigned flags) {
    CURRENT;
    REQUIRE(address && size && flags <= MOST_HOST_FLAGS, CUDA_ERROR_INVALID_VALUE);
    REQUIRE(size <= free_bytes(), CUDA_ERROR_OUT_OF_MEMORY);
    *address = (void *)keep(PINNED, memory(size), size);
    return CUDA_SUCCESS;
}

CUresult CUDAAPI cuMemFreeHost(void *address) {
    CURRENT;
    REQUIRE(find(PINNED, (uintptr_t)address), CUDA_ERROR_INVALID_VALUE);
    finish_all();
    return drop(find(PINNED, (uintptr_t)address));
}

CUresult CUDAAPI cuMemcpyHtoDAsync_v2(CUdeviceptr target, const void *source, size_t size, CUstream stream) {
    CURRENT;
    return copy((void *)(uintptr_t)target, source, size, target, stream);
}

CUresult CUDAAPI cuMemcpyDtoHAsync_v2(void *target, CUdeviceptr source, size_t size, CUstream stream) {
    CURRENT;
    return copy(target, (const void *)(uintptr_t)source, size, source, stream);
}

/* Streams and events. */

CUresult CUDAAPI cuStreamCreate(CUstream *stream, unsigned flags) {
    CURRENT;
    REQUIRE(stream && flags <= CU_STREAM_NON_BLOCKING, CUDA_ERROR_INVALID_VALUE);
    CUstream made = (CUstream)keep(STREAM, calloc(1, sizeof *made), 0);
    made->flags = flags;
    made->end = &made->first;
    *stream = made;
    return CUDA_SUCCESS;
}

CUresult CUDAAPI cuStreamQuery(CUstream stream) {
    CURRENT;
    REQUIRE(known_stream(stream), CUDA_ERROR_INVALID_HANDLE);
    return known_stream(stream)->first ? CUDA_ERROR_NOT_READY : CUDA_SUCCESS;
}

CUresult CUDAAPI cuStreamSynchronize(CUstream stream) {
    CURRENT;
    REQUIRE(known_stream(stream), CUDA_ERROR_INVALID_HANDLE);
    finish(known_stream(stream));
    return CUDA_SUCCESS;
}

CUresult CUDAAPI cuCtxSynchronize(void) {
    CURRENT;
    finish_all();
    return CUDA_SUCCESS;
}

CUresult CUDAAPI cuStreamDestroy_v2(CUstream stream) {
    CURRENT;
    REQUIRE(find(STREAM, (uintptr_t)stream), CUDA_ERROR_INVALID_HANDLE);
    finish(stream);
    return drop(find(STREAM, (uintptr_t)stream));
}

CUresult CUDAAPI cuLaunchHostFunc(CUstream stream, CUhostFn function, void *argument) {
    CURRENT;
    REQUIRE(function, CUDA_ERROR_INVALID_VALUE);
    return enqueue(stream, (Work){.function = function, .argument = argument});
}

CUresult CUDAAPI cuEventCreate(CUevent *event, unsigned flags) {
    CURRENT;
    REQUIRE(event && flags <= MOST_EVENT_FLAGS, CUDA_ERROR_INVALID_VALUE);
    REQUIRE(!(flags & CU_EVENT_INTERPROCESS) || flags & CU_EVENT_DISABLE_TIMING, CUDA_ERROR_INVALID_VALUE);
    *event = (CUevent)keep(EVENT, calloc(1, sizeof **event), 0);
    (*event)->flags = flags;
    return CUDA_SUCCESS;
}

CUresult CUDAAPI cuEventRecord(CUevent event, CUstream stream) {
    CURRENT;
    REQUIRE(find(EVENT, (uintptr_t)event), CUDA_ERROR_INVALID_HANDLE);
    PASS(enqueue(stream, (Work){.event = event}));
    event->is_recorded = 1;
    event->waiting++;
    return CUDA_SUCCESS;
}

CUresult CUDAAPI cuEventQuery(CUevent event) {
    INITIALISED;
    REQUIRE(find(EVENT, (uintptr_t)event), CUDA_ERROR_INVALID_HANDLE);
    return event->waiting ? CUDA_ERROR_NOT_READY : CUDA_SUCCESS; /* one never recorded is done */
}

CUresult CUDAAPI cuEventSynchronize(CUevent event) {
    CURRENT;
    REQUIRE(find(EVENT, (uintptr_t)event), CUDA_ERROR_INVALID_HANDLE);
    if (event->waiting) finish_all();
    return CUDA_SUCCESS;
}

static CUresult elapsed(float *milliseconds, CUevent start, CUevent end) {
    REQUIRE(milliseconds, CUDA_ERROR_INVALID_VALUE);
    REQUIRE(find(EVENT, (uintptr_t)start) && find(EVENT, (uintptr_t)end), CUDA_ERROR_INVALID_HANDLE);
    REQUIRE(start->is_recorded && end->is_recorded, CUDA_ERROR_INVALID_HANDLE);
    REQUIRE(!((start->flags | end->flags) & CU_EVENT_DISABLE_TIMING), CUDA_ERROR_INVALID_HANDLE);
    REQUIRE(!start->waiting && !end->waiting, CUDA_ERROR_NOT_READY);
    *milliseconds = end->ms - start->ms;
    return CUDA_SUCCESS;
}

CUresult CUDAAPI cuEventElapsedTime(float *milliseconds, CUevent start, CUevent end) {
    CURRENT;
    return elapsed(milliseconds, start, end);
}

#if DRIVER >= 12080
CUresult CUDAAPI cuEventElapsedTime_v2(float *milliseconds, CUevent start, CUevent end) {
    CURRENT;
    return elapsed(milliseconds, start, end);
}
#endif

CUresult CUDAAPI cuEventDestroy_v2(CUevent event) {
    CURRENT;
    REQUIRE(find(EVENT, (uintptr_t)event), CUDA_ERROR_INVALID_HANDLE);
    if (event->waiting) finish_all(); /* the device would have, by the time that it lets the event go */
    return drop(find(EVENT, (uintptr_t)event));
}

#ifndef WITH_CUDA_H /* they have no parameters here */
#include "unsupported.h"
#endif
