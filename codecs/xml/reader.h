/* reader.h: what the files of codecs/xml share: the reader, its open elements, the leaf that is being read.
 * Owner: reader.c makes and frees it; fields are private to codecs/xml.
 * Thread: the one that feeds the reader.
 * Nothing blocks but the sink.
 * Running out of memory is kept in `failed`, and the parser is stopped. */
#pragma once

#include "codecs/document/report.h"
#include "codecs/xml/xml.h"

#include <expat.h>

/* Bytes that grow. */
struct xml_bytes {
    uint8_t *bytes; /* owns */
    size_t length, capacity;
};

/* One element of a segment, its bytes in an xml_bytes. */
struct xml_span {
    uint32_t number;
    uint32_t offset, length;
};

/* Which namespace an element is in. */
enum xml_space { XML_SPACE_CAC, XML_SPACE_CBC, XML_SPACE_EXT, XML_SPACE_OTHER };

/* One element that is open. */
struct xml_frame {
    uint32_t name, name_length; /* in `names` */
    uint64_t offset;
    uint32_t line;
    uint32_t segments; /* that came before it */
    bool begun;        /* an aggregate of which the sink knows; else a leaf, a field, or nobody knows yet */
    bool segment;      /* of an IDoc: a segment, not a field; of UBL: what may have children */
    bool mixed;        /* the finding was told */
};

/* A leaf or an IDoc segment: where it stands, and its elements. */
struct xml_leaf {
    struct place place;
    uint32_t count;
    uint32_t text; /* where in `bytes` the text of the innermost element begins */
    bool dropped;  /* the text is an attachment's that nobody wants */
    bool too_long; /* more text came than it may have */
    bool sorted;   /* the numbers are ascending */
    struct xml_span spans[XML_FIELDS_MAX];
    struct xml_bytes bytes;
};

enum xml_kind { XML_UNDECIDED, XML_UBL, XML_IDOC };

/* Of an IDoc's control record what the head has. */
enum xml_control {
    XML_IDOCTYP,
    XML_MESTYP,
    XML_CIMTYP,
    XML_DOCREL,
    XML_DOCNUM,
    XML_TEST,
    XML_SNDPRN,
    XML_SNDPRT,
    XML_RCVPRN,
    XML_RCVPRT,
    XML_CREDAT,
    XML_CRETIM,
    XML_ARCKEY,
    XML_MANDT,
    XML_CONTROLS
};

/* A UBL document's head, while it is read. Values are in `kept`. */
enum xml_fact {
    XML_ID,
    XML_UBL_VERSION,
    XML_CUSTOMIZATION,
    XML_PROFILE,
    XML_DATE,
    XML_TIME,
    XML_SENDER,
    XML_SENDER_SCHEME,
    XML_RECEIVER,
    XML_RECEIVER_SCHEME,
    XML_FACTS
};

struct xml_document; /* which documents of UBL are read */

struct xml_head {
    const struct xml_document *document;
    struct xml_span facts[XML_FACTS]; /* length 0: not seen */
    struct xml_span controls[XML_CONTROLS];
    struct xml_bytes kept;
    uint8_t rank[2]; /* of the ids of sender and receiver: how far behind the best it is; 0: none */
    uint8_t party;   /* 1: inside the sender, 2: the receiver, 0: neither */
    bool seen[2];    /* the party has ended */
    char date[8], time[6];
    struct xml_span root, space; /* the root's name and namespace, in `kept` */
};

struct xml_reader {
    struct report report;
    struct xml_options options;
    XML_Parser parser; /* owns */
    bool failed;       /* no memory */
    bool stopped;      /* an error: nothing more is read */
    bool finished;     /* the root has ended */
    bool cut;          /* what is open ends at cut_offset, where the error is */
    uint64_t cut_offset;
    struct place over; /* finished: behind what may stand after the root */
    bool parsing;      /* a callback of the parser may be running */
    bool begun;        /* the message: the sink knows of it */
    bool interchange;  /* of IDocs: the sink knows of it */
    bool message;      /* a UBL document or an IDOC is open */
    bool told_fields;  /* the finding about unknown fields was told for this IDOC */
    bool bom;
    enum xml_kind kind;
    uint64_t fed;
    uint8_t lead[4]; /* the file's first bytes: the parser guesses the encoding by them, all at once */
    uint32_t led;
    uint32_t depth; /* of `frames` */
    uint32_t skip;  /* elements that are open inside of what is passed over, which is one of them */
    struct xml_frame frames[XML_DEPTH_MAX];
    struct xml_bytes names;
    struct xml_leaf leaf;
    uint32_t leaf_max; /* bytes of it */
    bool mixed;        /* text came between elements; to be told with the next of them */
    bool open;         /* the innermost frame is undecided, or a field: it may get text */
    uint32_t segments; /* of the message */
    uint32_t in_file;
    uint32_t messages;
    uint64_t message_offset;
    /* UBL */
    struct xml_head head;
    bool holding;
    struct xml_bytes held;
    /* what the sink gets of a segment */
    struct element elements[XML_FIELDS_MAX];
    struct value components[XML_FIELDS_MAX];
};

static inline struct value xml_value(const struct xml_bytes *bytes, struct xml_span span) {
    return (struct value){bytes->length ? bytes->bytes + span.offset : NULL, span.length, false};
}

static inline struct value xml_frame_name(const struct xml_reader *reader, const struct xml_frame *frame) {
    return (struct value){reader->names.bytes + frame->name, frame->name_length, false};
}

/* The frame that is open at a depth from 1; the depth is not more than reader->depth. */
static inline struct xml_frame *xml_frame(struct xml_reader *reader, uint32_t depth) {
    return &reader->frames[depth - 1];
}

/* ---- reader.c ---- */

/* false: no memory, which is kept. */
bool xml_bytes_add(struct xml_reader *reader, struct xml_bytes *bytes, const void *data, size_t length);

/* Where the parser is. */
uint64_t xml_offset(const struct xml_reader *reader);

/* An error after which nothing can be read: tells it, closes what is open, stops. */
void xml_stop(struct xml_reader *reader, enum finding_code code, struct place place, struct value segment,
              struct value found);
/* The same about the element that begins or ends where the parser is. */
void xml_stop_here(struct xml_reader *reader, enum finding_code code, const char *name, size_t length);

/* Opens a frame for the element that begins where the parser is. false: stopped. */
bool xml_push(struct xml_reader *reader, const char *name, size_t length);
void xml_pop(struct xml_reader *reader);

/* Empties the leaf, for an element that begins where the parser is. */
void xml_leaf_begin(struct xml_reader *reader);
/* Another element of it, of the text that stands at its end. false: stopped. */
bool xml_leaf_span(struct xml_reader *reader, uint32_t number, uint32_t offset, uint32_t length);
/* The text that was added since leaf.text, without blanks around it. */
struct xml_span xml_leaf_text(const struct xml_reader *reader, bool keep_leading);

/* ---- output.c: what goes to the sink, at once or when it is known who sends the document ---- */

void xml_tell(struct xml_reader *reader, enum finding_code code, struct place place, struct value segment,
              struct value found);
void xml_segment(struct xml_reader *reader, struct value name);
void xml_aggregate_begin(struct xml_reader *reader, struct xml_frame *frame);
void xml_aggregate_end(struct xml_reader *reader, const struct xml_frame *frame);
void xml_message_begin(struct xml_reader *reader, const struct document_head *head);
void xml_message_end(struct xml_reader *reader);
void xml_interchange_begin(struct xml_reader *reader);
void xml_interchange_end(struct xml_reader *reader);
/* Hands over what was held. */
void xml_release(struct xml_reader *reader);
/* Closes everything that is open. */
void xml_close_scopes(struct xml_reader *reader);

/* ---- ubl.c ---- */

/* Whether a namespace is one of UBL's. If so the document is begun, or refused. */
bool xml_ubl_root(struct xml_reader *reader, const char *space, size_t space_length, const char *name,
                  size_t length);
void xml_ubl_start(struct xml_reader *reader, const char *name, const char **attributes);
void xml_ubl_end(struct xml_reader *reader);
/* The head, from what is known. */
struct document_head xml_ubl_head(struct xml_reader *reader);

/* ---- idoc.c ---- */

void xml_idoc_start(struct xml_reader *reader, const char *name, const char **attributes);
void xml_idoc_end(struct xml_reader *reader);
