/* What the stand-in holds: contexts, allocations, streams with the work that waits in them, events. */
#ifndef STATE_H
#define STATE_H

#include <stdint.h>
#include <time.h>

#include "counting.h"

#ifdef WITH_CUDA_H
#include <cuda.h>
#undef cuDevicePrimaryCtxRelease /* exported as it is called too, beside what cuda.h makes of it */
#undef cuEventElapsedTime
CUresult CUDAAPI cuDevicePrimaryCtxRelease(CUdevice);
CUresult CUDAAPI cuEventElapsedTime(float *, CUevent, CUevent);
#else
#define CUDAAPI
typedef int CUresult, CUdevice, CUdevice_attribute;
typedef unsigned long long CUdeviceptr;
typedef struct CUctx_st *CUcontext;
typedef struct CUstream_st *CUstream;
typedef struct CUevent_st *CUevent;
typedef void (*CUhostFn)(void *);
enum { CUDA_SUCCESS, CUDA_ERROR_INVALID_VALUE, CUDA_ERROR_OUT_OF_MEMORY, CUDA_ERROR_NOT_INITIALIZED };
enum { CUDA_ERROR_NO_DEVICE = 100, CUDA_ERROR_INVALID_DEVICE, CUDA_ERROR_INVALID_CONTEXT = 201 };
enum { CUDA_ERROR_INVALID_HANDLE = 400, CUDA_ERROR_NOT_READY = 600, CUDA_ERROR_CONTEXT_IS_DESTROYED = 709 };
enum { CUDA_ERROR_NOT_PERMITTED = 800, CUDA_ERROR_NOT_SUPPORTED };
enum { CU_DEVICE_ATTRIBUTE_INTEGRATED = 18, CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING = 41 };
enum { CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR = 75, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR };
enum { CU_STREAM_NON_BLOCKING = 1, CU_EVENT_DISABLE_TIMING = 2, CU_EVENT_INTERPROCESS = 4 };
#endif

enum { DEEPEST = 4096, ALIGNMENT = 512, MOST_HOST_FLAGS = 7, MOST_EVENT_FLAGS = 7, UNCLEARED = 0xCD };

typedef enum { DEVICE, PINNED, STREAM, EVENT } Kind;
static const char *const kinds[] = {"device", "pinned", "streams", "events"};

typedef struct Resource {
    struct Resource *next;
    Kind kind;
    uintptr_t address; /* the handle of a stream or an event */
    size_t size;       /* of memory */
} Resource;

typedef struct Work { /* one of: a copy, an event's record, a call */
    void *target;
    const void *source;
    size_t size;
    CUevent event;
    CUhostFn function;
    void *argument;
    struct Work *next;
} Work;

struct CUstream_st {
    unsigned flags;
    Work *first, **end;
};

struct CUevent_st {
    unsigned flags, waiting; /* how many of its records */
    int is_recorded;
    double ms;
};

static int is_initialised, is_in_function;
static Resource *resources;
static struct CUstream_st null_stream = {0, NULL, &null_stream.first};
static long long references;
static uintptr_t generation; /* of the primary context: an older handle is known as one */
static __thread CUcontext stack[DEEPEST];
static __thread int depth;

#define REQUIRE(condition, status) do { if (!(condition)) return status; } while (0)
#define PASS(call) do { CUresult passed = (call); if (passed) return passed; } while (0)
#define ENTER PASS(entered(__func__))
#define INITIALISED ENTER; REQUIRE(is_initialised, CUDA_ERROR_NOT_INITIALIZED)
#define CURRENT INITIALISED; PASS(has_context())

static CUresult entered(const char *name) {
    CUresult status = failure(name, count(name, 1));
    return status ? status : is_in_function ? CUDA_ERROR_NOT_PERMITTED : CUDA_SUCCESS;
}

static CUcontext primary(void) { return references ? (CUcontext)(generation << 4 | 1) : NULL; }

static CUresult has_context(void) {
    REQUIRE(depth, CUDA_ERROR_INVALID_CONTEXT);
    return stack[depth - 1] == primary() ? CUDA_SUCCESS : CUDA_ERROR_CONTEXT_IS_DESTROYED;
}

static long long setting(const char *name, long long otherwise) {
    const char *text = getenv(name);
    return text ? atoll(text) : otherwise;
}

static size_t total_bytes(void) { return setting("BOARDFIT_CUDA_TOTAL_BYTES", 8000000000); }

static int is_integrated(void) { return setting("BOARDFIT_CUDA_INTEGRATED", 1); }

static size_t free_bytes(void) {
    return total_bytes() - count("device_bytes", 0) - (is_integrated() ? count("pinned_bytes", 0) : 0);
}

/* Resources. */

static void count_resource(const Resource *one, int change) {
    count(kinds[one->kind], change);
    if (one->kind == DEVICE || one->kind == PINNED)
        count(one->kind == DEVICE ? "device_bytes" : "pinned_bytes", change * (long long)one->size);
}

static uintptr_t keep(Kind kind, void *address, size_t size) {
    Resource *made = malloc(sizeof *made);
    if (!made || !address) abort();
    *made = (Resource){resources, kind, (uintptr_t)address, size};
    resources = made;
    count_resource(made, 1);
    return made->address;
}

static Resource **find(Kind kind, uintptr_t address) {
    Resource **at = &resources;
    while (*at && !((*at)->kind == kind && (*at)->address == address)) at = &(*at)->next;
    return *at ? at : NULL;
}

static CUresult drop(Resource **at) {
    Resource *gone = *at;
    *at = gone->next;
    count_resource(gone, -1);
    free((void *)gone->address);
    free(gone);
    return CUDA_SUCCESS;
}

/* Of what the device can reach, pinned memory included: `size` bytes within one allocation. */
static int is_reachable(CUdeviceptr start, size_t size) {
    for (Resource *one = resources; one; one = one->next) {
        CUdeviceptr offset = start - one->address;
        if (one->kind <= PINNED && start >= one->address && offset <= one->size && size <= one->size - offset) return 1;
    }
    return 0;
}

/* Streams. */

static void finish(CUstream stream) {
    for (Work *work; (work = stream->first);) {
        stream->first = work->next;
        if (!stream->first) stream->end = &stream->first;
        count("waiting", -1);
        if (work->size) memcpy(work->target, work->source, work->size);
        if (work->function) is_in_function = 1, work->function(work->argument), is_in_function = 0;
        if (work->event) {
            struct timespec now;
            clock_gettime(CLOCK_MONOTONIC, &now);
            work->event->waiting--;
            work->event->ms = now.tv_sec * 1e3 + now.tv_nsec / 1e6;
        }
        free(work);
    }
}

static void finish_streams(unsigned but_those) {
    for (Resource *one = resources; one; one = one->next) {
        CUstream stream = (CUstream)one->address;
        if (one->kind == STREAM && !(stream->flags & but_those)) finish(stream);
    }
}

static void finish_all(void) {
    finish_streams(0);
    finish(&null_stream);
}

static CUstream known_stream(CUstream stream) {
    return !stream ? &null_stream : find(STREAM, (uintptr_t)stream) ? stream : NULL;
}

static CUresult enqueue(CUstream handle, Work wanted) {
    CUstream stream = known_stream(handle);
    REQUIRE(stream, CUDA_ERROR_INVALID_HANDLE);
    if (stream == &null_stream) finish_streams(CU_STREAM_NON_BLOCKING); /* it and the blocking ones take turns */
    else if (!(stream->flags & CU_STREAM_NON_BLOCKING)) finish(&null_stream);
    Work *work = malloc(sizeof *work);
    if (!work) abort();
    *work = wanted;
    *stream->end = work;
    stream->end = &work->next;
    count("waiting", 1);
    return CUDA_SUCCESS;
}

static CUresult copy(void *target, const void *source, size_t size, CUdeviceptr device, CUstream stream) {
    REQUIRE((target && source && is_reachable(device, size)) || !size, CUDA_ERROR_INVALID_VALUE);
    return enqueue(stream, (Work){.target = target, .source = source, .size = size});
}

#endif
