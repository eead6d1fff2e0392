#include "codecs/xml/reader.h"

#include <string.h>

#define SCHEMA "urn:oasis:names:specification:ubl:schema:xsd:"
#define CAC    SCHEMA "CommonAggregateComponents-2"
#define CBC    SCHEMA "CommonBasicComponents-2"
#define EXT    SCHEMA "CommonExtensionComponents-2"

#define NOTHING ((struct value){0})

/* Which documents are read, and who sends and receives them. The party is inside an element of its own
 * (BuyerCustomerParty/Party), or that element is the party. */
struct xml_document {
    const char *name;
    const char *party[2]; /* of the sender, of the receiver */
    bool direct;
};

static const struct xml_document documents[] = {
    {"Order", {"BuyerCustomerParty", "SellerSupplierParty"}, false},
    {"OrderChange", {"BuyerCustomerParty", "SellerSupplierParty"}, false},
    {"OrderCancellation", {"BuyerCustomerParty", "SellerSupplierParty"}, false},
    {"OrderResponse", {"SellerSupplierParty", "BuyerCustomerParty"}, false},
    {"OrderResponseSimple", {"SellerSupplierParty", "BuyerCustomerParty"}, false},
    {"DespatchAdvice", {"DespatchSupplierParty", "DeliveryCustomerParty"}, false},
    {"ReceiptAdvice", {"DeliveryCustomerParty", "DespatchSupplierParty"}, false},
    {"Invoice", {"AccountingSupplierParty", "AccountingCustomerParty"}, false},
    {"CreditNote", {"AccountingSupplierParty", "AccountingCustomerParty"}, false},
    {"InventoryReport", {"RetailerCustomerParty", "SellerSupplierParty"}, false},
    {"Catalogue", {"ProviderParty", "ReceiverParty"}, true},
    {"RemittanceAdvice", {"AccountingCustomerParty", "AccountingSupplierParty"}, false},
    {"ApplicationResponse", {"SenderParty", "ReceiverParty"}, true},
};

/* What a party can be known by, the best first. */
static const struct {
    const char *inside; /* the element around it; "": the party itself */
    const char *name;
} party_ids[] = {
    {"", "EndpointID"},
    {"PartyIdentification", "ID"},
    {"PartyLegalEntity", "CompanyID"},
    {"PartyTaxScheme", "CompanyID"},
    {"PartyName", "Name"},
};

static const struct {
    const char *name;
    enum xml_fact fact;
} facts[] = {
    {"ID", XML_ID},
    {"UBLVersionID", XML_UBL_VERSION},
    {"CustomizationID", XML_CUSTOMIZATION},
    {"ProfileID", XML_PROFILE},
    {"IssueDate", XML_DATE},
    {"IssueTime", XML_TIME},
};

/* ---- attributes ---- */

static const char *const attribute_names[] = {
#define XML_ATTRIBUTE(symbol, name) [XML_ATTRIBUTE_##symbol] = (name),
    XML_ATTRIBUTES(XML_ATTRIBUTE)
#undef XML_ATTRIBUTE
};

enum xml_attribute xml_attribute_named(const char *name, size_t length) {
    if (length > 0 && *name == '@') {
        name++;
        length--;
    }
    for (enum xml_attribute i = XML_ATTRIBUTE_FIRST + 1; i < XML_ATTRIBUTES_END; i++)
        if (strncmp(attribute_names[i], name, length) == 0 && attribute_names[i][length] == 0 && length > 0)
            return i;
    return XML_NO_ATTRIBUTE;
}

const char *xml_attribute_name(enum xml_attribute attribute) {
    return attribute > XML_ATTRIBUTE_FIRST && attribute < XML_ATTRIBUTES_END ? attribute_names[attribute]
                                                                             : NULL;
}

/* ---- the head ---- */

/* false: no memory. */
static bool keep(struct xml_reader *reader, struct value value, struct xml_span *span) {
    *span = (struct xml_span){.offset = (uint32_t)reader->head.kept.length, .length = value.length};
    return xml_bytes_add(reader, &reader->head.kept, value.bytes, value.length);
}

/* CCYY-MM-DD without what is between, and HH:MM:SS likewise; a zone and fractions behind them are left out.
 * Empty where it is none. */
static struct value digits(struct value from, char *to, const char *pattern) {
    uint32_t n = 0;
    size_t length = strlen(pattern);
    if (!from.bytes || from.length < length)
        return NOTHING;
    for (size_t i = 0; i < length; i++) {
        uint8_t byte = from.bytes[i];
        if (pattern[i] != '9' ? byte != (uint8_t)pattern[i] : byte < '0' || byte > '9')
            return NOTHING;
        if (pattern[i] == '9')
            to[n++] = (char)byte;
    }
    return (struct value){(const uint8_t *)to, n, false};
}

static struct value fact(const struct xml_reader *reader, enum xml_fact which) {
    struct xml_span span = reader->head.facts[which];
    return span.length > 0 ? xml_value(&reader->head.kept, span) : NOTHING;
}

struct document_head xml_ubl_head(struct xml_reader *reader) {
    struct xml_head *head = &reader->head;
    return (struct document_head){
        .format = {(const uint8_t *)"UBL", 3, false},
        .syntax = xml_value(&head->kept, head->space),
        .name = xml_value(&head->kept, head->root),
        .version = fact(reader, XML_UBL_VERSION),
        .association = fact(reader, XML_CUSTOMIZATION),
        .variant = fact(reader, XML_PROFILE),
        .sender = {fact(reader, XML_SENDER), fact(reader, XML_SENDER_SCHEME)},
        .receiver = {fact(reader, XML_RECEIVER), fact(reader, XML_RECEIVER_SCHEME)},
        .message_ref = fact(reader, XML_ID),
        .date = digits(fact(reader, XML_DATE), head->date, "9999-99-99"),
        .time = digits(fact(reader, XML_TIME), head->time, "99:99:99"),
        .offset = xml_frame(reader, 1)->offset,
    };
}

bool xml_ubl_root(struct xml_reader *reader, const char *space, size_t space_length, const char *name,
                  size_t length) {
    static const char schema[] = SCHEMA, old[] = "urn:oasis:names:tc:ubl:";
    const size_t n = sizeof schema - 1;
    bool ours = space_length >= n && memcmp(space, schema, n) == 0;
    if (!ours && strncmp(space, old, sizeof old - 1) != 0)
        return false;
    const struct xml_document *document = NULL;
    for (size_t i = 0; ours && i < sizeof documents / sizeof *documents; i++)
        if (strcmp(documents[i].name, name) == 0)
            document = &documents[i];
    if (!document || space_length != n + length + 2 || memcmp(space + n, name, length) != 0 ||
        memcmp(space + n + length, "-2", 2) != 0) {
        xml_stop_here(reader, FINDING_UBL_DOCUMENT, name, length);
        return true;
    }
    struct xml_head *head = &reader->head;
    struct xml_bytes kept = head->kept;
    kept.length = 0;
    *head = (struct xml_head){.document = document, .kept = kept};
    reader->kind = XML_UBL;
    reader->message = reader->holding = true;
    if (!keep(reader, (struct value){(const uint8_t *)name, (uint32_t)length, false}, &head->root) ||
        !keep(reader, (struct value){(const uint8_t *)space, (uint32_t)space_length, false}, &head->space))
        return true;
    if (reader->bom)
        xml_tell(reader, FINDING_BOM, (struct place){.length = 3, .line = 1}, NOTHING, NOTHING);
    return true;
}

/* Parties can stand inside of others (AgentParty): only those of the document itself are of interest, and
 * what is known of them by themselves. `inside` is the element around the leaf. */
static void party_leaf(struct xml_reader *reader, struct value name) {
    struct xml_head *head = &reader->head;
    uint32_t which = head->party - 1u, base = head->document->direct ? 2 : 3, depth = reader->depth;
    if (depth < base + 1 || depth > base + 2 || !reader->leaf.count)
        return;
    if (!head->document->direct && !value_is(xml_frame_name(reader, xml_frame(reader, 3)), "Party"))
        return;
    struct value inside = depth == base + 2 ? xml_frame_name(reader, xml_frame(reader, depth - 1)) : NOTHING;
    for (size_t i = 0; i < sizeof party_ids / sizeof *party_ids; i++) {
        if (!value_is(name, party_ids[i].name) || !value_is(inside, party_ids[i].inside))
            continue;
        if (head->rank[which] != 0 && head->rank[which] <= i + 1)
            return;
        const struct xml_leaf *leaf = &reader->leaf;
        enum xml_fact id = which == 0 ? XML_SENDER : XML_RECEIVER;
        head->rank[which] = (uint8_t)(i + 1);
        head->facts[id + 1].length = 0;
        for (uint32_t k = 0; k < leaf->count; k++)
            if (leaf->spans[k].number == XML_TEXT)
                (void)keep(reader, xml_value(&leaf->bytes, leaf->spans[k]), &head->facts[id]);
            else if (leaf->spans[k].number == XML_ATTRIBUTE_SCHEME_ID)
                (void)keep(reader, xml_value(&leaf->bytes, leaf->spans[k]), &head->facts[id + 1]);
        return;
    }
}

/* While it is held: a leaf that may say something about the document. */
static void look_at_leaf(struct xml_reader *reader, struct value name) {
    struct xml_head *head = &reader->head;
    if (head->party) {
        party_leaf(reader, name);
        return;
    }
    if (reader->depth != 2)
        return;
    const struct xml_leaf *leaf = &reader->leaf;
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++)
        if (head->facts[facts[i].fact].length == 0 && value_is(name, facts[i].name))
            for (uint32_t k = 0; k < leaf->count; k++)
                if (leaf->spans[k].number == XML_TEXT)
                    (void)keep(reader, xml_value(&leaf->bytes, leaf->spans[k]), &head->facts[facts[i].fact]);
}

/* An aggregate of the document itself begins: a party, or a line, which no party follows. */
static void look_at_aggregate(struct xml_reader *reader, struct value name) {
    struct xml_head *head = &reader->head;
    for (uint8_t i = 0; i < 2; i++)
        if (value_is(name, head->document->party[i])) {
            head->party = (uint8_t)(i + 1);
            return;
        }
    if (name.length > 4 && memcmp(name.bytes + name.length - 4, "Line", 4) == 0)
        xml_release(reader);
}

static void party_ends(struct xml_reader *reader) {
    struct xml_head *head = &reader->head;
    if (!head->party)
        return;
    head->seen[head->party - 1] = true;
    head->party = 0;
    if (head->seen[0] && head->seen[1] && head->facts[XML_ID].length > 0)
        xml_release(reader);
}

/* ---- elements ---- */

static enum xml_space space_of(const char *name, const char **local) {
    static const char cbc[] = CBC "\f", cac[] = CAC "\f", ext[] = EXT "\f";
    if (strncmp(name, cbc, sizeof cbc - 1) == 0) {
        *local = name + sizeof cbc - 1;
        return XML_SPACE_CBC;
    }
    if (strncmp(name, cac, sizeof cac - 1) == 0) {
        *local = name + sizeof cac - 1;
        return XML_SPACE_CAC;
    }
    const char *end = strrchr(name, '\f');
    *local = end ? end + 1 : name;
    if (strncmp(name, ext, sizeof ext - 1) == 0)
        return XML_SPACE_EXT;
    return XML_SPACE_OTHER;
}

static struct place frame_place(const struct xml_frame *frame) {
    return (struct place){.offset = frame->offset, .line = frame->line};
}

/* An element that nobody reads, and all that is in it. */
static void pass_over(struct xml_reader *reader, enum finding_code code, const char *name, size_t length) {
    struct value text = {(const uint8_t *)name, (uint32_t)(length < XML_NAME_MAX ? length : XML_NAME_MAX),
                         false};
    struct place place = {.offset = (uint64_t)XML_GetCurrentByteIndex(reader->parser),
                          .line = (uint32_t)XML_GetCurrentLineNumber(reader->parser)};
    reader->skip = 1;
    xml_tell(reader, code, place, text, NOTHING);
}

static void attributes_read(struct xml_reader *reader, const char **attributes) {
    struct xml_leaf *leaf = &reader->leaf;
    for (; attributes[0]; attributes += 2) {
        enum xml_attribute attribute = xml_attribute_named(attributes[0], strlen(attributes[0]));
        size_t length = strlen(attributes[1]);
        if (attribute == XML_NO_ATTRIBUTE || length == 0)
            continue;
        uint32_t offset = (uint32_t)leaf->bytes.length;
        if (!xml_bytes_add(reader, &leaf->bytes, attributes[1], length) ||
            !xml_leaf_span(reader, attribute, offset, (uint32_t)length))
            return;
    }
    leaf->text = (uint32_t)leaf->bytes.length;
}

/* The innermost element has a child: it is an aggregate, and its text is none of a leaf. */
static void becomes_aggregate(struct xml_reader *reader) {
    struct xml_frame *frame = xml_frame(reader, reader->depth);
    struct value name = xml_frame_name(reader, frame);
    if (reader->depth == 2 && reader->holding)
        look_at_aggregate(reader, name);
    bool text = !reader->leaf.dropped && xml_leaf_text(reader, false).length > 0;
    reader->open = false;
    xml_aggregate_begin(reader, frame);
    if (text) {
        frame->mixed = true;
        xml_tell(reader, FINDING_XML_MIXED, frame_place(frame), name, NOTHING);
    }
}

void xml_ubl_start(struct xml_reader *reader, const char *name, const char **attributes) {
    static const char attachment[] = "EmbeddedDocumentBinaryObject";
    const char *local;
    enum xml_space space = space_of(name, &local);
    size_t length = strlen(local);
    if (space == XML_SPACE_EXT || space == XML_SPACE_OTHER) {
        pass_over(reader, space == XML_SPACE_EXT ? FINDING_UBL_EXTENSIONS : FINDING_UBL_FOREIGN, local,
                  length);
        return;
    }
    if (reader->open)
        becomes_aggregate(reader);
    if (reader->stopped || !xml_push(reader, local, length))
        return;
    xml_leaf_begin(reader);
    reader->open = true;
    xml_frame(reader, reader->depth)->segment = space == XML_SPACE_CAC;
    attributes_read(reader, attributes);
    if (length == sizeof attachment - 1 && memcmp(local, attachment, length) == 0) {
        reader->leaf.dropped = reader->options.attachment_max == 0;
        reader->leaf_max = reader->options.attachment_max;
    }
}

/* UTF-8 of U+FFFD. */
static bool replaced(struct value text) {
    static const uint8_t bytes[] = {0xef, 0xbf, 0xbd};
    return text.bytes && text.length >= 3 && memchr(text.bytes, bytes[0], text.length) &&
           memmem(text.bytes, text.length, bytes, sizeof bytes);
}

/* What ISO 8859-1 has at 0x80 to 0x9f, where Windows-1252 has quotes and the euro. */
static bool controls(struct value text) {
    const uint8_t *from = text.bytes, *end = from ? from + text.length : from;
    while (from && (from = memchr(from, 0xc2, (size_t)(end - from))))
        if (++from < end && *from < 0xa0)
            return true;
    return false;
}

static void leaf_ends(struct xml_reader *reader) {
    struct xml_leaf *leaf = &reader->leaf;
    const struct xml_frame *frame = xml_frame(reader, reader->depth);
    struct value name = xml_frame_name(reader, frame);
    struct xml_span text = xml_leaf_text(reader, false);
    bool dropped = leaf->dropped;
    leaf->place.length = (uint32_t)(xml_offset(reader) - frame->offset);
    if (text.length > 0 && !xml_leaf_span(reader, XML_TEXT, text.offset, text.length))
        return;
    if (reader->holding)
        look_at_leaf(reader, name);
    xml_segment(reader, name);
    if (reader->stopped)
        return;
    if (dropped)
        xml_tell(reader, FINDING_UBL_ATTACHMENT, leaf->place, name, NOTHING);
    struct value value = xml_value(&leaf->bytes, text);
    if (replaced(value))
        xml_tell(reader, FINDING_XML_REPLACEMENT_CHARACTER, leaf->place, name, value);
    if (controls(value))
        xml_tell(reader, FINDING_XML_CONTROL_CHARACTER, leaf->place, name, value);
}

static void document_ends(struct xml_reader *reader) {
    xml_release(reader);
    if (reader->head.facts[XML_ID].length == 0)
        xml_tell(reader, FINDING_UBL_ID_MISSING, frame_place(xml_frame(reader, 1)),
                 xml_frame_name(reader, xml_frame(reader, 1)), NOTHING);
    xml_message_end(reader);
}

void xml_ubl_end(struct xml_reader *reader) {
    if (reader->depth == 1) {
        document_ends(reader);
        return;
    }
    struct xml_frame *frame = xml_frame(reader, reader->depth);
    if (reader->open && frame->segment)
        becomes_aggregate(reader); /* it could have had children */
    if (reader->open)
        leaf_ends(reader);
    else
        xml_aggregate_end(reader, frame);
    reader->open = false;
    if (reader->depth == 2 && reader->holding)
        party_ends(reader);
    if (!reader->stopped)
        xml_pop(reader);
}

uint32_t xml_field_number(void *context, const char *segment, const char *field) {
    (void)context;
    (void)segment;
    return *field == '@' ? (uint32_t)xml_attribute_named(field, strlen(field)) : 0;
}
