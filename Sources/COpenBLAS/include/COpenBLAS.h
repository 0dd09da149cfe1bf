#pragma once
// OpenBLAS, loaded when first needed rather than linked.
//
// Why: OpenBLAS chooses its kernels in its library constructor, from the environment, and version 0.3.21 does not
// know the newest CPUs: on an AVX-512 machine it may choose its AVX2 kernels at half the speed. A linked library is
// loaded before any line of ours runs, so the choice could only be made by the user. Loaded late, we make it.
#include <cblas.h>

typedef struct __attribute__((swift_attr("@Sendable"))) {
    void (*sgemm)(CBLAS_ORDER, CBLAS_TRANSPOSE, CBLAS_TRANSPOSE, blasint, blasint, blasint, float, const float *, blasint,
                  const float *, blasint, float, float *, blasint);
    void (*dgemm)(CBLAS_ORDER, CBLAS_TRANSPOSE, CBLAS_TRANSPOSE, blasint, blasint, blasint, double, const double *,
                  blasint, const double *, blasint, double, double *, blasint);
    /// The kernel family OpenBLAS runs with, such as "SkylakeX".
    const char *kernel;
    /// Null when the library is there; otherwise why it is not.
    const char *error;
} OpenBLASLibrary;

/// The library, loaded once and single-threaded; safe to call from any thread.
const OpenBLASLibrary *openblas_library(void);
