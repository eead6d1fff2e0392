/* findings.h: what was found in a document, as JSON for who has sent it.
 * Owner: who has it inside. Thread: one at a time.
 * Nothing blocks. Memory: FINDINGS_LIST_MAX findings; of those behind it only the number is told.
 * Zeroed is empty; findings_clear makes it so again.
 * Fails by an empty text, when there is no memory. */
#pragma once

#include "codecs/document/finding.h"
#include "codecs/event/bytes.h"

#include <stdbool.h>
#include <stdint.h>

#define FINDINGS_LIST_MAX 1000u /* of some 400 bytes each */
#define FINDINGS_TEXT_MAX 300u  /* bytes of a sentence that is told beside a finding */

struct findings {
    struct bytes text;
    uint32_t told, omitted;
    uint32_t errors, warnings; /* among them */
};

/* `x12`, `edifact`: of what format the document is, for the standard's own code. */
void findings_add(struct findings *list, const struct finding *finding, const char *format);
/* The same, of no partner's rule: `sentence` says what went wrong. */
void findings_say(struct findings *list, enum finding_code code, struct place place, const char *sentence);

struct findings_head {
    const char *file, *format;
    uint64_t published, refused, unknown;
};
/* The whole text; *text is valid until the caller frees it. */
void findings_write(const struct findings *list, const struct findings_head *head, struct bytes *text);
void findings_clear(struct findings *list);
