/* directory_outbox.h: the half of a directory's transport that writes: each event becomes a file, whole or
 * not at all: written under a hidden name, synced, renamed, the directory synced, and only then done. Several
 * deliveries share the sync of the directory: those of one turn of the loop. Owner: the transport
 * (directory.c); host and options are borrowed for its life. Thread: the spoke's. Blocks for writes and
 * syncs, as the file system does. A file that can not be written is a retry with a reason; the directory's
 * trouble is told by folder.h. */
#pragma once

#include "core/transport/directory.h"

struct directory_outbox;

struct directory_outbox *directory_outbox_new(const struct transport_host *host,
                                              const struct directory_options *options) MUST_USE;
void directory_outbox_deliver(struct directory_outbox *outbox, const struct outgoing *out);
void directory_outbox_free(struct directory_outbox *outbox);
