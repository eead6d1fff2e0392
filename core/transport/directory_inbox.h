/* directory_inbox.h: the half of a directory's transport that reads: a file comes, is digested, given to the
 * inbound in pieces, and moved when its events are settled.
 * Owner: the transport (directory.c); host and options are borrowed for its life. Thread: the spoke's.
 * Blocks for one piece of a file, a rename, and every five seconds for a sync, as the file system does.
 * directory_inbox_new fails for want of memory only: a directory that can not be used is tried again.
 * Between two turns of the loop at most INBOX_TURN_BYTES are read. */
#pragma once

#include "core/transport/directory.h"

struct directory_inbox;

struct directory_inbox *directory_inbox_new(const struct transport_host *host,
                                            const struct directory_options *options) MUST_USE;
void directory_inbox_free(struct directory_inbox *inbox);
