#include "core/bridge/retell.h"

#include "core/base/check.h"

#include <string.h>

#define VALUE_MAX 255u

/* What begins each record; what follows depends on it. */
struct mark {
    uint8_t kind, scope;
    bool like; /* a message that has the name of the one before */
    bool test, acknowledge;
};

/* What a finding has beside its values. */
struct fixed {
    uint32_t segment, element, component;
    uint16_t code;
    uint8_t severity;
};

/* ---- writing ---- */

static void value_put(struct bytes *bytes, struct value value) {
    uint8_t length = (uint8_t)(value.length < VALUE_MAX ? value.length : VALUE_MAX);
    bytes_add(bytes, &length, 1);
    bytes_add(bytes, value.bytes, length);
}

void retell_clear(struct retell *retell) {
    retell->bytes.length = 0;
    retell->name_length = 0;
}

void retell_free(struct retell *retell) {
    bytes_free(&retell->bytes);
}

static size_t name_put(uint8_t *name, struct value value) {
    uint8_t length = (uint8_t)(value.length < VALUE_MAX ? value.length : VALUE_MAX);
    name[0] = length;
    if (length > 0)
        memcpy(name + 1, value.bytes, length);
    return 1u + length;
}

static void message_begin(struct retell *retell, const struct document_head *head) {
    struct mark mark = {.kind = RETOLD_BEGIN, .scope = DOCUMENT_MESSAGE};
    uint8_t name[RETELL_NAME_BYTES];
    size_t n = name_put(name, head->name);
    n += name_put(name + n, head->version);
    n += name_put(name + n, head->association);
    mark.like = n == retell->name_length && memcmp(name, retell->name, n) == 0;
    bytes_add(&retell->bytes, &mark, sizeof mark);
    value_put(&retell->bytes, head->message_ref);
    if (mark.like)
        return;
    bytes_add(&retell->bytes, name, n);
    memcpy(retell->name, name, n);
    retell->name_length = n;
}

void retell_begin(struct retell *retell, enum document_scope scope, const struct document_head *head,
                  uint32_t number) {
    struct bytes *bytes = &retell->bytes;
    struct mark mark = {
        .kind = RETOLD_BEGIN, .scope = (uint8_t)scope, .test = head->test, .acknowledge = head->acknowledge};
    if (scope == DOCUMENT_MESSAGE) {
        message_begin(retell, head);
        return;
    }
    retell->name_length = 0;
    const struct value values[] = {
        head->format,
        head->syntax,
        head->name,
        head->version,
        head->association,
        head->sender.id,
        head->sender.qualifier,
        head->receiver.id,
        head->receiver.qualifier,
        head->interchange_ref,
        head->group_ref,
        head->date,
        head->time,
    };
    bytes_add(bytes, &mark, sizeof mark);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        value_put(bytes, values[i]);
    if (scope == DOCUMENT_INTERCHANGE)
        bytes_add(bytes, &number, sizeof number);
}

void retell_end(struct retell *retell, enum document_scope scope, const struct document_tail *tail) {
    struct mark mark = {.kind = RETOLD_END, .scope = (uint8_t)scope};
    bytes_add(&retell->bytes, &mark, sizeof mark);
    bytes_add(&retell->bytes, &tail->errors, sizeof tail->errors);
}

void retell_finding(struct retell *retell, const struct finding *finding) {
    struct mark mark = {.kind = RETOLD_FINDING, .scope = finding->scope};
    struct fixed fixed = {.segment = finding->place.segment,
                          .element = finding->place.element,
                          .component = finding->place.component,
                          .code = (uint16_t)finding->code,
                          .severity = (uint8_t)finding->severity};
    if (finding->severity == FINDING_NOTE)
        return;
    bytes_add(&retell->bytes, &mark, sizeof mark);
    bytes_add(&retell->bytes, &fixed, sizeof fixed);
    value_put(&retell->bytes, finding->segment);
    value_put(&retell->bytes, finding->found);
}

void retell_outside(struct retell *retell) {
    struct mark mark = {.kind = RETOLD_OUTSIDE};
    bytes_add(&retell->bytes, &mark, sizeof mark);
}

/* ---- reading ---- */

struct reading {
    const uint8_t *data;
    size_t at, length;
};

static void take(struct reading *reading, void *out, size_t n) {
    CHECK(n <= reading->length - reading->at);
    memcpy(out, reading->data + reading->at, n);
    reading->at += n;
}

static struct value value_take(struct reading *reading) {
    uint8_t length;
    take(reading, &length, 1);
    CHECK(length <= reading->length - reading->at);
    struct value value = {.bytes = reading->data + reading->at, .length = length};
    reading->at += length;
    return value;
}

static void head_take(struct reading *reading, const struct mark *mark, struct document_head *head) {
    if (mark->scope == DOCUMENT_MESSAGE) {
        head->message_ref = value_take(reading);
        if (mark->like)
            return;
        head->name = value_take(reading);
        head->version = value_take(reading);
        head->association = value_take(reading);
        return;
    }
    struct value *const values[] = {
        &head->format,
        &head->syntax,
        &head->name,
        &head->version,
        &head->association,
        &head->sender.id,
        &head->sender.qualifier,
        &head->receiver.id,
        &head->receiver.qualifier,
        &head->interchange_ref,
        &head->group_ref,
        &head->date,
        &head->time,
    };
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        *values[i] = value_take(reading);
    head->message_ref = (struct value){0};
    head->test = mark->test;
    head->acknowledge = mark->acknowledge;
}

static void finding_take(struct reading *reading, const struct mark *mark, struct finding *finding) {
    struct fixed fixed;
    take(reading, &fixed, sizeof fixed);
    *finding = (struct finding){
        .code = (enum finding_code)fixed.code,
        .severity = (enum finding_severity)fixed.severity,
        .place = {.segment = fixed.segment, .element = fixed.element, .component = fixed.component},
        .scope = mark->scope};
    finding->segment = value_take(reading);
    finding->found = value_take(reading);
}

size_t retell_read(const struct retell *retell, size_t at, struct retold *retold) {
    struct reading reading = {.data = retell->bytes.data, .at = at, .length = retell->bytes.length};
    struct mark mark;
    take(&reading, &mark, sizeof mark);
    retold->kind = mark.kind;
    retold->scope = (enum document_scope)mark.scope;
    if (mark.kind == RETOLD_BEGIN) {
        head_take(&reading, &mark, &retold->head);
        if (mark.scope == DOCUMENT_INTERCHANGE)
            take(&reading, &retold->number, sizeof retold->number);
    } else if (mark.kind == RETOLD_FINDING)
        finding_take(&reading, &mark, &retold->finding);
    else if (mark.kind == RETOLD_END) {
        retold->tail = (struct document_tail){0};
        take(&reading, &retold->tail.errors, sizeof retold->tail.errors);
    }
    return reading.at;
}
