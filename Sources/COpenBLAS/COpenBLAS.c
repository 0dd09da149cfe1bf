#include "COpenBLAS.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static OpenBLASLibrary library;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static char message[512];

/// The fastest kernel family this CPU can run that Debian's OpenBLAS 0.3.21 does not pick by itself, or null.
static const char *preferred_kernel(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl"))
        return "SkylakeX";
#endif
    return NULL;
}

static void load(void) {
    // LIGHTNING_BLAS_KERNEL is the user's word; OPENBLAS_CORETYPE in the environment was set for other programs.
    const char *chosen = getenv("LIGHTNING_BLAS_KERNEL");
    if (!chosen || !*chosen) chosen = preferred_kernel();
    if (chosen) setenv("OPENBLAS_CORETYPE", chosen, 1);
    // Our own threads call it; its pool would only fight with them, and its thread count changes results.
    setenv("OPENBLAS_NUM_THREADS", "1", 1);

    void *handle = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
    if (!handle) handle = dlopen("libopenblas.so", RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        snprintf(message, sizeof message, "OpenBLAS cannot be loaded: %s. Install it: apt-get install libopenblas0",
                 dlerror());
        library.error = message;
        return;
    }
    library.sgemm = dlsym(handle, "cblas_sgemm");
    library.dgemm = dlsym(handle, "cblas_dgemm");
    char *(*corename)(void) = dlsym(handle, "openblas_get_corename");
    void (*set_threads)(int) = dlsym(handle, "openblas_set_num_threads");
    if (!library.sgemm || !library.dgemm) {
        library.error = "the library libopenblas.so.0 has no cblas_sgemm: it was built without the C interface";
        return;
    }
    if (set_threads) set_threads(1);
    library.kernel = corename ? corename() : "unknown";
}

const OpenBLASLibrary *openblas_library(void) {
    pthread_once(&once, load);
    return &library;
}
