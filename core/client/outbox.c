#include "core/client/outbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Any value but 0 lets the server take the frame over as it is and write its own sequence in place. */
#define OUTBOX_SEQUENCE 1u

/* Maps the file twice in a row over reserved address space. */
static uint8_t *outbox_map(int file, size_t capacity) {
    uint8_t *base = mmap(NULL, 2 * capacity, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED)
        return NULL;
    for (size_t half = 0; half < 2; half++) {
        void *at = base + half * capacity;
        if (mmap(at, capacity, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file, 0) == MAP_FAILED) {
            (void)munmap(base, 2 * capacity);
            return NULL;
        }
    }
    return base;
}

int outbox_init(struct outbox *box, size_t bytes, bool keep) {
    *box = (struct outbox){.capacity = (uint64_t)sysconf(_SC_PAGESIZE), .keep = keep};
    box->controls_end = &box->controls;
    while (box->capacity < bytes)
        box->capacity *= 2;
    int file = memfd_create("roundhouse-outbox", MFD_CLOEXEC);
    if (file < 0)
        return -errno;
    if (ftruncate(file, (off_t)box->capacity) == 0)
        box->bytes = outbox_map(file, box->capacity);
    (void)close(file);
    return box->bytes != NULL ? 0 : -ENOMEM;
}

static void outbox_forget_controls(struct outbox *box) {
    while (box->controls != NULL) {
        struct outbox_frame *frame = box->controls;
        box->controls = frame->next;
        free(frame);
    }
    box->controls_end = &box->controls;
    box->control_sent = 0;
    box->control_bytes = 0;
}

void outbox_deinit(struct outbox *box) {
    if (box->bytes != NULL)
        (void)munmap(box->bytes, 2 * box->capacity);
    outbox_forget_controls(box);
    box->bytes = NULL;
}

static uint8_t *outbox_at(const struct outbox *box, uint64_t position) {
    return box->bytes + (position & (box->capacity - 1));
}

/* Bytes of the event frame that begins at `position`. */
static uint64_t outbox_frame_size(const struct outbox *box, uint64_t position) {
    uint64_t total = 0;
    struct fault fault;
    enum wire_result result =
        wire_length(outbox_at(box, position), box->produced - position, UINT64_MAX, &total, &fault);
    CHECK(result == WIRE_OK && total <= box->produced - position);
    return total;
}

bool outbox_event(struct outbox *box, const struct wire_event *event) {
    uint32_t size = wire_record_size(event->topic_length, event->event_length);
    if (size > box->capacity - (box->produced - box->kept))
        return false;
    (void)wire_record_write(outbox_at(box, box->produced), OUTBOX_SEQUENCE, event);
    box->produced += size;
    box->ordinal_last++;
    return true;
}

int outbox_control(struct outbox *box, const Roundhouse__V1__Frame *frame, bool first) {
    size_t size = control_size(frame);
    struct outbox_frame *made = malloc(sizeof *made + size);
    if (made == NULL)
        return -ENOMEM;
    made->next = NULL;
    made->after = first ? box->sent : box->produced;
    made->size = control_pack(frame, made->bytes);
    *box->controls_end = made;
    box->controls_end = &made->next;
    box->control_bytes += made->size;
    return 0;
}

size_t outbox_next(const struct outbox *box, bool events, const uint8_t **bytes) {
    const struct outbox_frame *control = box->controls;
    if (control != NULL && control->after <= box->sent) {
        *bytes = control->bytes + box->control_sent;
        return control->size - box->control_sent;
    }
    uint64_t end = control != NULL ? control->after : box->produced;
    *bytes = outbox_at(box, box->sent);
    return events ? (size_t)(end - box->sent) : 0;
}

/* Counts the events that are now sent whole; without `keep` their bytes are free. */
static void outbox_release_sent(struct outbox *box) {
    while (box->kept < box->sent) {
        uint64_t size = outbox_frame_size(box, box->kept);
        if (size > box->sent - box->kept)
            break;
        box->kept += size;
        box->ordinal_kept++;
    }
    box->ordinal_sent = box->ordinal_kept;
}

void outbox_advance(struct outbox *box, size_t count) {
    struct outbox_frame *control = box->controls;
    if (control == NULL || control->after > box->sent) {
        box->sent += count;
        CHECK(box->sent <= box->produced);
        if (!box->keep)
            outbox_release_sent(box);
        return;
    }
    box->control_sent += count;
    CHECK(box->control_sent <= control->size);
    if (box->control_sent < control->size)
        return;
    box->controls = control->next;
    if (box->controls == NULL)
        box->controls_end = &box->controls;
    box->control_bytes -= control->size;
    box->control_sent = 0;
    free(control);
}

/* Drops kept events up to `ordinal` that lie before `end`. */
static bool outbox_drop(struct outbox *box, uint64_t ordinal, uint64_t end) {
    while (box->ordinal_kept < ordinal) {
        if (box->kept >= end)
            return false;
        uint64_t size = outbox_frame_size(box, box->kept);
        if (size > end - box->kept)
            return false;
        box->kept += size;
        box->ordinal_kept++;
    }
    if (box->ordinal_sent < box->ordinal_kept)
        box->ordinal_sent = box->ordinal_kept;
    if (box->sent < box->kept)
        box->sent = box->kept;
    return true;
}

bool outbox_settle(struct outbox *box, uint64_t ordinal) {
    return outbox_drop(box, ordinal, box->sent);
}

void outbox_abandon(struct outbox *box, uint64_t ordinal) {
    CHECK(box->controls == NULL && box->sent == box->kept);
    CHECK(outbox_drop(box, ordinal, box->produced));
}

void outbox_rewind(struct outbox *box) {
    uint64_t position = box->kept, ordinal = box->ordinal_kept;
    while (position < box->sent) {
        uint64_t size = outbox_frame_size(box, position);
        if (size > box->sent - position)
            break;
        position += size;
        ordinal++;
    }
    if (box->ordinal_sent < ordinal)
        box->ordinal_sent = ordinal;
    outbox_forget_controls(box);
    box->sent = box->kept;
    outbox_check(box);
}

void outbox_check(const struct outbox *box) {
    CHECK(box->kept <= box->sent && box->sent <= box->produced);
    CHECK(box->produced - box->kept <= box->capacity);
    CHECK(box->ordinal_kept <= box->ordinal_last && box->ordinal_sent <= box->ordinal_last);
    CHECK((box->controls == NULL) == (box->control_bytes == 0));
}
