/* uring_ring.c: the ring itself: making it, entering the kernel, taking completions in, lending buffers.
 *
 * With DEFER_TASKRUN only an enter with GETEVENTS runs what has completed, so every enter here says
 * GETEVENTS, and completions appear in the queue at no other time. They are copied out at once (16 bytes
 * each), so that the queue is empty again and a flush can find its sends behind others' completions, which
 * wait for the next turn. */
#include "core/io/uring.h"

#include "core/base/clock.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <unistd.h>

/* --- The kernel ---------------------------------------------------------------------------------------- */

void uring_kernel(unsigned *major, unsigned *minor) {
    struct utsname name;
    *major = *minor = 0;
    if (uname(&name) != 0)
        return;
    char *end;
    unsigned long first = strtoul(name.release, &end, 10);
    if (*end != '.')
        return;
    *major = (unsigned)first;
    *minor = (unsigned)strtoul(end + 1, NULL, 10); /* whatever follows, as in "6.1.0-13-amd64" */
}

bool uring_kernel_multishot(void) {
    unsigned major;
    unsigned minor;
    uring_kernel(&major, &minor);
    return major > 6 || (major == 6 && minor >= 6);
}

/* --- Making it ----------------------------------------------------------------------------------------- */

static uint32_t power_of_two_above(uint32_t n) {
    uint32_t power = 1;
    while (power < n)
        power <<= 1;
    return power;
}

static int ring_setup(struct uring *uring, const struct io_config *config) {
    struct io_uring_params params = {
        .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL |
                 IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP | IORING_SETUP_R_DISABLED |
                 IORING_SETUP_TASKRUN_FLAG,
        .cq_entries = config->cq_entries ? config->cq_entries : URING_CQ_ENTRIES,
    };
    uint32_t entries = params.cq_entries < URING_SQ_ENTRIES ? params.cq_entries : URING_SQ_ENTRIES;
    int error = io_uring_queue_init_params(entries, &uring->ring, &params);
    if (error)
        return error;
    uring->ring_made = true;
    (void)io_uring_ring_dontfork(&uring->ring);
    return 0;
}

static int ring_features(const struct uring *uring) {
    static const unsigned needed = IORING_FEAT_NODROP | IORING_FEAT_SUBMIT_STABLE | IORING_FEAT_FAST_POLL |
                                   IORING_FEAT_EXT_ARG | IORING_FEAT_CQE_SKIP;
    return (uring->ring.features & needed) == needed ? 0 : -EOPNOTSUPP;
}

static int ring_opcodes(struct uring *uring) {
    static const int needed[] = {IORING_OP_ACCEPT,  IORING_OP_RECV,     IORING_OP_SEND,
                                 IORING_OP_SENDMSG, IORING_OP_POLL_ADD, IORING_OP_ASYNC_CANCEL};
    struct io_uring_probe *probe = io_uring_get_probe_ring(&uring->ring);
    if (!probe)
        return -EOPNOTSUPP;
    int error = 0;
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++)
        if (!io_uring_opcode_supported(probe, needed[i]))
            error = -EOPNOTSUPP;
    io_uring_free_probe(probe);
    return error;
}

static void *map_pages(size_t bytes) {
    void *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return pages == MAP_FAILED ? NULL : pages;
}

static int ring_pool(struct uring *uring, const struct io_config *config) {
    uring->pool_count = config->light_count ? config->light_count : RECEIVE_LIGHT_COUNT;
    uring->pool_entries = power_of_two_above(uring->pool_count);
    CHECK(uring->pool_entries <= 32768);
    uring->pool = map_pages(uring->pool_entries * sizeof(struct io_uring_buf));
    uring->pool_bytes = map_pages(uring->pool_count * RECEIVE_LIGHT_BYTES);
    if (!uring->pool || !uring->pool_bytes)
        return -ENOMEM;
    struct io_uring_buf_reg reg = {
        .ring_addr = (uintptr_t)uring->pool, .ring_entries = uring->pool_entries, .bgid = URING_GROUP};
    int error = io_uring_register_buf_ring(&uring->ring, &reg, 0);
    if (error)
        return error;
    io_uring_buf_ring_init(uring->pool);
    int mask = io_uring_buf_ring_mask(uring->pool_entries);
    for (uint32_t i = 0; i < uring->pool_count; i++)
        io_uring_buf_ring_add(uring->pool, uring->pool_bytes + i * RECEIVE_LIGHT_BYTES, RECEIVE_LIGHT_BYTES,
                              (unsigned short)i, mask, (int)i);
    io_uring_buf_ring_advance(uring->pool, (int)uring->pool_count);
    return 0;
}

static int ring_memory(struct uring *uring) {
    uint32_t done_entries = power_of_two_above(4u * uring->ring.cq.ring_entries);
    if (done_entries < 256)
        done_entries = 256;
    uring->done_mask = done_entries - 1;
    uring->done = malloc(done_entries * sizeof *uring->done);
    uring->messages = calloc(uring->ring.sq.ring_entries, sizeof *uring->messages);
    uring->hot = aligned_alloc(4096, RECEIVE_BULK_BYTES);
    return uring->done && uring->messages && uring->hot ? 0 : -ENOMEM;
}

int uring_ring_init(struct uring *uring, const struct io_config *config, const char **step) {
    uring->enter = io_uring_enter2;
    *step = "io_uring_setup";
    int error = ring_setup(uring, config);
    if (error)
        return error;
    *step = "io_uring features";
    if ((error = ring_features(uring)))
        return error;
    *step = "io_uring opcodes";
    if ((error = ring_opcodes(uring)))
        return error;
    *step = "io_uring buffer ring";
    if ((error = ring_pool(uring, config)))
        return error;
    *step = "io_uring memory";
    return ring_memory(uring);
}

void uring_ring_deinit(struct uring *uring) {
    if (uring->ring_made)
        io_uring_queue_exit(&uring->ring);
    /* After the ring: until then the kernel may write into the buffers. */
    if (uring->pool)
        (void)munmap(uring->pool, uring->pool_entries * sizeof(struct io_uring_buf));
    if (uring->pool_bytes)
        (void)munmap(uring->pool_bytes, uring->pool_count * RECEIVE_LIGHT_BYTES);
    free(uring->done);
    free(uring->messages);
    free(uring->hot);
}

int uring_ring_enable(struct uring *uring) {
    int result = io_uring_register((unsigned)uring->ring.ring_fd, URING_REGISTER_ENABLE_RINGS, NULL, 0);
    return result < 0 ? result : 0;
}

void uring_enter_replace(struct io *io, uring_enter_fn enter) {
    uring_of(io)->enter = enter;
}

/* --- Entering ------------------------------------------------------------------------------------------ */

/* Hands the filled entries to the kernel's array; returns how many it has not taken yet. */
static unsigned ring_publish(struct uring *uring) {
    struct io_uring_sq *sq = &uring->ring.sq;
    unsigned produced = *sq->ktail;
    for (; sq->sqe_head != sq->sqe_tail; sq->sqe_head++, produced++)
        sq->array[produced & sq->ring_mask] = sq->sqe_head & sq->ring_mask;
    io_uring_smp_store_release(sq->ktail, produced);
    return produced - IO_URING_READ_ONCE(*sq->khead);
}

static unsigned ring_flags(const struct uring *uring) {
    return IO_URING_READ_ONCE(*uring->ring.sq.kflags);
}

bool uring_submitted(const struct uring *uring) {
    const struct io_uring_sq *sq = &uring->ring.sq;
    return sq->sqe_tail == IO_URING_READ_ONCE(*sq->khead);
}

bool uring_enter_due(const struct uring *uring) {
    return !uring_submitted(uring) || (ring_flags(uring) & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW));
}

int uring_enter(struct uring *uring, uint64_t wait_ns) {
    struct __kernel_timespec span = {.tv_sec = (int64_t)(wait_ns / NS_PER_S),
                                     .tv_nsec = (long long)(wait_ns % NS_PER_S)};
    struct io_uring_getevents_arg arg = {.sigmask_sz = _NSIG / 8, .ts = (uintptr_t)&span};
    bool timed = wait_ns > 0 && wait_ns != UINT64_MAX;
    unsigned flags = IORING_ENTER_GETEVENTS | (timed ? IORING_ENTER_EXT_ARG : 0u);
    unsigned submit = ring_publish(uring);
    counter_add(&uring->io.counters.enters, 1);
    int result = uring->enter((unsigned)uring->ring.ring_fd, submit, wait_ns > 0, flags,
                              timed ? (sigset_t *)&arg : NULL, timed ? sizeof arg : 0);
    if (LIKELY(result >= 0)) {
        counter_add(&uring->io.counters.entries, (uint64_t)result);
        return 0;
    }
    if (result == -ETIME || result == -EINTR || result == -EAGAIN || result == -EBUSY)
        return 0;
    uring->broken = result;
    return result;
}

struct io_uring_sqe *uring_entry(struct uring *uring) {
    struct io_uring_sqe *entry = io_uring_get_sqe(&uring->ring);
    for (unsigned tries = 0; UNLIKELY(!entry); tries++) {
        CHECK(uring_enter(uring, 0) ==
              0); /* without a working ring there is nowhere to put what the caller asks for */
        uring_harvest(uring);
        entry = io_uring_get_sqe(&uring->ring);
        if (!entry && tries > 16)
            (void)sched_yield(); /* the kernel is out of memory for requests: let somebody free some */
    }
    return entry;
}

/* --- Completions --------------------------------------------------------------------------------------- */

static bool harvest_one(struct uring *uring, const struct io_uring_cqe *cqe) {
    if (uring_kind_of(cqe->user_data) == URING_SEND) {
        CHECK_HOT(uring->sends_open > 0);
        uring->sends_open--;
        io_sent_push(&uring->sent, cqe->user_data & ~((uint64_t)0xff << IO_TABLE_INDEX_BITS), cqe->res);
        return true;
    }
    if (UNLIKELY(uring_done_count(uring) > uring->done_mask))
        return false;
    uring->done[uring->done_produced++ & uring->done_mask] =
        (struct uring_done){.user_data = cqe->user_data, .result = cqe->res, .flags = cqe->flags};
    uring->pool_used += cqe->flags & IORING_CQE_F_BUFFER;
    return true;
}

/* False when `done` is full. */
static bool harvest_queue(struct uring *uring) {
    struct io_uring_cq *cq = &uring->ring.cq;
    unsigned consumed = *cq->khead;
    unsigned produced =
        io_uring_smp_load_acquire(cq->ktail); /* pairs with the kernel's release of the entries */
    bool room = true;
    while (consumed != produced && (room = harvest_one(uring, &cq->cqes[consumed & cq->ring_mask])))
        consumed++;
    io_uring_smp_store_release(cq->khead, consumed); /* pairs with the kernel's look for free entries */
    return room;
}

static_assert(IORING_CQE_F_BUFFER == 1, "pool_used counts by adding the flag");

void uring_harvest(struct uring *uring) {
    bool room = harvest_queue(uring);
    for (unsigned i = 0;
         UNLIKELY(ring_flags(uring) & IORING_SQ_CQ_OVERFLOW) && room && i < URING_HARVEST_ROUNDS; i++) {
        counter_add(&uring->io.counters.overflows, 1);
        if (uring_enter(uring, 0) != 0)
            break;
        room = harvest_queue(uring);
    }
    counter_max(&uring->io.counters.buffers_high_water, uring->pool_used);
}

void uring_cancel(struct uring *uring, const struct uring_conn *conn, enum uring_kind kind) {
    struct io_uring_sqe *entry = uring_entry(uring);
    io_uring_prep_cancel64(entry, uring_data(&conn->slot, kind), 0);
    entry->flags |= IOSQE_CQE_SKIP_SUCCESS;
    entry->user_data = uring_data(&conn->slot, (uint32_t)URING_CANCEL | (uint32_t)kind);
}

/* --- Buffers ------------------------------------------------------------------------------------------- */

uint8_t *uring_pool_buffer(const struct uring *uring, uint32_t done_flags) {
    uint32_t id = done_flags >> IORING_CQE_BUFFER_SHIFT;
    CHECK_HOT((done_flags & IORING_CQE_F_BUFFER) && id < uring->pool_count);
    return uring->pool_bytes + (size_t)id * RECEIVE_LIGHT_BYTES;
}

void uring_pool_return(struct uring *uring, uint32_t done_flags) {
    if (!(done_flags & IORING_CQE_F_BUFFER))
        return;
    CHECK_HOT(uring->pool_used > 0);
    uring->pool_used--;
    io_uring_buf_ring_add(uring->pool, uring_pool_buffer(uring, done_flags), RECEIVE_LIGHT_BYTES,
                          (unsigned short)(done_flags >> IORING_CQE_BUFFER_SHIFT),
                          io_uring_buf_ring_mask(uring->pool_entries), 0);
    io_uring_buf_ring_advance(uring->pool, 1);
}

uint64_t uring_now_ns(struct uring *uring) {
    if (uring->now_ns == 0)
        uring->now_ns = clock_mono_ns();
    return uring->now_ns;
}
