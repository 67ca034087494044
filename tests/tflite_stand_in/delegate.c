// A stand-in for libedgetpu.so.1; what it does and is told is in __init__.py.
//
// The structures are those of tensorflow/lite/core/c/common.h as far as they are read here: their beginnings have been
// the same from TensorFlow 2.5 to LiteRT 2.3. What is handed over has room after it: later versions read more of it.

#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

enum { OK = 0, ERROR = 1, ALLOW_DYNAMIC_TENSORS = 1 };

typedef struct {
  int size;
  int data[];
} IntArray;

typedef struct {
  int type;
  void *data;
  IntArray *dims;
  float scale;
  int32_t zero_point;
  int allocation_type;
  size_t bytes;
  char rest[64];
} Tensor;  // they lie in an array: the size counts, too

typedef struct {
  IntArray *inputs;
  IntArray *outputs;
} Node;

typedef struct Context Context;
typedef struct Delegate Delegate;

typedef struct {
  void *(*init)(Context *, const char *, size_t);
  void (*free)(Context *, void *);
  int (*prepare)(Context *, Node *);
  int (*invoke)(Context *, Node *);
  const char *(*profiling_string)(const Context *, const Node *);
  int32_t builtin_code;
  const char *custom_name;
  int version;
  char room[64];
} Registration;

struct Context {
  size_t tensors_size;
  int (*get_execution_plan)(Context *, IntArray **);
  Tensor *tensors;
  void *impl;
  int (*resize_tensor)(Context *, Tensor *, IntArray *);
  void (*report_error)(Context *, const char *, ...);
  int (*add_tensors)(Context *, int, int *);
  int (*get_node_and_registration)(Context *, int, Node **, Registration **);
  int (*replace_node_subsets_with_delegate_kernels)(Context *, Registration, IntArray *, Delegate *);
  // and more, which is not used
};

struct Delegate {
  void *data;
  int (*prepare)(Context *, Delegate *);
  int (*copy_from_buffer_handle)(Context *, Delegate *, int, Tensor *);
  int (*copy_to_buffer_handle)(Context *, Delegate *, int, Tensor *);
  void (*free_buffer_handle)(Context *, Delegate *, int *);
  int64_t flags;
  char room[64];
  int owned;  // the device's descriptor
};

static int fails(const char *where) {
  const char *told = getenv("BOARDFIT_APEX_FAIL");
  return told != NULL && strcmp(told, where) == 0;
}

static void note(const char *name, int value) {
  char path[4096];
  snprintf(path, sizeof path, "%s/class/apex_0/%s", getenv("BOARDFIT_APEX"), name);
  FILE *file = fopen(path, "w");
  if (file != NULL) {
    fprintf(file, "%d\n", value);
    fclose(file);
  }
}

// As gasket_open: one process has the device; here until its descriptor is closed, however it ends.
static int own_device(void) {
  char path[4096];
  if (getenv("BOARDFIT_APEX") == NULL) return -1;
  snprintf(path, sizeof path, "%s/dev/apex_0", getenv("BOARDFIT_APEX"));
  int device = open(path, O_RDWR | O_CLOEXEC);
  if (device >= 0 && flock(device, LOCK_EX | LOCK_NB) != 0) {
    close(device);
    return -1;
  }
  if (device >= 0) {
    note("device_owner", getpid());
    note("is_device_owned", 1);
  }
  return device;
}

static int prepare_kernel(Context *context, Node *node) {
  (void)node;
  if (fails("runtime")) {  // driver/package_registry.cc
    context->report_error(context, "Failed to prepare for TPU. Failed precondition: Package requires runtime version "
                                   "(14), which is newer than this runtime version (13).");
    return ERROR;
  }
  if (fails("datatype")) {
    context->report_error(context, "Internal: Unsupported data type in custom op handler: 0");
    return ERROR;
  }
  return OK;
}

static int run_kernel(Context *context, Node *node) {
  if (fails("run")) {
    context->report_error(context, "Failed to execute request. Deadline exceeded: USB transfer error");
    return ERROR;
  }
  for (int i = 0; i < node->outputs->size; i++) {
    Tensor *from = &context->tensors[node->inputs->data[i]], *to = &context->tensors[node->outputs->data[i]];
    memcpy(to->data, from->data, to->bytes);
  }
  return OK;
}

static int claim(Context *context, Delegate *delegate) {
  IntArray *plan;
  if (fails("crash")) raise(SIGSEGV);
  if (context->get_execution_plan(context, &plan) != OK) return ERROR;
  int count = plan->size, nodes[count + 1];
  memcpy(nodes, plan->data, count * sizeof(int));  // the plan changes with each that is claimed
  for (int i = 0; i < count; i++) {
    Node *node;
    Registration *theirs;
    if (context->get_node_and_registration(context, nodes[i], &node, &theirs) != OK) return ERROR;
    if (theirs->custom_name == NULL || strcmp(theirs->custom_name, "edgetpu-custom-op") != 0) continue;
    Registration ours = {
        .prepare = prepare_kernel,
        .invoke = run_kernel,
        .custom_name = "EdgeTpuDelegateForCustomOp",
        .version = 1,
    };
    IntArray *one = malloc(sizeof(IntArray) + sizeof(int));
    one->size = 1;
    one->data[0] = nodes[i];
    int replaced = context->replace_node_subsets_with_delegate_kernels(context, ours, one, delegate);
    free(one);
    if (replaced != OK) return ERROR;
  }
  return OK;
}

Delegate *tflite_plugin_create_delegate(char **keys, char **values, size_t count, void (*say)(const char *)) {
  (void)say;  // nor does the real one
  for (size_t i = 0; i < count; i++)
    if (strcmp(keys[i], "device") != 0 || strcmp(values[i], "pci") != 0) return NULL;
  int device = fails("open") ? -1 : own_device();
  if (device < 0) return NULL;
  Delegate *made = calloc(1, sizeof *made);
  made->prepare = claim;
  made->flags = ALLOW_DYNAMIC_TENSORS;
  made->owned = device;
  return made;
}

void tflite_plugin_destroy_delegate(Delegate *delegate) {
  if (delegate == NULL) return;
  note("is_device_owned", 0);
  note("device_owner", 0);
  close(delegate->owned);
  free(delegate);
}

const char *edgetpu_version(void) {
  return "BuildLabel(COMPILER=stand-in,DATE=redacted,TIME=redacted), RuntimeVersion(14)";
}
