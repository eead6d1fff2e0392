/* THE LOG
 *
 * Who. One writer (the home worker); up to LOG_READERS_MAX readers, each with one gate; anyone may read
 * `produced`, `visible`, `oldest`, the slots' last positions and the counters.
 *
 * State. A record has a position p (1, 2, 3 ...), an entry in index[p & index_mask] and bytes at data[offset
 * & data_mask]. Positions and offsets count from the beginning of the log and never wrap (64 bits), so no
 * comparison below is ever ambiguous.
 *   writer's own:  next, data_next              where the next record goes
 *                  records_claimed             it may write entries of positions below this
 *                  data_claimed                it may write bytes at offsets below this
 *   shared:        produced, visible            positions below are published
 *                  oldest                       positions below may be overwritten at any time
 *                  gates[i].position            IDLE, or: reader i may touch this position and all above
 *                  gates[i].floor               IDLE, or: the lowest laggard of reader i (soft, see GRACE)
 * Let LOST be the lowest position whose entry lies at records_claimed - records or above and whose bytes lie
 * at data_claimed - data_bytes or above: all below it may have been overwritten, all from it on are whole.
 * The two areas run out at different times, and LOST is the later of the two answers.
 *
 * Invariants.
 *   I1  LOST <= oldest <= produced <= next            (what is lost is announced first; see BATCH)
 *   I2  for every reader that holds a gate g and may touch records: LOST <= g
 *   I3  in a journalled log: LOST <= visible          (what is not durable yet is not overwritten)
 * I2 is the safety of the whole: no byte at or above a gate is ever overwritten.
 *
 * CLAIM (log_claim; once per 1/64 of each area). The writer works out what LOST would become, `lost`, then
 *   C1  looks at all gates; one below `lost` refuses the claim                   (a courtesy, see below)
 *   C2  looks at all floors; a laggard in [oldest, lost) may hold it back        (GRACE)
 *   C3  stores oldest = lost, sequentially consistent                            [LOG_CLAIM]
 *   C4  looks at all gates again, sequentially consistent; one below `lost` refuses the claim
 *   C5  moves data_claimed and records_claimed: only now is LOST = lost
 * LOWER (a reader leaves IDLE or goes back to p):
 *   L1  stores gate = p, sequentially consistent                                 [LOG_GATE]
 *   L2  loads oldest, sequentially consistent; if oldest > p it goes IDLE and answers "overtaken"
 *
 * Why I2 holds. C3, C4, L1, L2 are sequentially consistent, so they have one order (on x86 the two stores are
 * exchanges: full fences). If C3 precedes L2, the reader sees the new oldest (it only moves up) and gives up
 * if p < lost. Else L2 precedes C3, hence L1 precedes C4, and C4 sees the gate at p, or something that this
 * reader stored later: a raise or IDLE, by which the reader itself gave up what lies below. With p < lost the
 * claim is refused. So never do both go on. Take away the order between C3 and C4, or between L1 and L2, and
 * both may look too early: tests/models/claim_gate.pml shows it. A gate that stood already is seen by C4
 * because nothing but its owner moves it. A raise needs no order of its own: an old value only makes the
 * writer more careful.
 *
 * A claim refused at C4 leaves oldest ahead of LOST. It does not go back: a reader might have been told
 * "overtaken" or not by either value, and neither answer is unsafe, while "oldest moves only up" keeps every
 * argument short. The cost is that positions in [LOST, oldest) can not be lowered to although they are whole.
 * C1 makes this rare: it needs a gate lowered between C1 and C4. The gate that refused stays valid: C4
 * compares with gates, not with oldest. Without C1 every refused claim would give up 1/64 of the ring for all
 * who are IDLE there. From a gate at or below p, going to p is a raise: I2 protects p already.
 *
 * Overwriting and reading. A reader's last touch comes before its raise, lower or IDLE (release stores)
 * [LOG_GATE]; the writer's look is at least an acquire, so bytes are written again only after they were read
 * for the last time. New bytes and entries are written before `produced` is stored with release
 * [LOG_PUBLISH], and read after an acquire of it. `visible` is stored after `produced`, so who reads visible
 * first never finds it above produced. slots[s].last is stored before that release: who has acquired
 * `produced` finds it at least at the last position below `produced`.
 *
 * JOURNAL. In a journalled log `visible` is stored by one other thread, the journal's, with release
 * [LOG_VISIBLE] and never above a `produced` that it has acquired: so who acquires `visible` has all that the
 * writer wrote below it, by way of that thread. Such a log may begin at any position; entries below it do not
 * exist, and `oldest` begins there. `visible` stands in the writer's way as a gate does (I3), and its moves
 * wake it as a gate's do; as it only moves up, an old value only makes the writer more careful. So who
 * attaches at `visible` is never too late because the journal is.
 *
 * BATCH. A batch is published at the latest when it reaches 1/8 of either area. With a record of at most 1/8
 * and a few bytes and a step of 1/64 a claim stays less than one ring ahead of what is published: so oldest
 * <= produced, and a reader with its gate at `produced` never holds the writer back, and an empty log takes
 * the largest record without help from anybody.
 *
 * AHEAD. Bytes may be received straight into what is claimed beyond data_next (log_writer_ahead). A record
 * that begins there, at data_next, is committed without a copy; a record that comes from elsewhere must not
 * be written over bytes that are still wanted, so these are left out first (log_writer_skip): between two
 * records there may be bytes that belong to none. Offsets still grow with positions, and nothing else is
 * asked of them. A claim for such bytes is refused without waiting: they can be received elsewhere.
 *
 * WANTED. A refused claim sets `wanted`, fences, and looks at the gates (floors) again before it answers
 * RING_FULL; a reader moves its gate or floor, fences, and loads `wanted` (wake.c has the argument). So
 * either the look succeeds or the mover wakes the writer.
 *
 * GRACE. The budget starts full (grace_ns), is spent while a laggard holds the writer back, and is earned
 * back at GRACE_REFILL_PERCENT of the rest of the time. A hold begins only with at least 1/LOG_GRACE_SHARE of
 * the full budget, so that the trickle does not park publishers at every claim; once begun it lasts until the
 * floor moves or the budget is spent. Then laggards are passed: their reader's next LOWER answers
 * "overtaken". Floors below oldest have been passed already and hold nothing back. Floors are not safety: no
 * order is needed for them but that of WANTED.
 *
 * ThreadSanitizer sees the order of gates and `produced` as written here, without stand-alone fences. The
 * data area's second mapping is out of its sight (mirror.c).
 *
 * Promised: no torn record, no record missing between two positions that a reader holds, an answer at once.
 * Not promised: fairness between readers, progress for a reader that never holds a gate, room while a gate
 * does not move. */
#include "ring/log.h"

#include "ring/mirror.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* ---- making ---- */

static bool log_config_valid(const struct log_config *config) {
    uint64_t data = config->data_bytes;
    uint64_t records = config->records;
    return data >= LOG_CLAIM_STEPS && data <= LOG_DATA_MAX && (data & (data - 1)) == 0 &&
           records >= LOG_CLAIM_STEPS && records <= LOG_DATA_MAX && (records & (records - 1)) == 0 &&
           config->first < UINT64_C(1) << 48;
}

static int log_index_map(struct log_entry **out, const struct log_config *config) {
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | (config->prefault ? MAP_POPULATE : 0);
    void *index = mmap(NULL, config->records * sizeof **out, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (index == MAP_FAILED)
        return -errno;
    *out = index;
    return 0;
}

/* What came before is not in the ring, and could be of any slot. */
static void log_begin_at(struct log *log, uint64_t first) {
    log->produced = log->visible = log->oldest = log->next = first;
    log->records_claimed = ((first - 1) & ~(log_records(log) / LOG_CLAIM_STEPS - 1)) + log_records(log);
    for (uint32_t i = 0; i < SLOT_COUNT; i++)
        log->slots[i].last = first - 1;
}

static void log_init(struct log *log, const struct log_config *config) {
    memset(log, 0, sizeof *log);
    log->number = config->number;
    log->wake = config->writer;
    log->index_mask = config->records - 1;
    log->data_mask = config->data_bytes - 1;
    log->grace_ns = config->grace_ns;
    log->grace_left_ns = config->grace_ns;
    log->journalled = config->journalled;
    log->data_claimed = config->data_bytes;
    log_begin_at(log, config->first == 0 ? 1 : config->first);
    for (uint32_t i = 0; i < LOG_READERS_MAX; i++)
        log->gates[i].position = log->gates[i].floor = LOG_IDLE;
}

int log_create(struct log **out, const struct log_config *config) {
    if (!log_config_valid(config))
        return -EINVAL;
    struct log *log = aligned_alloc(_Alignof(struct log), sizeof *log);
    if (log == NULL)
        return -ENOMEM;
    log_init(log, config);
    int result = log_index_map(&log->index, config);
    if (result != 0)
        goto no_index;
    result = mirror_map(&log->data, config->data_bytes, config->prefault);
    if (result != 0)
        goto no_data;
    *out = log;
    return 0;

no_data:
    munmap(log->index, config->records * sizeof *log->index);
no_index:
    free(log);
    return result;
}

void log_destroy(struct log *log) {
    if (log == NULL)
        return;
    for (uint32_t i = 0; i < LOG_READERS_MAX; i++)
        CHECK(__atomic_load_n(&log->gates[i].used, __ATOMIC_ACQUIRE) == 0); /* LOG_SEAT */
    mirror_unmap(log->data, log->data_mask + 1);
    CHECK(munmap(log->index, (log->index_mask + 1) * sizeof *log->index) == 0);
    free(log);
}

uint16_t log_number(const struct log *log) {
    return log->number;
}

uint64_t log_data_bytes(const struct log *log) {
    return log->data_mask + 1;
}

uint64_t log_records(const struct log *log) {
    return log->index_mask + 1;
}

const struct log_counters *log_counters(const struct log *log) {
    return &log->counters;
}

/* ---- claiming space ---- */

/* What a claim would take, and what would be lost by it. */
struct log_plan {
    uint64_t data_claimed;
    uint64_t records_claimed;
    uint64_t lost; /* the new LOST, at least `oldest` */
};

/* The lowest position in [from, next) whose bytes begin at `offset` or above; next if there is none. Offsets
 * never fall. */
static uint64_t log_position_of(const struct log *log, uint64_t from, uint64_t offset) {
    uint64_t to = log->next;
    while (from < to) {
        uint64_t middle = from + (to - from) / 2;
        if (log->index[middle & log->index_mask].offset < offset)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

static uint64_t log_round_up(uint64_t value, uint64_t step) {
    return (value + step - 1) & ~(step - 1);
}

static struct log_plan log_plan(const struct log *log, uint32_t length) {
    uint64_t data = log_data_bytes(log);
    uint64_t records = log_records(log);
    struct log_plan plan = {log->data_claimed, log->records_claimed, log->oldest};
    if (log->data_next + length > plan.data_claimed)
        plan.data_claimed = log_round_up(log->data_next + length, data / LOG_CLAIM_STEPS);
    if (log->next >= plan.records_claimed)
        plan.records_claimed = log_round_up(log->next + 1, records / LOG_CLAIM_STEPS);
    if (plan.records_claimed > records && plan.records_claimed - records > plan.lost)
        plan.lost = plan.records_claimed - records;
    if (plan.data_claimed > data)
        plan.lost = log_position_of(log, plan.lost, plan.data_claimed - data);
    return plan;
}

static bool log_gates_allow(const struct log *log, uint64_t lost) {
    if (log->journalled && log_visible(log) < lost)
        return false; /* I3 */
    for (uint32_t i = 0; i < LOG_READERS_MAX; i++)
        if (__atomic_load_n(&log->gates[i].position, __ATOMIC_SEQ_CST) < lost) /* LOG_GATE */
            return false;
    return true;
}

/* A refusal asks to be woken, then looks again: only a gate that stands still after that is a reason to
 * answer RING_FULL. */
static bool log_gates_refuse(struct log *log, uint64_t lost) {
    if (LIKELY(log_gates_allow(log, lost)))
        return false;
    wanted_set(&log->wanted);
    if (!log_gates_allow(log, lost))
        return true;
    wanted_drop(&log->wanted);
    return false;
}

static bool log_floors_allow(const struct log *log, uint64_t lost) {
    for (uint32_t i = 0; i < LOG_READERS_MAX; i++) {
        /* relaxed: a floor protects nothing; what must be ordered is ordered by WANTED's fence */
        uint64_t laggard = __atomic_load_n(&log->gates[i].floor, __ATOMIC_RELAXED);
        if (laggard >= log->oldest && laggard < lost)
            return false;
    }
    return true;
}

/* Brings the budget up to now: held back it is spent, and what time is left over earns. */
static void log_grace_count(struct log *log, uint64_t now_ns) {
    uint64_t elapsed = now_ns > log->grace_counted_ns ? now_ns - log->grace_counted_ns : 0;
    if (log->grace_holding) {
        uint64_t spent = elapsed < log->grace_left_ns ? elapsed : log->grace_left_ns;
        log->grace_left_ns -= spent;
        log->grace_counted_ns += spent;
        elapsed -= spent;
        log->grace_holding = log->grace_left_ns != 0;
    }
    uint64_t earned = elapsed / 100 * GRACE_REFILL_PERCENT; /* the remainder is counted the next time */
    log->grace_counted_ns += earned / GRACE_REFILL_PERCENT * 100;
    log->grace_left_ns += earned;
    if (log->grace_left_ns >= log->grace_ns) {
        log->grace_left_ns = log->grace_ns; /* a full budget earns nothing, so no remainder is kept either */
        log->grace_counted_ns = now_ns > log->grace_counted_ns ? now_ns : log->grace_counted_ns;
    }
}

void log_writer_grace(struct log *log, uint64_t grace_ns) {
    uint64_t more = grace_ns > log->grace_ns ? grace_ns - log->grace_ns : 0;
    uint64_t left = log->grace_left_ns + more;
    log->grace_left_ns = left < grace_ns ? left : grace_ns;
    log->grace_ns = grace_ns;
    log->grace_holding = log->grace_holding && log->grace_left_ns != 0;
}

static bool log_grace_lasts(const struct log *log) {
    if (log->grace_holding)
        return true;
    return log->grace_left_ns != 0 && log->grace_left_ns >= log->grace_ns / LOG_GRACE_SHARE;
}

/* Whether a laggard holds the claim back now. *passes: one stands in the way, and the budget is spent. */
static bool log_floors_refuse(struct log *log, uint64_t lost, bool *passes) {
    if (LIKELY(log_floors_allow(log, lost))) {
        log->grace_holding = false;
        return false;
    }
    *passes = !log_grace_lasts(log);
    if (*passes)
        return false;
    wanted_set(&log->wanted);
    log->grace_holding = !log_floors_allow(log, lost);
    if (!log->grace_holding)
        wanted_drop(&log->wanted);
    return log->grace_holding;
}

static enum ring_result log_refused_gate(struct log *log, uint64_t *retry_ns) {
    counter_add(&log->counters.refused_gate, 1);
    log->grace_holding = false; /* it is not a laggard that costs this time */
    *retry_ns = 0;
    return RING_FULL;
}

static enum ring_result log_refused_grace(struct log *log, uint64_t *retry_ns) {
    counter_add(&log->counters.refused_grace, 1);
    *retry_ns = log->grace_counted_ns + log->grace_left_ns;
    return RING_FULL;
}

/* C3 to C5; false: a gate was lowered meanwhile. */
static bool log_take_over(struct log *log, const struct log_plan *plan, bool passes) {
    __atomic_store_n(&log->oldest, plan->lost, __ATOMIC_SEQ_CST); /* C3: LOG_CLAIM, pairs with LOG_GATE */
    counter_add(&log->counters.passed_laggard, passes);
    if (log_gates_refuse(log, plan->lost)) /* C4 */
        return false;
    log->data_claimed = plan->data_claimed; /* C5 */
    log->records_claimed = plan->records_claimed;
    counter_add(&log->counters.claims, 1);
    return true;
}

static enum ring_result log_claim(struct log *log, uint32_t length, uint64_t now_ns, uint64_t *retry_ns) {
    struct log_plan plan = log_plan(log, length);
    bool passes = false;
    log_grace_count(log, now_ns);
    if (log_gates_refuse(log, plan.lost)) /* C1 */
        return log_refused_gate(log, retry_ns);
    if (log_floors_refuse(log, plan.lost, &passes)) /* C2 */
        return log_refused_grace(log, retry_ns);
    return log_take_over(log, &plan, passes) ? RING_OK : log_refused_gate(log, retry_ns);
}

/* A claim for bytes that can also go elsewhere: nothing waits for it, so it spends no grace and counts no
 * refusal. What a refused record has begun to wait for goes on. */
static void log_claim_ahead(struct log *log, uint32_t length, uint64_t now_ns) {
    struct log_plan plan = log_plan(log, length);
    log_grace_count(log, now_ns);
    if (!log_gates_allow(log, plan.lost)) /* C1 */
        return;
    bool passes = !log_floors_allow(log, plan.lost);
    if (passes && log_grace_lasts(log)) /* C2 */
        return;
    log->grace_holding = false;
    (void)log_take_over(log, &plan, passes);
}

/* ---- writing ---- */

enum ring_result log_writer_reserve(struct log *log, uint32_t length, uint64_t now_ns, uint8_t **out,
                                    uint64_t *retry_ns) {
    CHECK(length <= log_record_max(log));
    if (UNLIKELY(log->data_next + length > log->data_claimed || log->next >= log->records_claimed)) {
        enum ring_result result = log_claim(log, length, now_ns, retry_ns);
        if (result != RING_OK)
            return result;
    }
    log->reserved = length;
    log->reserving = true;
    *out = log->data + (log->data_next & log->data_mask);
    return RING_OK;
}

/* Where more can not be claimed, there is what is claimed already. */
uint8_t *log_writer_ahead(struct log *log, size_t *size, uint64_t now_ns) {
    uint64_t most = log_data_bytes(log) / LOG_AHEAD_FRACTION;
    uint64_t want = *size < most ? *size : most;
    if (log->data_claimed - log->data_next < want)
        log_claim_ahead(log, (uint32_t)want, now_ns);
    uint64_t have = log->data_claimed - log->data_next;
    *size = want < have ? want : have;
    return *size > 0 ? log->data + (log->data_next & log->data_mask) : NULL;
}

void log_writer_skip(struct log *log, uint64_t offset) {
    CHECK(log->data_next <= offset && offset <= log->data_claimed);
    log->data_next = offset;
    log->reserving = false;
}

/* The ring is larger than the caches, so every line that the writer comes to is cold, and stores that wait
 * for their lines hold up everything behind them. This asks early for the lines of a record to come, as long
 * as this one: a fifth of the CPU time of a delivery from one publisher to one subscriber, when measured. */
void log_writer_warm(const struct log *log, uint32_t length) {
    const uint8_t *data = log_bytes_at(log, log->data_next + LOG_WARM_BYTES);
    uint32_t bytes = length < LOG_WARM_MOST ? length : LOG_WARM_MOST;
    for (uint32_t i = 0; i < bytes; i += LOG_LINE_BYTES)
        __builtin_prefetch(data + i, 1);
}

bool log_writer_waits(const struct log *log) {
    return wanted_waits(&log->wanted);
}

uint64_t log_writer_next(const struct log *log) {
    return log->next;
}

static void log_publish(struct log *log) {
    __atomic_store_n(&log->produced, log->next, __ATOMIC_RELEASE); /* LOG_PUBLISH */
    if (!log->journalled)
        __atomic_store_n(&log->visible, log->next, __ATOMIC_RELEASE); /* LOG_PUBLISH */
    log->data_published = log->data_next;
    log->news = true;
    counter_add(&log->counters.batches, 1);
}

static bool log_batch_full(const struct log *log) {
    /* relaxed: only this thread writes `produced` */
    uint64_t records = log->next - __atomic_load_n(&log->produced, __ATOMIC_RELAXED);
    return records >= log_records(log) / LOG_BATCH_FRACTION ||
           log->data_next - log->data_published >= log_data_bytes(log) / LOG_BATCH_FRACTION;
}

void log_writer_commit(struct log *log, uint32_t length, uint32_t flags, uint64_t topic, uint64_t time_ns) {
    CHECK(log->reserving && length <= log->reserved);
    log->index[log->next & log->index_mask] = (struct log_entry){
        .offset = log->data_next, .length = length, .flags = flags, .topic = topic, .time = time_ns};
    /* relaxed: ordered before what the reader sees as produced by LOG_PUBLISH */
    __atomic_store_n(&log->slots[log_flags_slot(flags)].last, log->next, __ATOMIC_RELAXED);
    counter_add(&log->slots[log_flags_slot(flags)].records, 1);
    log->next++;
    log->data_next += length;
    log->reserving = false;
    __builtin_prefetch(log_entry_at(log, log->next + LOG_WARM_RECORDS), 1); /* see log_writer_warm */
    counter_add(&log->counters.records, 1);
    counter_add(&log->counters.bytes, length);
    if (UNLIKELY(log_batch_full(log)))
        log_publish(log);
}

uint64_t log_writer_train_most(const struct log *log, uint32_t length) {
    uint64_t entries = log->records_claimed - log->next;
    uint64_t batch = log_data_bytes(log) / LOG_BATCH_FRACTION - (log->data_next - log->data_published);
    uint64_t records = batch / length + 1;
    return records < entries ? records : entries;
}

void log_writer_train(struct log *log, const struct log_train *train) {
    uint32_t count = train->count;
    uint64_t bytes = (uint64_t)count * train->length;
    CHECK(log->reserving && count > 0 && log->next + count <= log->records_claimed &&
          log->data_next + bytes <= log->data_claimed);
    uint8_t *sequence_at = log->data + (log->data_next & log->data_mask) + train->sequence_at;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t sequence = train->sequence + i;
        memcpy(sequence_at + (size_t)i * train->length, &sequence, sizeof sequence);
        log->index[(log->next + i) & log->index_mask] =
            (struct log_entry){.offset = log->data_next + (uint64_t)i * train->length,
                               .length = train->length,
                               .flags = train->flags,
                               .topic = train->topic,
                               .time = train->time_ns};
        __builtin_prefetch(log_entry_at(log, log->next + i + LOG_WARM_RECORDS), 1); /* see log_writer_warm */
    }
    log->next += count;
    log->data_next += bytes;
    log->reserving = false;
    /* relaxed: ordered before what the reader sees as produced by LOG_PUBLISH */
    __atomic_store_n(&log->slots[log_flags_slot(train->flags)].last, log->next - 1, __ATOMIC_RELAXED);
    counter_add(&log->slots[log_flags_slot(train->flags)].records, count);
    counter_add(&log->counters.records, count);
    counter_add(&log->counters.bytes, bytes);
    if (UNLIKELY(log_batch_full(log)))
        log_publish(log);
}

bool log_writer_publish(struct log *log) {
    /* relaxed: only this thread writes `produced` */
    if (__atomic_load_n(&log->produced, __ATOMIC_RELAXED) != log->next)
        log_publish(log);
    bool news = log->news;
    log->news = false;
    return news;
}

void log_check(const struct log *log) {
    uint64_t oldest = log_oldest(log);
    CHECK(oldest <= log->produced && log->produced <= log->next);
    CHECK(log->visible <= log->produced);
    CHECK(log->next <= log->records_claimed && log->data_next <= log->data_claimed);
    CHECK(log->records_claimed - oldest <= log_records(log));
    CHECK(oldest == log->next ||
          log->data_claimed - log_entry_at(log, oldest)->offset <= log_data_bytes(log));
    CHECK(log->grace_left_ns <= log->grace_ns);
    CHECK(log->data_published <= log->data_next);
}

/* ---- any thread ---- */

uint64_t log_oldest(const struct log *log) {
    return __atomic_load_n(&log->oldest, __ATOMIC_SEQ_CST); /* LOG_CLAIM */
}

uint64_t log_slot_last(const struct log *log, uint32_t slot) {
    CHECK(slot < SLOT_COUNT);
    /* relaxed: the caller's acquire of `produced` (LOG_PUBLISH) orders it; a newer value is only a larger
     * position */
    return __atomic_load_n(&log->slots[slot].last, __ATOMIC_RELAXED);
}

uint64_t log_slot_records(const struct log *log, uint32_t slot) {
    CHECK(slot < SLOT_COUNT);
    return counter_get(&log->slots[slot].records);
}

/* ---- readers ---- */

static struct log_gate *log_gate_of(struct log *log, int gate) {
    CHECK(gate >= 0 && (uint32_t)gate < LOG_READERS_MAX);
    return &log->gates[gate];
}

/* After a gate, a floor or what is visible has moved: WANTED. */
static void log_gate_moved(struct log *log) {
    if (wanted_take(&log->wanted) && log->wake != NULL)
        wake_signal(log->wake);
}

void log_visible_set(struct log *log, uint64_t position) {
    /* relaxed: only this thread writes `visible` */
    CHECK(log->journalled && __atomic_load_n(&log->visible, __ATOMIC_RELAXED) <= position);
    CHECK(position <= log_produced(log));
    __atomic_store_n(&log->visible, position, __ATOMIC_RELEASE); /* LOG_VISIBLE */
    log_gate_moved(log);
}

int log_reader_attach(struct log *log) {
    for (uint32_t i = 0; i < LOG_READERS_MAX; i++) {
        uint32_t unused = 0;
        /* acquire LOG_SEAT: what the last holder did with this gate is over */
        if (__atomic_compare_exchange_n(&log->gates[i].used, &unused, 1, false, __ATOMIC_ACQUIRE,
                                        __ATOMIC_RELAXED))
            return (int)i;
    }
    return -EAGAIN;
}

void log_reader_detach(struct log *log, int gate) {
    struct log_gate *mine = log_gate_of(log, gate);
    log_reader_laggard(log, gate, LOG_IDLE);
    log_reader_idle(log, gate);
    CHECK(__atomic_exchange_n(&mine->used, 0, __ATOMIC_RELEASE) == 1); /* LOG_SEAT */
}

uint64_t log_reader_gate(const struct log *log, int gate) {
    CHECK(gate >= 0 && (uint32_t)gate < LOG_READERS_MAX);
    return __atomic_load_n(&log->gates[gate].position,
                           __ATOMIC_RELAXED); /* relaxed: the caller is the one who writes it */
}

void log_reader_raise(struct log *log, int gate, uint64_t position) {
    struct log_gate *mine = log_gate_of(log, gate);
    uint64_t stands = log_reader_gate(log, gate);
    CHECK(stands <= position && position != LOG_IDLE);
    if (stands == position)
        return;
    __atomic_store_n(&mine->position, position, __ATOMIC_RELEASE); /* LOG_GATE */
    log_gate_moved(log);
}

bool log_reader_lower(struct log *log, int gate, uint64_t position) {
    struct log_gate *mine = log_gate_of(log, gate);
    /* relaxed: who knows the position has acquired it; a check must not add an order that the caller lacks */
    CHECK_HOT(position != 0 && position <= __atomic_load_n(&log->produced, __ATOMIC_RELAXED));
    if (log_reader_gate(log, gate) <= position) { /* protected already, so there is nothing to find out */
        log_reader_raise(log, gate, position);
        return true;
    }
    __atomic_store_n(&mine->position, position, __ATOMIC_SEQ_CST); /* L1: LOG_GATE, pairs with LOG_CLAIM */
    if (log_oldest(log) <= position)                               /* L2 */
        return true;
    log_reader_idle(log, gate); /* the writer may have met the gate meanwhile, and then waits for this */
    return false;
}

void log_reader_idle(struct log *log, int gate) {
    __atomic_store_n(&log_gate_of(log, gate)->position, LOG_IDLE, __ATOMIC_RELEASE); /* LOG_GATE */
    log_gate_moved(log);
}

void log_reader_laggard(struct log *log, int gate, uint64_t position) {
    struct log_gate *mine = log_gate_of(log, gate);
    if (__atomic_load_n(&mine->floor, __ATOMIC_RELAXED) ==
        position) /* relaxed: the caller is the one who writes it */
        return;
    __atomic_store_n(&mine->floor, position,
                     __ATOMIC_RELEASE); /* release: nothing depends on it; WANTED orders it */
    log_gate_moved(log);
}
