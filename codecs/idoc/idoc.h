/* idoc.h: reads a file of flat IDocs, as SAP's file port writes it, byte for byte as it comes.
 * Owner: the caller; the layouts, the profile's texts and the sink are borrowed until idoc_free.
 * Thread: one at a time. Nothing blocks, but the sink may. It allocates when it is made, and never again: an
 * IDoc of any size takes the memory of one record. Fails only in idoc_new; what is wrong with a file is a
 * finding, and the next control record begins anew.
 *
 * What the sink gets: an INTERCHANGE for the file; a MESSAGE for each IDoc, whose first segment is the
 * control record (EDI_DC40, or EDI_DC of version 2); a segment for each data record, by the name of its type
 * (E1EDP19), with the fields of its layout as elements; an AGGREGATE of that name around a segment that has
 * segments beneath it. Trailing blanks are left out. The head of a message: name IDOCTYP, association CIMTYP,
 * variant MESTYP, version DOCREL, sender SNDPRN with SNDPRT, receiver likewise, interchange_ref ARCKEY,
 * group_ref MANDT, message_ref DOCNUM, date CREDAT, time CRETIM, test TEST.
 *
 * Framings: a record a line, cut at the end or not; or 524 and then 1063 bytes each, without any mark
 * between. */
#pragma once

#include "codecs/document/sink.h"
#include "codecs/layout/layout.h"
#include "core/base/embedded.h"

struct idoc;

/* The layouts must have the records EDI_DC40 and EDI_DC: idoc_layouts first. NULL: out of memory, or
 * they have not. The profile may be NULL: the strict one. */
struct idoc *idoc_new(const struct layouts *layouts, const struct profile *profile,
                      const struct document_sink *sink);
void idoc_feed(struct idoc *idoc, const uint8_t *bytes, size_t length);
/* The file is over: what is open ends. Then another file may be fed. */
void idoc_end(struct idoc *idoc);
void idoc_free(struct idoc *idoc);

/* The layout files that are part of the executable. */
extern const struct embedded_file idoc_layout_files[];
/* Adds them all. */
int idoc_layouts(struct layouts *layouts, struct layout_error *error);
