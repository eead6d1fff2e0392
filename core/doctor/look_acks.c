/* look_acks.c: what an acknowledgement means with this config, a sentence for each class of topics. */
#include "core/config/value.h"
#include "core/doctor/doctor.h"

#include <stdio.h>
#include <string.h>

#define CONFIGURATION 78
#define QUOTE_BYTES   64u

static void look_disk_class(const struct doctor *doctor, const char *which, struct findings *findings) {
    finding_add(findings, FINDING_OK, "acks",
                "%s: `disk` means synced in the journal in %s: a crash of the router or a loss of power does "
                "not lose the event. `routed` means in the log in memory, on its way to the journal: a crash "
                "may lose it",
                which, doctor->config->journal_dir);
}

static void look_memory_class(const struct doctor *doctor, const char *which, struct findings *findings) {
    bool journal = config_journalled(doctor->config);
    struct finding *finding = finding_add(findings, journal ? FINDING_OK : FINDING_NOTE, "acks",
                                          "%s: `routed` means in the log in memory and on its way to who is "
                                          "connected: a crash of the router or "
                                          "the machine, or a restart, loses the event. `disk` is refused%s",
                                          which, journal ? "" : ": there is no journal");
    if (!journal)
        finding_advise(finding, "set journal.dir, or use serve --journal DIR, where that is not enough");
}

static void look_duplicates(const struct topic_rule *rule, const char *which, struct findings *findings) {
    char window[CONFIG_VALUE_BYTES];
    if (rule->duplicates_window_ns == 0)
        return;
    finding_add(findings, FINDING_OK, "acks",
                "%s: an event with the source and id of one of the last %u, within %s, is acknowledged with "
                "the first one's sequence and not stored again",
                which, rule->duplicates_count, config_time_text(window, rule->duplicates_window_ns));
}

static void look_rule(const struct doctor *doctor, const struct topic_rule *rule, struct findings *findings) {
    char which[TOPIC_BYTES_MAX + 32];
    bool disk = rule->class_given ? rule->class == TOPIC_DISK : config_journalled(doctor->config);
    (void)snprintf(which, sizeof which, "topics %.*s", (int)rule->length, (const char *)rule->pattern);
    if (disk && config_journalled(doctor->config))
        look_disk_class(doctor, which, findings);
    else if (!disk)
        look_memory_class(doctor, which, findings);
    look_duplicates(rule, which, findings);
}

static bool takes_all(const struct topic_rule *rule) {
    return rule->length == 1 && rule->pattern[0] == '>';
}

void doctor_look_acks(const struct doctor *doctor, struct findings *findings) {
    const struct config *config = doctor->config;
    const struct topic_rule *rule = config_disk_without_journal(config);
    if (rule != NULL)
        finding_advise(finding_fail(findings, CONFIGURATION, "acks",
                                    "topics: \"%.*s\" is of class disk, and there is no journal",
                                    (int)rule->length, (const char *)rule->pattern),
                       "set journal.dir in the file, or give --journal DIR");
    bool all = false;
    for (uint32_t i = 0; i < config->topics_count && !all; i++) {
        look_rule(doctor, &config->topics[i], findings);
        all = takes_all(&config->topics[i]);
    }
    if (all)
        return;
    const char *which = config->topics_count > 0 ? "all other topics" : "all topics";
    if (config_journalled(config))
        look_disk_class(doctor, which, findings);
    else
        look_memory_class(doctor, which, findings);
}
