#include "codecs/document/report.h"

void report_init(struct report *report, const struct document_sink *sink, const struct profile *profile) {
    *report = (struct report){.sink = sink, .profile = profile_limits(profile)};
}

void report_begin(struct report *report, enum document_scope scope) {
    report->told[scope] = 0;
    report->errors[scope] = 0;
}

enum finding_severity report_finding(struct report *report, struct finding *finding) {
    finding->severity = finding_severity(&report->profile, finding->code);
    if (finding->severity == FINDING_ERROR)
        report->errors[finding->scope]++;
    if (report->told[finding->scope] < report->profile.findings_max) {
        report->told[finding->scope]++;
        report->sink->finding(report->sink->context, finding);
    }
    return finding->severity;
}
