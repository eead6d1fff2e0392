#include "codecs/edi/functional_ack.h"

#include "codecs/edi/compose.h"
#include "codecs/edi/envelope.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CODES_MAX    5u  /* that AK5 and AK9 have room for */
#define SEGMENTS_MAX 99u /* that are told of one set */

/* Codes of AK5 or AK9, each once. */
struct codes {
    char texts[CODES_MAX][4];
    uint32_t count;
};

struct functional_ack {
    struct functional_ack_options options;
    uint32_t written;
    struct keep keeps[DOCUMENT_MESSAGE + 1]; /* the texts of the heads */
    struct document_head heads[DOCUMENT_MESSAGE + 1];
    struct compose out, body, group, set;
    uint32_t group_segments, set_segments;
    uint32_t position; /* of the segment that was told last */
    uint32_t told;     /* segments of this set */
    struct codes set_codes, group_codes;
    char note[4]; /* of TA1 */
    bool set_warned, group_warned, interchange_warned;
    uint32_t included, accepted;   /* sets of this group */
    uint32_t groups;               /* of the interchange; of them */
    uint32_t functional, answered; /* so many are FA, so many get an answer */
    bool acknowledges;             /* there is a TA1 in it */
};

int functional_ack_create(struct functional_ack **ack, const struct functional_ack_options *options) {
    struct functional_ack *made = calloc(1, sizeof *made);
    if (!made)
        return -ENOMEM;
    made->options = *options;
    *ack = made;
    return 0;
}

void functional_ack_destroy(struct functional_ack *ack) {
    if (!ack)
        return;
    compose_deinit(&ack->out);
    compose_deinit(&ack->body);
    compose_deinit(&ack->group);
    compose_deinit(&ack->set);
    free(ack);
}

/* ---- what the reader says ---- */

static void head_keep(struct functional_ack *ack, enum document_scope scope,
                      const struct document_head *head) {
    struct keep *keep = &ack->keeps[scope];
    keep->used = 0;
    ack->heads[scope] = (struct document_head){
        .name = keep_value(keep, head->name, 0),
        .version = keep_value(keep, head->version, 0),
        .association = keep_value(keep, head->association, 0),
        .sender = {keep_value(keep, head->sender.id, 0), keep_value(keep, head->sender.qualifier, 0)},
        .receiver = {keep_value(keep, head->receiver.id, 0), keep_value(keep, head->receiver.qualifier, 0)},
        .interchange_ref = keep_value(keep, head->interchange_ref, 0),
        .group_ref = keep_value(keep, head->group_ref, 0),
        .message_ref = keep_value(keep, head->message_ref, 0),
        .date = keep_value(keep, head->date, 0),
        .time = keep_value(keep, head->time, 0),
        .test = head->test,
        .acknowledge = head->acknowledge,
    };
}

static bool is_functional(const struct functional_ack *ack) {
    return value_is(ack->heads[DOCUMENT_GROUP].name, "FA");
}

static void begin(void *context, enum document_scope scope, const struct document_head *head) {
    struct functional_ack *ack = context;
    if (scope > DOCUMENT_MESSAGE)
        return;
    head_keep(ack, scope, head);
    if (scope == DOCUMENT_INTERCHANGE) {
        compose_clear(&ack->body);
        ack->groups = ack->functional = ack->answered = 0;
        ack->acknowledges = ack->interchange_warned = false;
        ack->note[0] = '\0';
    } else if (scope == DOCUMENT_GROUP) {
        compose_clear(&ack->group);
        ack->group_segments = ack->included = ack->accepted = 0;
        ack->group_codes.count = 0;
        ack->group_warned = false;
        ack->groups++;
        ack->functional += is_functional(ack);
    } else {
        compose_clear(&ack->set);
        ack->set_segments = ack->told = ack->position = 0;
        ack->set_codes.count = 0;
        ack->set_warned = false;
        ack->included++;
    }
}

static void segment(void *context, const struct segment *segment) {
    struct functional_ack *ack = context;
    ack->acknowledges |= segment->place.segment == 0;
}

static void code_copy(char text[4], const char *code) {
    (void)snprintf(text, 4, "%.3s", code);
}

static void code_add(struct codes *codes, const char *code) {
    for (uint32_t i = 0; i < codes->count; i++)
        if (strcmp(codes->texts[i], code) == 0)
            return;
    if (codes->count < CODES_MAX)
        code_copy(codes->texts[codes->count++], code);
}

static const char *line(const struct functional_ack *ack, const char *of_997, const char *of_999) {
    return ack->options.kind == FUNCTIONAL_ACK_999 ? of_999 : of_997;
}

/* AK3 for the segment, AK4 for what is in it. */
static void segment_tell(struct functional_ack *ack, const struct finding *finding, const char *scope,
                         const char *code) {
    const struct place *place = &finding->place;
    bool element = strcmp(scope, "AK4") == 0 && place->element > 0;
    code_add(&ack->set_codes, "5");
    if (place->segment != ack->position || !element) {
        if (++ack->told > SEGMENTS_MAX)
            return;
        ack->position = place->segment;
        compose_format(&ack->set, "%s*", line(ack, "AK3", "IK3"));
        compose_x12(&ack->set, finding->segment);
        compose_format(&ack->set, "*%u**%s~", place->segment, element ? "8" : code);
        ack->set_segments++;
    }
    if (!element || ack->told > SEGMENTS_MAX)
        return;
    struct value value = finding->found;
    if (value.length > 99)
        value.length = 99;
    compose_format(&ack->set, "%s*%u", line(ack, "AK4", "IK4"), place->element);
    if (place->component > 1)
        compose_format(&ack->set, ">%u", place->component);
    compose_format(&ack->set, "**%s", code);
    if (value.length > 0)
        compose_format(&ack->set, "*");
    compose_x12(&ack->set, value);
    compose_format(&ack->set, "~");
    ack->set_segments++;
}

/* The scope of a code, AK5 of AK5:4, and the code behind it. */
static const char *code_of(const struct finding *finding, char scope[4]) {
    const char *x12 = finding_kind(finding->code)->x12;
    const char *colon = strchr(x12, ':');
    memset(scope, 0, 4);
    if (!colon)
        return NULL;
    memcpy(scope, x12, 3);
    return colon + 1;
}

static void found_in_set(struct functional_ack *ack, const struct finding *finding) {
    char scope[4];
    const char *code = code_of(finding, scope);
    ack->set_warned |= finding->severity == FINDING_WARNING;
    if (code && (strcmp(scope, "AK3") == 0 || strcmp(scope, "AK4") == 0))
        segment_tell(ack, finding, scope, code);
    else
        code_add(&ack->set_codes, code && strcmp(scope, "AK5") == 0 ? code : "5");
}

static void found(void *context, const struct finding *finding) {
    struct functional_ack *ack = context;
    char scope[4];
    const char *code = code_of(finding, scope);
    if (finding->severity == FINDING_NOTE)
        return;
    if (finding->scope == DOCUMENT_MESSAGE) {
        found_in_set(ack, finding);
    } else if (finding->scope == DOCUMENT_GROUP) {
        ack->group_warned |= finding->severity == FINDING_WARNING;
        if (code && strcmp(scope, "AK9") == 0)
            code_add(&ack->group_codes, code);
    } else if (finding->scope == DOCUMENT_INTERCHANGE) {
        ack->interchange_warned |= finding->severity == FINDING_WARNING;
        if (ack->note[0] == '\0')
            code_copy(ack->note, code && strcmp(scope, "TA1") == 0 ? code : "024");
    }
}

/* ---- what is written ---- */

static void put_codes(struct compose *compose, const struct codes *codes) {
    for (uint32_t i = 0; i < codes->count; i++)
        compose_format(compose, "*%s", codes->texts[i]);
    compose_format(compose, "~");
}

static void set_end(struct functional_ack *ack, bool rejected) {
    const struct document_head *head = &ack->heads[DOCUMENT_MESSAGE];
    struct compose *to = &ack->group;
    ack->accepted += !rejected;
    ack->group_warned |= ack->set_warned;
    compose_format(to, "AK2*");
    compose_x12(to, head->name);
    compose_format(to, "*");
    compose_x12(to, head->message_ref);
    compose_format(to, "~");
    compose_all(to, &ack->set);
    compose_format(to, "%s*%c", line(ack, "AK5", "IK5"), rejected ? 'R' : ack->set_warned ? 'E' : 'A');
    put_codes(to, &ack->set_codes);
    ack->group_segments += 2 + ack->set_segments;
}

static char group_status(const struct functional_ack *ack, bool rejected) {
    if (rejected || (ack->accepted == 0 && ack->included > 0))
        return 'R';
    if (ack->accepted < ack->included)
        return 'P';
    return ack->group_warned ? 'E' : 'A';
}

/* One 997 or 999 for each group, in one group of ours. */
static void group_end(struct functional_ack *ack, bool rejected) {
    const struct document_head *head = &ack->heads[DOCUMENT_GROUP];
    struct compose *to = &ack->body;
    bool new = ack->options.kind == FUNCTIONAL_ACK_999;
    uint32_t number = ack->options.number + ack->written;
    if (is_functional(ack) || ack->options.kind == FUNCTIONAL_ACK_NONE)
        return;
    ack->answered++;
    uint32_t group = number % 10000000 * 100 + ack->answered % 100; /* nine digits */
    compose_format(to, "GS*FA*");
    compose_x12(to, head->receiver.id);
    compose_format(to, "*");
    compose_x12(to, head->sender.id);
    compose_format(to, "*%s*%s*%u*X*%s~", ack->options.date, ack->options.time, group,
                   new ? "005010X231A1" : "004010");
    compose_format(to, new ? "ST*999*%04u*005010X231A1~" : "ST*997*%04u~", ack->answered);
    compose_format(to, "AK1*");
    compose_x12(to, head->name);
    compose_format(to, "*");
    compose_x12(to, head->group_ref);
    if (new) {
        compose_format(to, "*");
        compose_x12(to, head->version);
        compose_x12(to, head->association);
    }
    compose_format(to, "~");
    compose_all(to, &ack->group);
    compose_format(to, "AK9*%c*%u*%u*%u", group_status(ack, rejected), ack->included, ack->included,
                   rejected ? 0 : ack->accepted);
    put_codes(to, &ack->group_codes);
    compose_format(to, "SE*%u*%04u~GE*1*%u~", 4 + ack->group_segments, ack->answered, group);
}

/* By what it is when it is written: a character that X12 does not have is one blank. */
static void put_padded(struct compose *compose, struct value value, uint32_t width) {
    size_t end = compose->length + width;
    compose_x12(compose, value);
    if (compose->length > end)
        compose->length = end;
    compose_format(compose, "%*s", (int)(end - compose->length), "");
}

static void put_isa(struct functional_ack *ack, uint32_t number) {
    const struct document_head *head = &ack->heads[DOCUMENT_INTERCHANGE];
    bool new = ack->options.kind == FUNCTIONAL_ACK_999;
    compose_format(&ack->out, "ISA*00*          *00*          *");
    put_padded(&ack->out, head->receiver.qualifier, 2);
    compose_format(&ack->out, "*");
    put_padded(&ack->out, head->receiver.id, 15);
    compose_format(&ack->out, "*");
    put_padded(&ack->out, head->sender.qualifier, 2);
    compose_format(&ack->out, "*");
    put_padded(&ack->out, head->sender.id, 15);
    compose_format(&ack->out, "*%s*%s*%s*%09u*0*%c*>~", ack->options.date + 2, ack->options.time,
                   new ? "^*00501" : "U*00401", number, head->test ? 'T' : 'P');
}

static void put_ta1(struct functional_ack *ack, bool rejected) {
    const struct document_head *head = &ack->heads[DOCUMENT_INTERCHANGE];
    struct value date = head->date;
    if (date.length == 8) {
        date.bytes += 2;
        date.length -= 2;
    }
    compose_format(&ack->out, "TA1*");
    compose_x12(&ack->out, head->interchange_ref);
    compose_format(&ack->out, "*");
    compose_x12(&ack->out, date);
    compose_format(&ack->out, "*");
    compose_x12(&ack->out, head->time);
    compose_format(&ack->out, "*%c*%s~",
                   rejected                  ? 'R'
                   : ack->interchange_warned ? 'E'
                                             : 'A',
                   ack->note[0] == '\0' ? "000" : ack->note);
}

static void interchange_end(struct functional_ack *ack, bool rejected) {
    bool only_functional = ack->acknowledges && ack->groups == 0;
    bool technical = ack->options.technical || ack->heads[DOCUMENT_INTERCHANGE].acknowledge || rejected;
    uint32_t number = ack->options.number + ack->written;
    if (only_functional || (ack->groups > 0 && ack->functional == ack->groups) ||
        (!technical && ack->answered == 0))
        return;
    compose_clear(&ack->out);
    put_isa(ack, number);
    if (technical)
        put_ta1(ack, rejected);
    if (!rejected)
        compose_all(&ack->out, &ack->body);
    compose_format(&ack->out, "IEA*%u*%09u~", rejected ? 0 : ack->answered, number);
    if (ack->out.failed)
        return;
    ack->written++;
    ack->options.done(ack->options.context, ack->out.bytes, ack->out.length);
}

static void end(void *context, enum document_scope scope, const struct document_tail *tail) {
    struct functional_ack *ack = context;
    bool rejected = tail->errors > 0;
    if (scope == DOCUMENT_MESSAGE)
        set_end(ack, rejected);
    else if (scope == DOCUMENT_GROUP)
        group_end(ack, rejected);
    else if (scope == DOCUMENT_INTERCHANGE)
        interchange_end(ack, rejected);
}

struct document_sink functional_ack_sink(struct functional_ack *ack) {
    return (struct document_sink){
        .context = ack, .begin = begin, .segment = segment, .end = end, .finding = found};
}
