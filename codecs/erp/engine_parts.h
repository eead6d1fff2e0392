/* engine_parts.h: what the files of the engine share: one message in the making.
 * Owner: engine.c makes and frees it; everything a message needs lies in its arena until the next one begins.
 * Thread: the one that feeds the reader.
 * Nothing blocks.
 * Out of memory stays in the arena (`failed`), is found when the message ends, and no one has to ask before.
 */
#pragma once

#include "codecs/erp/decimal.h"
#include "codecs/erp/engine.h"
#include "codecs/erp/map_table.h"
#include "codecs/erp/moment.h"

#define ENGINE_FRAMES_MAX   (2u * MAP_DEPTH_MAX)
#define ENGINE_FINDINGS_MAX 100u /* of one message, unless the profile says another number */

#define LAST_NAME_BYTES 128u /* longer names are looked up each time */

/* An open section, or an element of XML or IDoc that no section is for. */
struct frame {
    const struct map_section *section; /* NULL: nobody looks at what is in it */
    ProtobufCMessage *message;         /* NULL: made when something is written to it */
    uint32_t rank;                     /* its place in the section around it */
    uint16_t symbol;                   /* of the segment that opens it */
    bool aggregate;                    /* the reader says when it ends */
    bool fresh;                        /* its own segment may still come */
    uint32_t nested;                   /* elements inside it that nobody looks at */
};

/* An amount whose currency may come later in the document. */
struct pending {
    struct pending *next;
    Roundhouse__Erp__V1__Amount *amount;
};

/* What a document says about itself. */
struct controls {
    bool lines_said, hash_said;
    uint64_t lines;
    struct decimal hash;
    struct place lines_place, hash_place;
};

/* Where a value came from, for findings about it. */
struct spot {
    uint32_t element, component;
    struct value found;
};

struct erp_engine {
    struct erp_engine_options options;
    struct profile strict; /* when there is none */
    const struct profile *profile;
    struct arena arena;
    uint8_t digest[ERP_DIGEST_BYTES];
    bool digest_known;
    /* what the last message was, for the next one mostly is the same */
    char last_name[LAST_NAME_BYTES]; /* its format, name and variant, a zero byte behind each */
    const struct map *last_map;
    /* the message that is open; map is NULL when there is none for it */
    const struct map *map;
    ProtobufCMessage *message;
    Roundhouse__Erp__V1__Header *header;
    struct document_head head;   /* copied into the arena */
    struct document_head around; /* of the interchange, copied into its own arena */
    struct arena around_arena;
    struct frame frames[ENGINE_FRAMES_MAX];
    uint32_t top;
    uint32_t beyond; /* aggregates deeper than frames go */
    struct value variables[MAP_VARIABLES_MAX];
    struct pending *pending;
    struct controls controls;
    struct place place; /* of the segment that is mapped, of the message at its end */
    struct value name;  /* of the segment */
    struct value first; /* its component 1.1, without blanks behind it */
    uint64_t first_word;
    uint32_t errors, findings;
    bool open; /* between a message's begin and end */
};

/* ---- engine_write.c ---- */

/* A new message of the arena; NULL: no memory. */
ProtobufCMessage *engine_message(struct erp_engine *engine, const ProtobufCMessageDescriptor *descriptor);
/* Follows fields that are messages, making what is not there; lists stand for their last entry. */
ProtobufCMessage *engine_walk(struct erp_engine *engine, ProtobufCMessage *message,
                              const ProtobufCFieldDescriptor *const *steps, uint32_t count);
/* A new entry of the list at the end of the steps. */
ProtobufCMessage *engine_append(struct erp_engine *engine, ProtobufCMessage *message,
                                const ProtobufCFieldDescriptor *const *steps, uint32_t count);
/* Room for one more pointer of a repeated field. */
void **engine_slot(struct erp_engine *engine, ProtobufCMessage *message,
                   const ProtobufCFieldDescriptor *field);
/* A string of the arena in UTF-8, without blanks at its ends. */
char *engine_string(struct erp_engine *engine, struct value text, const struct spot *spot);

/* What is UTF-8 of a text, and no zero byte, as a string of the arena. */
char *engine_repaired(struct erp_engine *engine, struct value text);

/* The text of one leaf, without release characters and blanks at its ends. */
struct texts {
    struct value text;
    struct spot spot;
    bool empty; /* nothing is written */
};

/* The segment that is mapped, and the element that a range is at; NULL: the row has none. */
struct reach {
    const struct segment *segment;
    const struct element *element;
};

void engine_write(struct erp_engine *engine, struct reach reach, ProtobufCMessage *message,
                  const struct map_leaf *leaf, const struct texts *texts);

/* ---- engine_row.c ---- */

/* To be called with each segment, before all else. */
void engine_segment(struct erp_engine *engine, const struct segment *segment);
/* The text of a source, as struct texts has it. */
struct value engine_text(struct erp_engine *engine, struct reach reach, const struct map_source *source);
bool engine_conditions(const struct erp_engine *engine, const struct segment *segment,
                       const struct map_condition *conditions, uint32_t count);
/* `message` is asked for when there is something to write. */
void engine_row(struct erp_engine *engine, const struct segment *segment, const struct map_row *row,
                uint32_t frame);

/* ---- engine_frame.c ---- */

/* The message that a frame's rows write to. */
ProtobufCMessage *frame_message(struct erp_engine *engine, uint32_t frame);
void frame_segment(struct erp_engine *engine, const struct segment *segment);
void frame_begin(struct erp_engine *engine, struct value name);
void frame_end(struct erp_engine *engine);
/* A segment of the outermost section, whatever is open. */
void frame_outermost(struct erp_engine *engine, const struct segment *segment, uint16_t symbol);

/* ---- engine_origin.c ---- */

void origin_head_copy(struct arena *arena, struct document_head *own, const struct document_head *head);
void origin_begin(struct erp_engine *engine);
void origin_end(struct erp_engine *engine, const struct document_tail *tail);
/* Tells a finding of the mapping and puts it into the message. */
void origin_find(struct erp_engine *engine, enum finding_code code, const struct spot *spot);
void origin_finding(struct erp_engine *engine, const struct finding *finding);

/* ---- engine_verify.c ---- */

/* What a document must be in itself: counts, sums, numbers of lines. */
void engine_verify(struct erp_engine *engine);
