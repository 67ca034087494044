/* What is counted, and which calls fail; cuda_stand_in/__init__.py says how both are used. */
#ifndef COUNTING_H
#define COUNTING_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { LINE_BYTES = 64, LINES = 96, NAME_BYTES = 40 };

/* Lines of text of one length. Mapped from a file they are true at any time, and stay when the process is killed. */
static char *counters;

static void open_counters(void) {
    const char *folder = getenv("BOARDFIT_CUDA_COUNTERS");
    size_t size = LINE_BYTES * LINES;
    int file = -1, flags = MAP_PRIVATE | MAP_ANONYMOUS;
    if (folder) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%d", folder, (int)getpid());
        file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
        if (file < 0 || ftruncate(file, size)) abort();
        flags = MAP_SHARED;
    }
    counters = mmap(NULL, size + 1, PROT_READ | PROT_WRITE, flags, file, 0); /* and a NUL at the end */
    if (counters == MAP_FAILED) abort();
    if (file >= 0) close(file);
}

static void write_line(char *line, const char *name, long long value) {
    char text[LINE_BYTES + 1];
    snprintf(text, sizeof text, "%-*s%*lld\n", NAME_BYTES, name, LINE_BYTES - NAME_BYTES - 1, value);
    memcpy(line, text, LINE_BYTES);
}

/* The value after the change. */
static long long count(const char *name, long long change) {
    if (!counters) open_counters();
    size_t length = strlen(name);
    for (char *line = counters; line < counters + LINE_BYTES * LINES; line += LINE_BYTES) {
        if (*line && (strncmp(line, name, length) || line[length] != ' ')) continue;
        long long value = (*line ? atoll(line + NAME_BYTES) : 0) + change;
        write_line(line, name, value);
        return value;
    }
    abort();
}

static const char *failures;

/* To a test in the same process: these calls fail from now on, calls are counted from 0 again. */
void boardfit_fail(const char *wanted) {
    static char kept[4096];
    snprintf(kept, sizeof kept, "%s", wanted);
    failures = kept;
    count("device", 0);
    for (char *line = counters; *line; line += LINE_BYTES) {
        char name[NAME_BYTES];
        if (sscanf(line, "cu%37s", name + 2) == 1) write_line(line, memcpy(name, "cu", 2), 0);
    }
}

const char *boardfit_counters(void) {
    count("device", 0);
    return counters;
}

/* The status that this call of the function is to give. */
static int failure(const char *name, long long call) {
    if (!failures) failures = getenv("BOARDFIT_CUDA_FAIL") ? getenv("BOARDFIT_CUDA_FAIL") : "";
    size_t length = strlen(name);
    for (const char *at = failures; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
        if (strncmp(at, name, length) || at[length] != ':') continue;
        char *rest;
        long long first = strtoll(at + length + 1, &rest, 10);
        int onwards = *rest == '+', status = atoi(rest + onwards + 1);
        if (call == first || (onwards && call > first)) return status;
    }
    return 0;
}

#endif
