/* queues.h: deliveries of queues as a member sees them: whose they are, how they are numbered, and what
 * became of them. Owner: one rh_client; its thread. The server numbers the deliveries of a subscription from
 * 1 on each connection; the program sees numbers that go on, so that one of an earlier connection is never
 * taken for one of this. Nothing blocks. What the server may not do is told as a sentence, and ends the
 * connection. */
#pragma once

#include "core/client/link.h"

/* What a Subscribe says of the queue; the texts are borrowed. */
void queues_terms(const struct sub_queue *queue, Roundhouse__V1__Queue *out);

/* Asks for the end of a queue: `sub` is a removal. */
void queues_remove(struct rh_client *client, struct sub *sub, bool first);
/* An Unsubscribed for a removal, or an Error about it. true: that is how it ends, and on_removed was told. */
bool queues_removed(struct rh_client *client, struct sub *sub, const Roundhouse__V1__Error *error);

/* A Context came. NULL, or what is wrong with it. */
const char *queues_context(struct rh_client *client, const Roundhouse__V1__Context *context) MUST_USE;

/* An event came behind the Context of a queue (client->context.subscription is not 0). *sub is whose it is,
 * NULL = it has left, and nobody wants it; of the event delivery, attempt, lease_ms and replay are filled in.
 * NULL, or what is wrong with it. */
const char *queues_event(struct rh_client *client, rh_event *event, const struct sub **sub) MUST_USE;

void queues_lease_expired(struct rh_client *client, const Roundhouse__V1__LeaseExpired *expired);
