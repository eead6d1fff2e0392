/* feeds.h: which sources feed which topics: what the newest records of all logs say.
 * Owner: the admin plane; its thread. One who asks makes it, and steps until it is done.
 * It reads as an outside reader does: of FEEDS_STRETCH records at a time the first FEEDS_HEAD bytes are
 * copied under a gate, the gate goes IDLE, then the copies are looked at; of each log the newest
 * FEEDS_RECORDS. So nothing is counted while events pass, and no worker waits. Nothing blocks.
 * Fails by saying less, and that. */
#pragma once

#include "core/base/check.h"
#include "core/shard/shard.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define FEEDS_RECORDS   2048u /* of a log */
#define FEEDS_STRETCH   256u
#define FEEDS_HEAD      1024u /* bytes of a record: source and topic are in front */
#define FEEDS_PAIRS_MAX 4096u /* of a topic and a source */

struct feeds;

struct feeds *feeds_new(const struct shards *shards) MUST_USE; /* NULL: no memory */
void feeds_free(struct feeds *feeds);                          /* before the logs are gone; NULL is allowed */
/* The next stretch. False: all was looked at. */
bool feeds_step(struct feeds *feeds);
/* {"feeds": [{"topic", "source", "events"}], "events": looked at, "unread": of these, without a source in
 * front, "more": there are pairs beyond FEEDS_PAIRS_MAX, or a log was not read}; the router's own topics are
 * left out, and what rules have made of another event. The reference is the caller's; NULL: no memory. */
json_t *feeds_told(const struct feeds *feeds) MUST_USE;
