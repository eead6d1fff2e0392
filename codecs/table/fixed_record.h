/* fixed_record.h: what fixed.c, which finds records, and fixed_record.c, which reads them, share.
 * Owner: fixed.c. Nobody else includes this.
 * Thread: the one that feeds the reader.
 * Nothing blocks, but the sink may.
 * It can not fail. */
#pragma once

#include "codecs/document/report.h"
#include "codecs/table/cobol.h"
#include "codecs/table/fixed.h"

#define FIXED_DEPTH_MAX 32u
#define FIXED_KEY_MAX   256u

/* A record with records beneath it. */
struct fixed_branch {
    uint32_t record; /* index */
    uint32_t segments;
    uint64_t offset;
};

struct fixed {
    struct report report;
    const struct layouts *layouts;
    uint8_t newline;
    /* the file */
    uint8_t *carry; /* owns; LAYOUT_BYTES_MAX */
    uint32_t carried;
    uint64_t lost;   /* bytes of a line that did not fit */
    uint64_t offset; /* of the record that is being put together */
    uint32_t line, skipped;
    uint32_t block, wanted, prefix; /* bytes: left in the block, of the record that comes, of its length */
    bool given_up;
    bool file_open, has_trailer, trailer_seen, body_seen;
    uint64_t number;  /* records so far */
    uint64_t *counts; /* owns; of each record */
    struct fixed_total {
        __int128 sum; /* in billionths */
        bool unknown;
    } * totals; /* owns; LAYOUT_TESTS_MAX for each record: of its sums */
    uint32_t messages;
    /* the message */
    bool message_open;
    uint64_t message_offset;
    uint32_t segments;
    uint8_t key[FIXED_KEY_MAX];
    uint32_t key_length;
    struct fixed_branch branches[FIXED_DEPTH_MAX];
    uint32_t depth;
    /* the record */
    struct place place;
    const struct layout_record *record;
    const uint8_t *bytes;
    uint32_t length;
    /* what is handed out */
    uint8_t *scratch; /* owns */
    size_t scratch_room, scratch_used;
    struct element *elements; /* owns */
    struct value *components; /* owns */
    uint32_t values_room, element_count, component_count;
};

bool fixed_tell(struct fixed *fixed, enum finding_code code, const struct place *place, struct value found,
                struct value expected);
/* One record; its place is set. */
void fixed_record(struct fixed *fixed, const uint8_t *bytes, uint32_t length);
void fixed_file_begin(struct fixed *fixed);
void fixed_file_end(struct fixed *fixed);
