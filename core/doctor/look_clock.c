/* look_clock.c: whether the time of day is right, and whether it is cheap to read. */
#include "core/doctor/host.h"

#include <string.h>
#include <sys/timex.h>

static void look_synchronised(const struct doctor *doctor, struct findings *findings) {
    struct timex state = {0};
    int result = doctor->probes.clock(&state);
    if (result < 0) {
        finding_add(findings, FINDING_NOTE, "clock",
                    "whether the clock is synchronised can not be told here");
        return;
    }
    if (result != TIME_ERROR && (state.status & STA_UNSYNC) == 0) {
        finding_add(
            findings, FINDING_OK, "clock",
            "the time of day is synchronised, and wrong by %ld ms at most; waits and leases go by the "
            "monotonic clock, which nobody sets",
            state.maxerror / 1000);
        return;
    }
    finding_advise(
        finding_add(findings, FINDING_WARN, "clock",
                    "nothing synchronises the time of day: events expire, subscriptions begin at a "
                    "time and files of the journal grow old by a clock that may be wrong"),
        "run chrony or systemd-timesyncd; in a container or a virtual machine, look at the host's "
        "clock");
}

/* A worker reads the clock in each turn. */
static void look_source(const struct doctor *doctor, struct findings *findings) {
    char source[64];
    if (!host_text(doctor, "sys/devices/system/clocksource/clocksource0/current_clocksource", source,
                   sizeof source))
        return;
    bool slow =
        strcmp(source, "hpet") == 0 || strcmp(source, "acpi_pm") == 0 || strcmp(source, "jiffies") == 0;
    struct finding *finding = finding_add(findings, slow ? FINDING_WARN : FINDING_OK, "clock",
                                          "the kernel takes its time from %s%s", source,
                                          slow ? ", which is slow to read: each read is a system call" : "");
    if (slow)
        finding_advise(finding,
                       "look in the kernel's log why it does not trust the processor's counter (tsc)");
}

void doctor_look_clock(const struct doctor *doctor, struct findings *findings) {
    look_synchronised(doctor, findings);
    look_source(doctor, findings);
}
