/* Why a mirror: a record that crosses the end of a ring would need two copies to write, two pieces to send
 * and a test in every reader. The same pages mapped twice in a row make every record and every slice of up to
 * `bytes` contiguous; the price is address space and one more page table entry per page.
 *
 * The two addresses of a byte are one cache line for the processor (caches are indexed by physical address),
 * so all ordering arguments of the rings hold across them. Compilers and ThreadSanitizer see two objects:
 * rings therefore always form an address from `offset & mask`, which begins in the first mapping, and only
 * the tail of a record or slice that crosses the end lies in the second. A thread that writes a byte through
 * one address and reads it through the other (the home worker, which sends from its own log) has the release
 * of publishing and the acquire of reading between the two, and over these no compiler moves them. The
 * sanitizer is blind for those tails: the stress programs use records that never cross the end under it, and
 * compare contents. */
#include "ring/mirror.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

static bool mirror_size_valid(uint64_t bytes) {
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    return bytes != 0 && bytes % page == 0 && bytes <= (uint64_t)PTRDIFF_MAX / 2;
}

static int mirror_fill(int file, uint64_t bytes) {
    int error;
    do
        error = posix_fallocate(file, 0, (off_t)bytes);
    while (error == EINTR);
    return -error;
}

/* A memfd of `bytes`; with `prefault` its pages exist, so a lack of memory is an error here and not a SIGBUS
 * later. */
static int mirror_file(uint64_t bytes, bool prefault) {
    int file = memfd_create("roundhouse-ring", MFD_CLOEXEC);
    if (file < 0)
        return -errno;
    int result = ftruncate(file, (off_t)bytes) == 0 ? 0 : -errno;
    if (result == 0 && prefault)
        result = mirror_fill(file, bytes);
    if (result == 0)
        return file;
    close(file);
    return result == -ENOSPC ? -ENOMEM : result;
}

static int mirror_map_half(uint8_t *at, uint64_t bytes, int file, bool prefault) {
    int flags = MAP_SHARED | MAP_FIXED | (prefault ? MAP_POPULATE : 0);
    return mmap(at, bytes, PROT_READ | PROT_WRITE, flags, file, 0) == MAP_FAILED ? -errno : 0;
}

/* Reserving the whole area first makes MAP_FIXED safe: both halves replace only what is ours. */
static int mirror_map_file(uint8_t **base, uint64_t bytes, int file, bool prefault) {
    void *area = mmap(NULL, 2 * bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (area == MAP_FAILED)
        return -errno;
    int result = mirror_map_half(area, bytes, file, prefault);
    if (result == 0)
        result = mirror_map_half((uint8_t *)area + bytes, bytes, file, prefault);
    if (result == 0)
        *base = area;
    else
        munmap(area, 2 * bytes);
    return result;
}

int mirror_map(uint8_t **base, uint64_t bytes, bool prefault) {
    if (!mirror_size_valid(bytes))
        return -EINVAL;
    int file = mirror_file(bytes, prefault);
    if (file < 0)
        return file;
    int result = mirror_map_file(base, bytes, file, prefault);
    close(file); /* the mappings keep the pages */
    return result;
}

void mirror_unmap(uint8_t *base, uint64_t bytes) {
    if (base != NULL)
        CHECK(munmap(base, 2 * bytes) == 0);
}
