#include "codecs/edi/control.h"

#include "codecs/edi/compose.h"
#include "codecs/edi/envelope.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SEGMENTS_MAX 99u /* that are told of one message */

enum action { ACTION_REJECTED = 4, ACTION_ACKNOWLEDGED = 7, ACTION_RECEIVED = 8 };

/* What the first error of a scope is. */
struct fault_of {
    const char *code; /* 0085; NULL: there is none */
    char segment[4];  /* 0013, a service segment; or none */
};

struct control {
    struct control_options options;
    uint32_t written;
    struct keep keeps[DOCUMENT_MESSAGE + 1]; /* the texts of the heads */
    struct document_head heads[DOCUMENT_MESSAGE + 1];
    struct fault_of faults[DOCUMENT_MESSAGE + 1];
    bool in_group;
    struct compose out, body, group, message;
    uint32_t body_segments, group_segments, message_segments;
    uint32_t told;     /* of this message's segments */
    uint32_t position; /* of the segment that was told last */
    uint32_t messages, controls;
};

int control_create(struct control **control, const struct control_options *options) {
    struct control *made = calloc(1, sizeof *made);
    if (!made)
        return -ENOMEM;
    made->options = *options;
    *control = made;
    return 0;
}

void control_destroy(struct control *control) {
    if (!control)
        return;
    compose_deinit(&control->out);
    compose_deinit(&control->body);
    compose_deinit(&control->group);
    compose_deinit(&control->message);
    free(control);
}

/* ---- what the reader says ---- */

static void head_keep(struct control *control, enum document_scope scope, const struct document_head *head) {
    struct keep *keep = &control->keeps[scope];
    struct document_head *kept = &control->heads[scope];
    keep->used = 0;
    *kept = (struct document_head){
        .syntax = keep_value(keep, head->syntax, 0),
        .name = keep_value(keep, head->name, 0),
        .version = keep_value(keep, head->version, 0),
        .association = keep_value(keep, head->association, 0),
        .sender = {keep_value(keep, head->sender.id, 0), keep_value(keep, head->sender.qualifier, 0)},
        .receiver = {keep_value(keep, head->receiver.id, 0), keep_value(keep, head->receiver.qualifier, 0)},
        .interchange_ref = keep_value(keep, head->interchange_ref, 0),
        .group_ref = keep_value(keep, head->group_ref, 0),
        .message_ref = keep_value(keep, head->message_ref, 0),
    };
    control->faults[scope] = (struct fault_of){0};
}

static void begin(void *context, enum document_scope scope, const struct document_head *head) {
    struct control *control = context;
    if (scope > DOCUMENT_MESSAGE)
        return;
    head_keep(control, scope, head);
    if (scope == DOCUMENT_INTERCHANGE) {
        compose_clear(&control->body);
        control->body_segments = control->messages = control->controls = 0;
    } else if (scope == DOCUMENT_GROUP) {
        compose_clear(&control->group);
        control->group_segments = 0;
        control->in_group = true;
    } else {
        compose_clear(&control->message);
        control->message_segments = control->told = control->position = 0;
        control->messages++;
        control->controls += value_is(head->name, "CONTRL");
    }
}

static void segment(void *context, const struct segment *segment) {
    (void)context, (void)segment;
}

static bool is_service(struct value name) {
    return name.length == 0 || value_is(name, "UNH") || value_is(name, "UNT");
}

/* An error in a segment between UNH and UNT: UCS for the segment, UCD for what is in it. */
static void segment_tell(struct control *control, const struct finding *finding, const char *code) {
    const struct place *place = &finding->place;
    if (place->segment != control->position) {
        if (++control->told > SEGMENTS_MAX)
            return;
        control->position = place->segment;
        compose_format(&control->message, place->element > 0 ? "UCS+%u'" : "UCS+%u+%s'", place->segment,
                       code);
        control->message_segments++;
    }
    if (place->element == 0 || control->told > SEGMENTS_MAX)
        return;
    compose_format(&control->message, place->component > 1 ? "UCD+%s+%u:%u'" : "UCD+%s+%u'", code,
                   place->element + 1, place->component); /* the tag has position 1 */
    control->message_segments++;
}

/* And not of what has become of the message since it was read. */
static bool is_of_the_text(enum finding_code code) {
    return code != FINDING_MAPPING_FAILED && code != FINDING_MAPPING_UNFIT && code != FINDING_PUBLISH_REFUSED;
}

static void found(void *context, const struct finding *finding) {
    struct control *control = context;
    if (finding->severity != FINDING_ERROR || finding->scope > DOCUMENT_MESSAGE)
        return;
    struct fault_of *fault = &control->faults[finding->scope];
    const char *code = finding_kind(finding->code)->edifact;
    if (*code == '\0')
        code = "18";
    if (finding->scope == DOCUMENT_MESSAGE && !is_service(finding->segment)) {
        segment_tell(control, finding, code);
        return;
    }
    if (fault->code)
        return;
    static const char *const trailers[] = {"UNZ", "UNE", "UNT"}; /* that are missing */
    const char *name = (const char *)finding->segment.bytes;
    fault->code = code;
    if (finding->segment.length == 0 && is_of_the_text(finding->code))
        memcpy(fault->segment, trailers[finding->scope], 3);
    else if (finding->segment.length == 3 && strchr("BGHTEZOP", name[2]) && memcmp(name, "UN", 2) == 0)
        memcpy(fault->segment, name, 3);
}

/* ---- what is written ---- */

static void put_fault(struct compose *compose, enum action action, const struct fault_of *fault) {
    compose_format(compose, "+%d", (int)action);
    if (action == ACTION_REJECTED && fault->code)
        compose_format(compose, fault->segment[0] ? "+%s+%s" : "+%s", fault->code, fault->segment);
    compose_format(compose, "'");
}

static void put_party(struct compose *compose, const struct document_party *party) {
    compose_format(compose, "+");
    compose_edifact(compose, party->id, false);
    if (party->qualifier.length == 0)
        return;
    compose_format(compose, ":");
    compose_edifact(compose, party->qualifier, false);
}

static void message_end(struct control *control) {
    const struct document_head *head = &control->heads[DOCUMENT_MESSAGE];
    struct compose *to = control->in_group ? &control->group : &control->body;
    uint32_t *segments = control->in_group ? &control->group_segments : &control->body_segments;
    compose_format(to, "UCM+");
    compose_edifact(to, head->message_ref, false);
    compose_format(to, "+");
    compose_edifact(to, head->name, false);
    struct value version = head->version; /* which may have been cut behind a colon */
    while (version.length > 0 && version.bytes[version.length - 1] == ':')
        version.length--;
    if (version.length > 0)
        compose_format(to, ":");
    compose_edifact(to, version, true);
    if (head->association.length > 0)
        compose_format(to, ":");
    compose_edifact(to, head->association, false);
    put_fault(to, ACTION_REJECTED, &control->faults[DOCUMENT_MESSAGE]);
    compose_all(to, &control->message);
    *segments += 1 + control->message_segments;
}

static void group_end(struct control *control, bool rejected) {
    const struct document_head *head = &control->heads[DOCUMENT_GROUP];
    control->in_group = false;
    if (!rejected && control->group_segments == 0)
        return;
    compose_format(&control->body, "UCF+");
    compose_edifact(&control->body, head->group_ref, false);
    put_party(&control->body, &head->sender);
    put_party(&control->body, &head->receiver);
    put_fault(&control->body, rejected ? ACTION_REJECTED : ACTION_ACKNOWLEDGED,
              &control->faults[DOCUMENT_GROUP]);
    compose_all(&control->body, &control->group);
    control->body_segments += 1 + control->group_segments;
}

/* Whom it came from gets it, by whom it was sent to. */
static void interchange_end(struct control *control, bool rejected) {
    const struct document_head *head = &control->heads[DOCUMENT_INTERCHANGE];
    struct compose *out = &control->out;
    bool four = head->syntax.length > 0 && head->syntax.bytes[head->syntax.length - 1] == '4';
    bool receipt = control->options.receipt;
    uint32_t number = control->options.number + control->written;
    compose_clear(out);
    compose_format(out, "UNB+UNOC:%c", four ? '4' : '3');
    put_party(out, &head->receiver);
    put_party(out, &head->sender);
    compose_format(out, "+%s:%s+%u'", four ? control->options.date : control->options.date + 2,
                   control->options.time, number);
    compose_format(out, "UNH+1+CONTRL:%s:UN'UCI+", four ? "4:1" : "D:3");
    compose_edifact(out, head->interchange_ref, false);
    put_party(out, &head->sender);
    put_party(out, &head->receiver);
    put_fault(out,
              receipt    ? ACTION_RECEIVED
              : rejected ? ACTION_REJECTED
                         : ACTION_ACKNOWLEDGED,
              &control->faults[DOCUMENT_INTERCHANGE]);
    if (!receipt)
        compose_all(out, &control->body);
    compose_format(out, "UNT+%u+1'UNZ+1+%u'", 3 + (receipt ? 0 : control->body_segments), number);
    if (out->failed)
        return;
    control->written++;
    control->options.done(control->options.context, out->bytes, out->length);
}

static void end(void *context, enum document_scope scope, const struct document_tail *tail) {
    struct control *control = context;
    bool rejected = tail->errors > 0;
    if (scope == DOCUMENT_MESSAGE && rejected && !value_is(control->heads[DOCUMENT_MESSAGE].name, "CONTRL"))
        message_end(control);
    else if (scope == DOCUMENT_GROUP)
        group_end(control, rejected);
    else if (scope == DOCUMENT_INTERCHANGE &&
             (control->messages == 0 || control->messages > control->controls))
        interchange_end(control, rejected);
}

struct document_sink control_sink(struct control *control) {
    return (struct document_sink){
        .context = control, .begin = begin, .segment = segment, .end = end, .finding = found};
}
