/* trial.h: whether a spoke would work: its parts are made, without a router, and its golden pairs are run.
 * Owner: the caller; any one thread.
 * What an inbound pair must give is a list of {"topic": ..., "event": {CloudEvents JSON}}; what an outbound
 * pair must give is the documents. JSON is compared as expect.h says, other text byte by byte.
 * Blocks as long as the mappings take: their processes are started, used and ended.
 * Fails by mistakes at the places of the spoke's file that they are about. */
#pragma once

#include "core/spoke/spec.h"

/* Adds to the mistakes. Without `pairs` the parts are made, and no more. */
void spoke_trial(const struct spoke_spec *spec, bool pairs, struct config_mistakes *mistakes);
