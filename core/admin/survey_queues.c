/* survey_queues.c: /v1/queues. */
#include "core/admin/surveys.h"

#include <string.h>

static json_t *queue_row(const void *row) {
    const struct survey_queue *found = row;
    return json_pack("{s:o, s:i, s:s, s:b, s:o, s:i, s:o, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "queue",
                     surveys_text(found->name, strlen(found->name)), "shard", (int)found->shard, "kind",
                     found->mailbox ? "mailbox" : "queue", "durable", found->durable, "patterns",
                     surveys_patterns(found->text, found->text_length), "patterns_total",
                     (int)found->patterns, "filter", surveys_filter(found->filtered, found->filter),
                     "members", (int)found->members, "outstanding", (json_int_t)found->outstanding, "held",
                     (json_int_t)found->held, "behind", (json_int_t)found->behind, "delivered_total",
                     (json_int_t)found->delivered, "done_total", (json_int_t)found->done,
                     "dead_letters_total", (json_int_t)found->dead, "oldest", surveys_time(found->oldest_ns));
}

json_t *surveys_queues_make(const struct survey_answer *answer, const struct survey_question *question) {
    (void)question;
    return surveys_list(answer, "queues", queue_row);
}

void on_queues(struct admin *admin, struct api_call *call) {
    surveys_ask_limited(admin, call, (struct survey_question){.kind = SURVEY_QUEUES}, surveys_queues_make);
}
