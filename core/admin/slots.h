/* slots.h: what each slot carries: GET /v1/slots, from which a better map can be worked out.
 * Owner: the admin plane; its thread.
 * Counters are read one by one, and move meanwhile; who wants a rate asks twice.
 * Nothing blocks.
 * Fails only for want of memory, which is answered so. */
#pragma once

#include "core/admin/api.h"

void slots_run(struct admin *admin, struct api_call *call);
