/* replays.h: the replays that a client has asked for on this connection.
 * Owner: one rh_client; its thread.
 * Their numbers are of the same series as those of subscriptions, because Error speaks of both.
 * They end with the connection.
 * Nothing blocks. rh_replay fails without memory; nothing else fails. */
#pragma once

#include "core/client/link.h"

void replays_replayed(struct rh_client *client, const Roundhouse__V1__Replayed *replayed);
/* An Error names this number. True: it was a replay, which is over. */
bool replays_refused(struct rh_client *client, int64_t id);
/* The connection is gone: the program is told for each. */
void replays_lost(struct rh_client *client);
