#include "codecs/idoc/idoc.h"

#include "codecs/document/report.h"
#include "core/base/check.h"
#include "core/base/topic.h"

#include <stdlib.h>
#include <string.h>

#define SDATA_CHARS  1000u
#define HEADER_CHARS 63u /* EDI_DD40 before SDATA */
#define RECORD_CHARS (HEADER_CHARS + SDATA_CHARS)
#define RECORD_BYTES (RECORD_CHARS * 4u) /* in UTF-8 */
#define SNIFF_CHARS  1600u               /* without a line break in so many there is none in the file */
#define DEPTH_MAX    32u
#define NOTED_MAX    64u /* names of segments that a message is told of once */
#define RECENT_COUNT 64u /* names that no layout has, and what was taken */

/* Where the header of a data record has what. */
struct framework {
    const char *control;
    uint32_t header; /* SDATA stands behind it */
    uint32_t name_length, client, document, number, parent, level;
    bool blanks; /* numbers end with blanks */
};
static const struct framework frameworks[2] = {
    {"EDI_DC40", HEADER_CHARS, 30, 30, 33, 49, 55, 61, false},
    {"EDI_DC", 55, 10, 10, 13, 29, 45, 51, true},
};

enum control_field {
    C_CLIENT,
    C_DOCUMENT,
    C_RELEASE,
    C_DIRECT,
    C_TEST,
    C_TYPE,
    C_EXTENSION,
    C_MESSAGE,
    C_SENDER_KIND,
    C_SENDER,
    C_RECEIVER_KIND,
    C_RECEIVER,
    C_DATE,
    C_TIME,
    C_ARCHIVE,
    CONTROL_FIELDS
};
static const char *const control_names[CONTROL_FIELDS] = {"MANDT",   "DOCNUM", "DOCREL", "DIRECT", "TEST",
                                                          "IDOCTYP", "CIMTYP", "MESTYP", "SNDPRT", "SNDPRN",
                                                          "RCVPRT",  "RCVPRN", "CREDAT", "CRETIM", "ARCKEY"};

enum framing { FRAMING_UNKNOWN, FRAMING_LINES, FRAMING_FIXED };

struct data_record {
    uint8_t bytes[RECORD_BYTES];
    uint32_t length;
    struct place place;
    uint32_t number, parent, level;
    const struct layout_record *layout; /* NULL: none is known */
    bool exact;                         /* of this very version */
    char name[32];                      /* where no layout is known */
    bool waits;
};

/* A segment with segments beneath it. */
struct branch {
    uint32_t number, level, segments;
    uint64_t offset;
};

struct idoc {
    struct report report;
    const struct layouts *layouts;
    enum codepage codepage; /* of the partner's profile */
    const struct framework *framework;
    const struct layout_record *controls[2];
    const struct layout_field *control_fields[2][CONTROL_FIELDS];
    uint32_t *table; /* owns; 1 + index of a record by its name's hash */
    uint32_t table_mask;
    /* the file */
    enum framing framing;
    uint64_t offset; /* of the record that is being put together */
    uint32_t line;
    uint8_t carry[RECORD_BYTES + 2];
    uint32_t carried;
    uint64_t lost; /* bytes of this record that did not fit */
    bool interchange_open, told_no_control;
    uint64_t interchange_offset;
    uint32_t messages;
    /* the message */
    bool message_open;
    uint64_t message_offset;
    uint8_t client[3], document[16];
    uint32_t segments, number_next;
    struct branch branches[DEPTH_MAX];
    uint32_t depth;
    uint64_t noted[NOTED_MAX];
    uint32_t noted_count;
    struct data_record held;
    struct recent {
        char name[30];
        uint32_t length;
        const struct layout_record *layout;
    } recent[RECENT_COUNT];
    /* the record that is handed out: its characters */
    const uint8_t *text;
    uint16_t at[RECORD_CHARS + 1]; /* where each character begins; not used if it is plain */
    uint32_t chars;
    bool plain;
    uint8_t transcoded[RECORD_CHARS * 3];
    struct element elements[LAYOUT_FIELDS_MAX];
    struct value components[LAYOUT_FIELDS_MAX];
};

/* ---- layouts ---- */

static uint64_t hash(const uint8_t *bytes, uint32_t length) {
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (uint32_t i = 0; i < length; i++)
        h = (h ^ bytes[i]) * UINT64_C(0x100000001b3);
    return h ^ h >> 32;
}

static const struct layout_record *record_exact(const struct idoc *idoc, const uint8_t *name,
                                                uint32_t length) {
    for (uint64_t i = hash(name, length);; i++) {
        uint32_t index = idoc->table[i & idoc->table_mask];
        if (index == 0)
            return NULL;
        const struct layout_record *record = &idoc->layouts->records[index - 1];
        if (name_is(record->name, name, length))
            return record;
    }
}

/* E2EDP19 for E2EDP19002 of the type E1EDP19: all but the version. */
static uint32_t base_length(const struct layout_record *record) {
    uint32_t type = (uint32_t)strlen(record->type), name = (uint32_t)strlen(record->name);
    return type < name ? type : name;
}

static bool all_digits(const uint8_t *bytes, uint32_t length) {
    for (uint32_t i = 0; i < length; i++) {
        if (bytes[i] < '0' || bytes[i] > '9')
            return false;
    }
    return true;
}

/* Another version of the same segment; the newest that is known. */
static const struct layout_record *record_like(const struct idoc *idoc, const uint8_t *name,
                                               uint32_t length) {
    const struct layout_record *best = NULL;
    for (uint32_t i = 0; i < idoc->layouts->count; i++) {
        const struct layout_record *record = &idoc->layouts->records[i];
        uint32_t base = base_length(record);
        if (base > length || length - base > 3 || memcmp(record->name, name, base) != 0 ||
            !all_digits(name + base, length - base))
            continue;
        if (best == NULL || base > base_length(best) ||
            (base == base_length(best) && strcmp(record->name, best->name) > 0))
            best = record;
    }
    return best;
}

static void held_layout(struct idoc *idoc, const uint8_t *name, uint32_t length) {
    struct data_record *held = &idoc->held;
    held->layout = record_exact(idoc, name, length);
    held->exact = held->layout != NULL;
    if (held->exact)
        return;
    struct recent *recent = &idoc->recent[hash(name, length) % RECENT_COUNT];
    if (recent->length != length || memcmp(recent->name, name, length) != 0) {
        *recent = (struct recent){.length = length, .layout = record_like(idoc, name, length)};
        memcpy(recent->name, name, length);
    }
    held->layout = recent->layout;
    memcpy(held->name, name, length);
    held->name[length] = 0;
}

/* ---- findings ---- */

static enum finding_severity tell(struct idoc *idoc, enum finding_code code, const struct place *place,
                                  struct value found, struct value expected) {
    struct finding finding = {.code = code,
                              .place = *place,
                              .scope = idoc->message_open ? DOCUMENT_MESSAGE : DOCUMENT_INTERCHANGE,
                              .found = found,
                              .expected = expected};
    return report_finding(&idoc->report, &finding);
}

static struct value text_value(const char *text) {
    return (struct value){.bytes = (const uint8_t *)text, .length = (uint32_t)strlen(text)};
}

/* `length` bytes at `first` of a record. */
static struct place place_of(const struct place *record, uint32_t first, uint32_t length) {
    struct place place = *record;
    place.offset += first;
    place.length = length;
    return place;
}

/* Whether the message was not told this of such a segment before. */
static bool note(struct idoc *idoc, uint64_t mark) {
    for (uint32_t i = 0; i < idoc->noted_count; i++) {
        if (idoc->noted[i] == mark)
            return false;
    }
    if (idoc->noted_count == NOTED_MAX)
        return false;
    idoc->noted[idoc->noted_count++] = mark;
    return true;
}

/* ---- characters: SAP counts them, not bytes ---- */

static bool ascii(const uint8_t *bytes, uint32_t length) {
    uint64_t all = 0;
    uint32_t i = 0;
    for (; i + 8 <= length; i += 8) {
        uint64_t word;
        memcpy(&word, bytes + i, sizeof word);
        all |= word;
    }
    for (; i < length; i++)
        all |= bytes[i];
    return (all & UINT64_C(0x8080808080808080)) == 0;
}

static void text_of_utf8(struct idoc *idoc, const uint8_t *bytes, uint32_t length) {
    uint32_t chars = 0;
    for (uint32_t i = 0; i < length && chars < RECORD_CHARS; i++) {
        if ((bytes[i] & 0xC0) != 0x80)
            idoc->at[chars++] = (uint16_t)i;
        else if (i + 1 == length || (bytes[i + 1] & 0xC0) != 0x80)
            idoc->at[chars] = (uint16_t)(i + 1);
    }
    uint32_t end = chars ? idoc->at[chars - 1] + 1u : 0;
    while (end < length && (bytes[end] & 0xC0) == 0x80)
        end++;
    idoc->at[chars] = (uint16_t)end;
    idoc->text = bytes;
    idoc->chars = chars;
}

static void text_of_codepage(struct idoc *idoc, enum codepage codepage, const uint8_t *bytes,
                             uint32_t length) {
    size_t written = 0;
    idoc->chars = length < RECORD_CHARS ? length : RECORD_CHARS;
    for (uint32_t i = 0; i < idoc->chars; i++) {
        idoc->at[i] = (uint16_t)written;
        written += codepage_put(codepage_character(codepage, bytes[i]), idoc->transcoded + written);
    }
    idoc->at[idoc->chars] = (uint16_t)written;
    idoc->text = idoc->transcoded;
}

static void text_set(struct idoc *idoc, const uint8_t *bytes, uint32_t length, const struct place *place) {
    idoc->plain = ascii(bytes, length);
    if (idoc->plain) {
        idoc->text = bytes;
        idoc->chars = length;
    } else if (idoc->codepage != CODEPAGE_UTF8) {
        text_of_codepage(idoc, idoc->codepage, bytes, length);
    } else if (utf8_valid(bytes, length)) {
        text_of_utf8(idoc, bytes, length);
    } else {
        tell(idoc, FINDING_CHARSET_VIOLATED, place, (struct value){0}, text_value("UTF-8"));
        text_of_codepage(idoc, CODEPAGE_1252, bytes, length);
    }
}

/* Without its trailing blanks. */
static struct value text_field(const struct idoc *idoc, uint32_t first, uint32_t length) {
    if (first >= idoc->chars)
        return (struct value){0};
    uint32_t last = length < idoc->chars - first ? first + length : idoc->chars;
    uint32_t from = idoc->plain ? first : idoc->at[first], to = idoc->plain ? last : idoc->at[last];
    while (to > from && idoc->text[to - 1] == ' ')
        to--;
    return (struct value){.bytes = to > from ? idoc->text + from : NULL, .length = to - from};
}

/* ---- segments ---- */

/* The fields of the record whose text is set; they count from character `base`. */
static void segment_send(struct idoc *idoc, const struct layout_record *layout, uint32_t base,
                         struct value name, const struct place *place) {
    uint32_t count = 0;
    if (layout == NULL || layout->field_count == 0) {
        struct value all = text_field(idoc, base, SDATA_CHARS);
        idoc->elements[0] = (struct element){.number = 1, .count = 1};
        idoc->components[0] = all;
        count = all.length > 0;
    }
    for (uint32_t i = 0; layout && i < layout->field_count; i++) {
        const struct layout_field *field = &layout->fields[i];
        struct value value = text_field(idoc, base + field->first, field->length);
        idoc->elements[count] = (struct element){.number = field->element, .first = count, .count = 1};
        idoc->components[count] = value;
        count += value.length > 0;
    }
    struct segment segment = {.name = name,
                              .place = *place,
                              .elements = idoc->elements,
                              .element_count = count,
                              .components = idoc->components,
                              .component_count = count,
                              .decimal = '.'};
    idoc->report.sink->segment(idoc->report.sink->context, &segment);
}

static struct value held_name(const struct idoc *idoc) {
    return text_value(idoc->held.layout ? idoc->held.layout->type : idoc->held.name);
}

static uint32_t characters(struct value value) {
    uint32_t count = 0;
    for (const uint8_t *at = value.bytes; at && at < value.bytes + value.length; at++)
        count += (*at & 0xC0) != 0x80;
    return count;
}

/* What there is to say about the layout of the record that goes out. */
static void held_judge(struct idoc *idoc) {
    struct data_record *held = &idoc->held;
    struct value name = text_field(idoc, 0, idoc->framework->name_length);
    struct place place = place_of(&held->place, 0, name.length);
    if (!held->exact && note(idoc, hash(name.bytes, name.length)))
        tell(idoc, held->layout ? FINDING_IDOC_VERSION_UNKNOWN : FINDING_IDOC_SEGMENT_UNKNOWN, &place, name,
             held->layout ? text_value(held->layout->name) : (struct value){0});
    if (!held->exact || held->layout->length == 0 ||
        idoc->chars <= idoc->framework->header + held->layout->length)
        return;
    uint32_t beyond = idoc->framework->header + held->layout->length;
    struct value rest = text_field(idoc, beyond, RECORD_CHARS);
    if (rest.length == 0 || !note(idoc, ~hash(name.bytes, name.length)))
        return;
    bool transcoded = idoc->text == idoc->transcoded; /* then each character was one byte */
    place = place_of(&held->place, transcoded ? beyond : (uint32_t)(rest.bytes - idoc->text),
                     transcoded ? characters(rest) : rest.length);
    tell(idoc, FINDING_IDOC_BEYOND_LAYOUT, &place, rest, (struct value){0});
}

static void branch_close(struct idoc *idoc, uint64_t offset) {
    const struct branch *branch = &idoc->branches[--idoc->depth];
    struct document_tail tail = {.length = offset - branch->offset, .segments = branch->segments};
    idoc->report.sink->end(idoc->report.sink->context, DOCUMENT_AGGREGATE, &tail);
    if (idoc->depth > 0)
        idoc->branches[idoc->depth - 1].segments += branch->segments;
}

static void branch_open(struct idoc *idoc) {
    struct branch *branch = &idoc->branches[idoc->depth++];
    const struct data_record *held = &idoc->held;
    *branch = (struct branch){.number = held->number, .level = held->level, .offset = held->place.offset};
    struct document_head head = {
        .format = text_value("IDOC"), .name = held_name(idoc), .offset = branch->offset};
    report_begin(&idoc->report, DOCUMENT_AGGREGATE);
    idoc->report.sink->begin(idoc->report.sink->context, DOCUMENT_AGGREGATE, &head);
}

/* The record that was kept until it was known whether there is one beneath it. */
static void held_send(struct idoc *idoc, bool has_children) {
    struct data_record *held = &idoc->held;
    if (!held->waits)
        return;
    held->waits = false;
    text_set(idoc, held->bytes, held->length, &held->place);
    held_judge(idoc);
    if (has_children && idoc->depth == DEPTH_MAX)
        tell(idoc, FINDING_IDOC_TOO_DEEP, &held->place, (struct value){0}, (struct value){0});
    else if (has_children)
        branch_open(idoc);
    if (idoc->depth > 0)
        idoc->branches[idoc->depth - 1].segments++;
    segment_send(idoc, held->layout, idoc->framework->header, held_name(idoc), &held->place);
}

/* ---- messages ---- */

static void message_end(struct idoc *idoc) {
    if (!idoc->message_open)
        return;
    held_send(idoc, false);
    while (idoc->depth > 0)
        branch_close(idoc, idoc->offset);
    struct place place = {.offset = idoc->message_offset, .segment = 1};
    if (idoc->segments == 1)
        tell(idoc, FINDING_IDOC_EMPTY, &place, (struct value){0}, (struct value){0});
    struct document_tail tail = {.length = idoc->offset - idoc->message_offset,
                                 .segments = idoc->segments,
                                 .errors = idoc->report.errors[DOCUMENT_MESSAGE]};
    idoc->report.sink->end(idoc->report.sink->context, DOCUMENT_MESSAGE, &tail);
    idoc->message_open = false;
}

static void interchange_begin(struct idoc *idoc) {
    if (idoc->interchange_open)
        return;
    idoc->interchange_open = true;
    idoc->interchange_offset = idoc->offset;
    struct document_head head = {.format = text_value("IDOC"), .offset = idoc->offset};
    report_begin(&idoc->report, DOCUMENT_INTERCHANGE);
    idoc->report.sink->begin(idoc->report.sink->context, DOCUMENT_INTERCHANGE, &head);
}

static struct value control_value(const struct idoc *idoc, enum control_field name) {
    const struct layout_field *field = idoc->control_fields[idoc->framework - frameworks][name];
    return field ? text_field(idoc, field->first, field->length) : (struct value){0};
}

static struct document_head control_head(const struct idoc *idoc) {
    return (struct document_head){
        .format = text_value("IDOC"),
        .syntax = text_value(idoc->framework->control),
        .name = control_value(idoc, C_TYPE),
        .version = control_value(idoc, C_RELEASE),
        .association = control_value(idoc, C_EXTENSION),
        .variant = control_value(idoc, C_MESSAGE),
        .sender = {control_value(idoc, C_SENDER), control_value(idoc, C_SENDER_KIND)},
        .receiver = {control_value(idoc, C_RECEIVER), control_value(idoc, C_RECEIVER_KIND)},
        .interchange_ref = control_value(idoc, C_ARCHIVE),
        .group_ref = control_value(idoc, C_CLIENT),
        .message_ref = control_value(idoc, C_DOCUMENT),
        .date = control_value(idoc, C_DATE),
        .time = control_value(idoc, C_TIME),
        .test = control_value(idoc, C_TEST).length > 0,
        .offset = idoc->offset,
    };
}

/* A control record whose blanks were collapsed has no direction where it must stand. */
static bool control_right(const struct idoc *idoc) {
    struct value direct = control_value(idoc, C_DIRECT), document = control_value(idoc, C_DOCUMENT);
    struct value date = control_value(idoc, C_DATE), name = text_field(idoc, 0, 10);
    struct value type = control_value(idoc, C_TYPE), message = control_value(idoc, C_MESSAGE);
    return name.length == strlen(idoc->framework->control) && all_digits(date.bytes, date.length) &&
           type.length > 0 && type.bytes[0] != ' ' && (message.length == 0 || message.bytes[0] != ' ') &&
           direct.length == 1 && (direct.bytes[0] == '1' || direct.bytes[0] == '2') &&
           (document.length == 0 || memchr(document.bytes, ' ', document.length) == NULL);
}

static void control_record(struct idoc *idoc, const uint8_t *bytes, uint32_t length, bool old) {
    struct place place = {.offset = idoc->offset, .length = length, .line = idoc->line, .segment = 1};
    message_end(idoc);
    interchange_begin(idoc);
    idoc->framework = &frameworks[old];
    text_set(idoc, bytes, length, &place);
    struct document_head head = control_head(idoc);
    report_begin(&idoc->report, DOCUMENT_MESSAGE);
    idoc->message_open = true;
    idoc->report.sink->begin(idoc->report.sink->context, DOCUMENT_MESSAGE, &head);
    idoc->messages++;
    idoc->message_offset = idoc->offset;
    idoc->segments = idoc->number_next = 1;
    idoc->noted_count = 0;
    memset(idoc->document, ' ', sizeof idoc->document);
    memset(idoc->client, ' ', sizeof idoc->client);
    if (length >= 13)
        memcpy(idoc->client, bytes + 10, sizeof idoc->client);
    if (length > 13)
        memcpy(idoc->document, bytes + 13, length < 29 ? length - 13 : 16);
    if (length < idoc->controls[old]->length)
        tell(idoc, FINDING_IDOC_CONTROL_SHORT, &place, (struct value){0}, (struct value){0});
    if (length > idoc->controls[old]->length &&
        length != RECORD_CHARS) { /* filled like all others it may be */
        struct place rest = place_of(&place, idoc->controls[old]->length, 0);
        tell(idoc, FINDING_IDOC_RECORD_LONG, &rest, (struct value){0}, (struct value){0});
    }
    if (!control_right(idoc))
        tell(idoc, FINDING_IDOC_CONTROL, &place, (struct value){0}, (struct value){0});
    segment_send(idoc, idoc->controls[old], 0, text_value(idoc->framework->control), &place);
}

/* ---- data records ---- */

static bool is_name(const uint8_t *bytes, uint32_t length) {
    for (uint32_t i = 0; i < length; i++) {
        if (bytes[i] < ' ' || bytes[i] > '~')
            return false;
    }
    return length > 0 && bytes[0] != ' ';
}

static bool number_read(const uint8_t *bytes, uint32_t length, bool blanks, uint32_t *number) {
    uint32_t sum = 0, digits = 0;
    for (; digits < length && bytes[digits] >= '0' && bytes[digits] <= '9'; digits++)
        sum = sum * 10 + (uint32_t)(bytes[digits] - '0');
    *number = sum;
    for (uint32_t i = digits; i < length; i++) {
        if (!blanks || bytes[i] != ' ')
            return false;
    }
    return digits > 0;
}

/* Whether the record is one of this IDoc, and not shifted. */
static bool data_right(struct idoc *idoc, const uint8_t *bytes, uint32_t length, struct data_record *record) {
    const struct framework *framework = idoc->framework;
    struct place place;
    if (length < framework->header) {
        tell(idoc, FINDING_IDOC_RECORD_SHORT, &record->place,
             (struct value){.bytes = bytes, .length = length}, (struct value){0});
        return false;
    }
    bool blanks = framework->blanks;
    if (!number_read(bytes + framework->number, 6, blanks, &record->number) ||
        !number_read(bytes + framework->parent, 6, blanks, &record->parent) ||
        !number_read(bytes + framework->level, 2, blanks, &record->level) ||
        !is_name(bytes, framework->name_length)) {
        place = place_of(&record->place, framework->number, framework->header - framework->number);
        tell(idoc, FINDING_IDOC_SHIFTED, &place,
             (struct value){.bytes = bytes + framework->number, .length = place.length}, (struct value){0});
        return false;
    }
    if (memcmp(bytes + framework->document, idoc->document, sizeof idoc->document) != 0) {
        place = place_of(&record->place, framework->document, sizeof idoc->document);
        tell(idoc, FINDING_IDOC_DOCUMENT_DIFFERS, &place,
             (struct value){.bytes = bytes + framework->document, .length = place.length},
             (struct value){.bytes = idoc->document, .length = place.length});
        return false;
    }
    if (memcmp(bytes + framework->client, idoc->client, sizeof idoc->client) != 0) {
        place = place_of(&record->place, framework->client, sizeof idoc->client);
        tell(idoc, FINDING_IDOC_CLIENT_DIFFERS, &place,
             (struct value){.bytes = bytes + framework->client, .length = place.length},
             (struct value){.bytes = idoc->client, .length = place.length});
    }
    return true;
}

/* The level of an open segment with this number; 0: there is none. */
static uint32_t branch_level(const struct idoc *idoc, uint32_t number) {
    for (uint32_t i = 0; i < idoc->depth; i++) {
        if (idoc->branches[i].number == number)
            return idoc->branches[i].level;
    }
    return 0;
}

/* Ends what this record is not beneath of, and sends the one that waits. */
static void tree_move(struct idoc *idoc, const struct data_record *record) {
    const struct data_record *held = &idoc->held;
    uint32_t parent = record->parent;
    bool below = held->waits && parent != 0 && parent == held->number;
    uint32_t level = below ? held->level : branch_level(idoc, parent);
    bool known = parent == 0 || level > 0;
    if (!known) {
        struct place place = place_of(&record->place, idoc->framework->parent, 6);
        tell(idoc, FINDING_IDOC_PARENT_UNKNOWN, &place, (struct value){0}, (struct value){0});
        below = held->waits && record->level > held->level;
    } else if (parent == 0 ? record->level < 1 || record->level > 2 : record->level != level + 1) {
        struct place place = place_of(&record->place, idoc->framework->level, 2);
        tell(idoc, FINDING_IDOC_LEVEL_DIFFERS, &place, (struct value){0}, (struct value){0});
    }
    held_send(idoc, below);
    if (below)
        return;
    while (idoc->depth > 0) {
        const struct branch *branch = &idoc->branches[idoc->depth - 1];
        if (known ? branch->number == parent : branch->level < record->level)
            break;
        branch_close(idoc, record->place.offset);
    }
}

static void data_record(struct idoc *idoc, const uint8_t *bytes, uint32_t length) {
    struct data_record *held = &idoc->held;
    struct data_record record = {.place = {.offset = idoc->offset, .length = length, .line = idoc->line}};
    if (!idoc->message_open) {
        interchange_begin(idoc);
        if (!idoc->told_no_control)
            tell(idoc, FINDING_IDOC_NO_CONTROL, &record.place, (struct value){0}, (struct value){0});
        idoc->told_no_control = true;
        return;
    }
    record.place.segment = ++idoc->segments;
    if (idoc->segments > idoc->report.profile.segments_max) {
        if (idoc->segments == idoc->report.profile.segments_max + 1)
            tell(idoc, FINDING_TOO_LARGE, &record.place, (struct value){0}, (struct value){0});
        return;
    }
    if (!data_right(idoc, bytes, length, &record))
        return;
    if (record.number != idoc->number_next) {
        struct place place = place_of(&record.place, idoc->framework->number, 6);
        tell(idoc, FINDING_IDOC_NUMBER_DIFFERS, &place,
             (struct value){.bytes = bytes + idoc->framework->number, .length = 6}, (struct value){0});
    }
    idoc->number_next = record.number + 1;
    tree_move(idoc, &record);
    memcpy(held->bytes, bytes, length);
    held->length = length;
    held->place = record.place;
    held->number = record.number;
    held->parent = record.parent;
    held->level = record.level;
    held->waits = true;
    uint32_t name = idoc->framework->name_length;
    while (name > 0 && bytes[name - 1] == ' ')
        name--;
    held_layout(idoc, bytes, name);
}

/* ---- records ---- */

static bool is_control(const uint8_t *bytes, uint32_t length, bool *old) {
    *old = length >= 7 && memcmp(bytes, "EDI_DC ", 7) == 0;
    return *old || (length >= 8 && memcmp(bytes, "EDI_DC40", 8) == 0);
}

/* How many bytes a record may have: characters of UTF-8 may have four each. */
static uint32_t record_limit(const struct idoc *idoc, const uint8_t *bytes, uint32_t length) {
    uint32_t chars = RECORD_CHARS;
    if (idoc->codepage != CODEPAGE_UTF8 || length <= chars || ascii(bytes, length))
        return chars;
    uint32_t i = 0;
    for (; i < length && i < RECORD_BYTES && chars > 0; i++)
        chars -= i + 1 == length || (bytes[i + 1] & 0xC0) != 0x80;
    return i;
}

/* One record without its line break. `raw`: with it, and with what was lost. */
static void record_take(struct idoc *idoc, const uint8_t *bytes, uint32_t length, uint64_t raw) {
    bool old;
    uint32_t limit = record_limit(idoc, bytes, length);
    if (length > limit || idoc->lost > 0) {
        struct place place = {
            .offset = idoc->offset + limit, .line = idoc->line, .segment = idoc->segments + 1};
        tell(idoc, FINDING_IDOC_RECORD_LONG, &place, (struct value){0}, (struct value){0});
        length = length < limit ? length : limit;
    }
    if (is_control(bytes, length, &old))
        control_record(idoc, bytes, length, old);
    else if (length > 0)
        data_record(idoc, bytes, length);
    idoc->offset += raw;
    idoc->lost = 0;
}

/* Keeps the beginning of a record whose end has not come. */
static void carry(struct idoc *idoc, const uint8_t *bytes, size_t length) {
    size_t room = sizeof idoc->carry - idoc->carried, fits = length < room ? length : room;
    memcpy(idoc->carry + idoc->carried, bytes, fits);
    idoc->carried += (uint32_t)fits;
    idoc->lost += length - fits;
}

static void line_take(struct idoc *idoc, const uint8_t *bytes, uint32_t length, uint32_t ending) {
    uint64_t raw = length + idoc->lost + ending;
    uint32_t text = length;
    if (text > 0 && idoc->lost == 0 && bytes[text - 1] == '\r')
        text--;
    record_take(idoc, bytes, text, raw);
    idoc->line++;
}

static void lines_take(struct idoc *idoc, const uint8_t *bytes, size_t length) {
    while (length > 0) {
        const uint8_t *end = memchr(bytes, '\n', length);
        size_t part = end ? (size_t)(end - bytes) : length;
        if (end == NULL || idoc->carried > 0 || part > sizeof idoc->carry)
            carry(idoc, bytes, part);
        if (end == NULL)
            return;
        if (idoc->carried > 0)
            line_take(idoc, idoc->carry, idoc->carried, 1);
        else
            line_take(idoc, bytes, (uint32_t)part, 1);
        idoc->carried = 0;
        bytes += part + 1;
        length -= part + 1;
    }
}

/* How long the record is that begins so; 0: that needs eight bytes. */
static uint32_t fixed_length(const struct idoc *idoc, const uint8_t *bytes, size_t length) {
    bool old;
    if (length < 8)
        return 0;
    if (is_control(bytes, 8, &old))
        return idoc->controls[old]->length;
    return idoc->framework->header + SDATA_CHARS;
}

static void fixed_take(struct idoc *idoc, const uint8_t *bytes, size_t length) {
    while (length > 0) {
        uint32_t whole = idoc->carried ? fixed_length(idoc, idoc->carry, idoc->carried)
                                       : fixed_length(idoc, bytes, length);
        if (idoc->carried == 0 && whole > 0 && length >= whole) {
            record_take(idoc, bytes, whole, whole);
            bytes += whole;
            length -= whole;
            continue;
        }
        uint32_t wanted = (whole ? whole : 8) - idoc->carried;
        size_t part = length < wanted ? length : wanted;
        carry(idoc, bytes, part);
        bytes += part;
        length -= part;
        if (whole > 0 && idoc->carried == whole) {
            record_take(idoc, idoc->carry, whole, whole);
            idoc->carried = 0;
        }
    }
}

static void framing_take(struct idoc *idoc, const uint8_t *bytes, size_t length) {
    if (idoc->framing == FRAMING_LINES)
        lines_take(idoc, bytes, length);
    else
        fixed_take(idoc, bytes, length);
}

/* What has come so far says which framing it is. */
static void framing_decide(struct idoc *idoc) {
    uint8_t first[SNIFF_CHARS];
    uint32_t length = idoc->carried;
    bool lines = memchr(idoc->carry, '\n', length) != NULL || length <= idoc->controls[0]->length;
    idoc->framing = lines ? FRAMING_LINES : FRAMING_FIXED;
    idoc->line = lines;
    memcpy(first, idoc->carry, length);
    idoc->carried = 0;
    uint32_t mark = length >= 3 && memcmp(first, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
    if (mark > 0) {
        interchange_begin(idoc);
        struct place place = {.length = mark, .line = idoc->line};
        tell(idoc, FINDING_BOM, &place, (struct value){0}, (struct value){0});
        idoc->offset = mark;
    }
    framing_take(idoc, first + mark, length - mark);
}

void idoc_feed(struct idoc *idoc, const uint8_t *bytes, size_t length) {
    while (idoc->framing == FRAMING_UNKNOWN && length > 0) {
        size_t room = SNIFF_CHARS - idoc->carried, part = length < room ? length : room;
        const uint8_t *end = memchr(bytes, '\n', part);
        if (end)
            part = (size_t)(end - bytes) + 1;
        carry(idoc, bytes, part);
        bytes += part;
        length -= part;
        if (end || idoc->carried == SNIFF_CHARS)
            framing_decide(idoc);
    }
    if (length > 0)
        framing_take(idoc, bytes, length);
}

static void file_begin(struct idoc *idoc) {
    idoc->framework = &frameworks[0];
    idoc->framing = FRAMING_UNKNOWN;
    idoc->offset = 0;
    idoc->line = 0;
    idoc->carried = 0;
    idoc->lost = 0;
    idoc->messages = 0;
    idoc->interchange_open = idoc->told_no_control = false;
    report_begin(&idoc->report, DOCUMENT_INTERCHANGE);
}

void idoc_end(struct idoc *idoc) {
    if (idoc->framing == FRAMING_UNKNOWN && idoc->carried > 0)
        framing_decide(idoc);
    if (idoc->carried > 0)
        line_take(idoc, idoc->carry, idoc->carried, 0);
    message_end(idoc);
    if (idoc->interchange_open) {
        struct document_tail tail = {.length = idoc->offset - idoc->interchange_offset,
                                     .messages = idoc->messages,
                                     .errors = idoc->report.errors[DOCUMENT_INTERCHANGE]};
        idoc->report.sink->end(idoc->report.sink->context, DOCUMENT_INTERCHANGE, &tail);
    }
    file_begin(idoc);
}

/* ---- life ---- */

int idoc_layouts(struct layouts *layouts, struct layout_error *error) {
    int result = 0;
    for (const struct embedded_file *file = idoc_layout_files; result == 0 && file->name; file++)
        result = layouts_add(layouts, file->text, file->length, error);
    return result;
}

static bool table_make(struct idoc *idoc) {
    uint32_t size = 64;
    while (size < idoc->layouts->count * 4)
        size *= 2;
    idoc->table = calloc(size, sizeof *idoc->table);
    idoc->table_mask = size - 1;
    for (uint32_t i = 0; idoc->table && i < idoc->layouts->count; i++) {
        const char *name = idoc->layouts->records[i].name;
        uint64_t at = hash((const uint8_t *)name, (uint32_t)strlen(name));
        while (idoc->table[at & idoc->table_mask])
            at++;
        idoc->table[at & idoc->table_mask] = i + 1;
    }
    return idoc->table != NULL;
}

/* A control record without a type and a document number can not be read. */
static bool controls_find(struct idoc *idoc) {
    for (uint32_t k = 0; k < 2; k++) {
        const char *name = frameworks[k].control;
        const struct layout_record *record =
            record_exact(idoc, (const uint8_t *)name, (uint32_t)strlen(name));
        if (record == NULL || record->length == 0 || record->length > RECORD_CHARS)
            return false;
        idoc->controls[k] = record;
        for (uint32_t c = 0; c < CONTROL_FIELDS; c++) {
            for (uint32_t i = 0; i < record->field_count; i++) {
                if (strcmp(record->fields[i].name, control_names[c]) == 0)
                    idoc->control_fields[k][c] = &record->fields[i];
            }
        }
        if (!idoc->control_fields[k][C_TYPE] || !idoc->control_fields[k][C_DOCUMENT])
            return false;
    }
    return true;
}

struct idoc *idoc_new(const struct layouts *layouts, const struct profile *profile,
                      const struct document_sink *sink) {
    struct idoc *idoc = calloc(1, sizeof *idoc);
    if (idoc == NULL)
        return NULL;
    report_init(&idoc->report, sink, profile);
    idoc->layouts = layouts;
    if (profile && profile->charset)
        idoc->codepage = codepage_named(profile->charset);
    if (!table_make(idoc) || !controls_find(idoc) || idoc->codepage >= CODEPAGE_037) {
        idoc_free(idoc);
        return NULL;
    }
    file_begin(idoc);
    return idoc;
}

void idoc_free(struct idoc *idoc) {
    if (idoc)
        free(idoc->table);
    free(idoc);
}
