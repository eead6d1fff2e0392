#include "core/doctor/finding.h"

#include <stdarg.h>
#include <stdio.h>

const char *finding_grade_name(enum finding_grade grade) {
    static const char *const names[FINDING_GRADES] = {"ok", "note", "warn", "fail"};
    return names[grade];
}

static struct finding *place(struct findings *findings, enum finding_grade grade, const char *area) {
    if (findings->count < FINDINGS_MAX)
        findings->count++;
    struct finding *finding = &findings->list[findings->count - 1];
    *finding = (struct finding){.area = area, .grade = grade};
    return finding;
}

struct finding *finding_add(struct findings *findings, enum finding_grade grade, const char *area,
                            const char *format, ...) {
    struct finding *finding = place(findings, grade, area);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(finding->text, sizeof finding->text, format, arguments);
    va_end(arguments);
    return finding;
}

struct finding *finding_fail(struct findings *findings, int status, const char *area, const char *format,
                             ...) {
    struct finding *finding = place(findings, FINDING_FAIL, area);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(finding->text, sizeof finding->text, format, arguments);
    va_end(arguments);
    finding->status = status;
    return finding;
}

void finding_advise(struct finding *finding, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(finding->advice, sizeof finding->advice, format, arguments);
    va_end(arguments);
}

int findings_status(const struct findings *findings) {
    for (uint32_t i = 0; i < findings->count; i++)
        if (findings->list[i].grade == FINDING_FAIL)
            return findings->list[i].status;
    return 0;
}

uint32_t findings_count(const struct findings *findings, enum finding_grade grade) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < findings->count; i++)
        count += findings->list[i].grade == grade;
    return count;
}
