/* pages.h: the pages that every router has: the list, health, readiness, metrics, and what is connected.
 * Owner: constant data; the handlers belong to the admin plane's thread.
 * Thread: that one.
 * Nothing blocks, but for small files of /proc behind /metrics.
 * Want of memory is answered by 503. */
#pragma once

#include "core/admin/api.h"

extern const struct api_endpoint pages_table[];
