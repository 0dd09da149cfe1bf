// What the C binding of MPI says in macros, said in functions and structs that Swift can import.
// A handle is a pointer in one MPI and an int in another; wrapped in a struct both import alike.
#pragma once
#include <mpi.h>

#ifdef __linux__
#include <sys/syscall.h>
#include <unistd.h>
#endif

typedef struct {
    MPI_Comm comm;
} CMPICommunicator;

typedef struct {
    MPI_Request request;
} CMPIRequest;

typedef struct {
    MPI_Win window;
} CMPIWindow;

static inline CMPICommunicator cmpi_comm_world(void) { return (CMPICommunicator){MPI_COMM_WORLD}; }
static inline int cmpi_is_null(CMPICommunicator communicator) { return communicator.comm == MPI_COMM_NULL; }

static inline MPI_Datatype cmpi_byte(void) { return MPI_BYTE; }
static inline MPI_Datatype cmpi_float(void) { return MPI_FLOAT; }
static inline MPI_Datatype cmpi_double(void) { return MPI_DOUBLE; }
static inline MPI_Datatype cmpi_int64(void) { return MPI_INT64_T; }

static inline MPI_Op cmpi_sum(void) { return MPI_SUM; }
static inline MPI_Op cmpi_min(void) { return MPI_MIN; }
static inline MPI_Op cmpi_max(void) { return MPI_MAX; }

static inline void *cmpi_in_place(void) { return MPI_IN_PLACE; }

static inline int cmpi_success(void) { return MPI_SUCCESS; }
static inline int cmpi_undefined(void) { return MPI_UNDEFINED; }
static inline int cmpi_thread_serialized(void) { return MPI_THREAD_SERIALIZED; }
static inline int cmpi_thread_multiple(void) { return MPI_THREAD_MULTIPLE; }
static inline int cmpi_max_error_string(void) { return MPI_MAX_ERROR_STRING; }
static inline int cmpi_max_library_version_string(void) { return MPI_MAX_LIBRARY_VERSION_STRING; }
static inline int cmpi_max_processor_name(void) { return MPI_MAX_PROCESSOR_NAME; }

static inline int cmpi_return_errors(CMPICommunicator communicator) {
    return MPI_Comm_set_errhandler(communicator.comm, MPI_ERRORS_RETURN);
}

/// The communicator of the ranks that can share memory with this one.
static inline int cmpi_split_shared(CMPICommunicator parent, int key, CMPICommunicator *child) {
    return MPI_Comm_split_type(parent.comm, MPI_COMM_TYPE_SHARED, key, MPI_INFO_NULL, &child->comm);
}

/// Memory that all ranks of `node` see; each gives `bytes`. Errors are returned, direct loads and stores allowed.
static inline int cmpi_allocate_shared(MPI_Aint bytes, CMPICommunicator node, CMPIWindow *window) {
    void *own;
    int code = MPI_Win_allocate_shared(bytes, 1, MPI_INFO_NULL, node.comm, &own, &window->window);
    if (code == MPI_SUCCESS) code = MPI_Win_set_errhandler(window->window, MPI_ERRORS_RETURN);
    if (code == MPI_SUCCESS) code = MPI_Win_lock_all(MPI_MODE_NOCHECK, window->window);
    return code;
}

/// Where this process sees the part of `rank`.
static inline int cmpi_shared_part(CMPIWindow window, int rank, MPI_Aint *bytes, void **start) {
    int unit;
    return MPI_Win_shared_query(window.window, rank, bytes, &unit, start);
}

static inline int cmpi_free_shared(CMPIWindow *window) {
    int code = MPI_Win_unlock_all(window->window);
    return code == MPI_SUCCESS ? MPI_Win_free(&window->window) : code;
}

/// Receives at most `capacity` bytes and says how many came.
static inline int cmpi_receive(
    void *buffer, int capacity, int source, int tag, CMPICommunicator communicator, int *received) {
    MPI_Status status;
    int code = MPI_Recv(buffer, capacity, MPI_BYTE, source, tag, communicator.comm, &status);
    return code == MPI_SUCCESS ? MPI_Get_count(&status, MPI_BYTE, received) : code;
}

/// `CMPIRequest` has the layout of the handle it holds, so an array of one is an array of the other.
static inline int cmpi_wait_all(int count, CMPIRequest *requests) {
    return MPI_Waitall(count, &requests->request, MPI_STATUSES_IGNORE);
}

#ifdef __linux__
/// The calling thread's affinity mask; the number of bytes written, or -1.
/// The system call itself, because the C library declares its wrapper only under _GNU_SOURCE.
static inline long cmpi_affinity_mask(void *mask, size_t bytes) {
    return syscall(SYS_sched_getaffinity, 0, bytes, mask);
}
#endif
