/* finding.h: what `roundhouse doctor` has found, in the order in which it looked.
 * Owner: core/doctor; the caller of doctor_look has the list. The main thread.
 * A finding says what is so, how good that is, and what to do about it.
 * Nothing blocks.
 * Nothing fails: a text that does not fit is cut; above FINDINGS_MAX the last place is written again. */
#pragma once

#include <stdint.h>

enum finding_grade {
    FINDING_OK,   /* nothing to do */
    FINDING_NOTE, /* good to know */
    FINDING_WARN, /* it starts, and will not do all that the config asks for */
    FINDING_FAIL, /* it does not start */
};
#define FINDING_GRADES 4u

#define FINDING_TEXT_BYTES   512u
#define FINDING_ADVICE_BYTES 400u
#define FINDINGS_MAX         128u

struct finding {
    const char *area; /* static: one word, such as "io" */
    enum finding_grade grade;
    int status; /* what `serve` ends with for it; 0 unless the grade is FINDING_FAIL */
    char text[FINDING_TEXT_BYTES];
    char advice[FINDING_ADVICE_BYTES]; /* "" = nothing to do */
};

struct findings {
    uint32_t count;
    struct finding list[FINDINGS_MAX];
};

const char *finding_grade_name(enum finding_grade grade); /* "ok", "note", "warn", "fail" */

/* Adds one; the answer is there for finding_advise. */
struct finding *finding_add(struct findings *findings, enum finding_grade grade, const char *area,
                            const char *format, ...) __attribute__((format(printf, 4, 5)));
/* One that keeps the router from starting. */
struct finding *finding_fail(struct findings *findings, int status, const char *area, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void finding_advise(struct finding *finding, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What `serve` would end with: of the first that fails; 0 = it would start. */
int findings_status(const struct findings *findings);
uint32_t findings_count(const struct findings *findings, enum finding_grade grade);
