/* retell.h: what a reader tells of the envelopes of a document, kept to be told again to a sink that writes
 * an acknowledgement: heads, findings, tails, and that there was a segment outside of the messages. Owner:
 * who has it inside; retell_free gives the memory back. Zeroed is empty. Thread: one at a time. Nothing
 * blocks. Memory: some 20 bytes for a message that nothing was found in, 50 and more for a finding. Fails by
 * `bytes.failed`: there was no memory, and it is not whole. Of a message's head only what an acknowledgement
 * names it by is kept; no notes; values up to 255 bytes. */
#pragma once

#include "codecs/document/sink.h"
#include "codecs/event/bytes.h"

#define RETELL_NAME_BYTES 768u /* of a message's name, version and association */

struct retell {
    struct bytes bytes;
    size_t name_length;
    uint8_t name[RETELL_NAME_BYTES]; /* of the message before: most have the same */
};

void retell_clear(struct retell *retell);
void retell_free(struct retell *retell);

/* Scopes down to messages. An interchange is told whole, whatever was before it. */
/* `number`: the caller's, comes back with an interchange. */
void retell_begin(struct retell *retell, enum document_scope scope, const struct document_head *head,
                  uint32_t number);
void retell_end(struct retell *retell, enum document_scope scope, const struct document_tail *tail);
void retell_finding(struct retell *retell, const struct finding *finding);
void retell_outside(struct retell *retell);

/* One thing that was told; values are borrowed from the retell. */
struct retold {
    enum { RETOLD_BEGIN, RETOLD_END, RETOLD_FINDING, RETOLD_OUTSIDE } kind;
    enum document_scope scope;
    uint32_t number;
    struct document_head head; /* as the last beginning has left it */
    struct document_tail tail;
    struct finding finding;
};

/* The one at `at`, from 0 on; where the next one is. `retold` goes from one to the next, zeroed at first. */
size_t retell_read(const struct retell *retell, size_t at, struct retold *retold);
