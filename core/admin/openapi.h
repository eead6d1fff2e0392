/* openapi.h: the document that describes the HTTP interface, docs/openapi.json, as the router has it.
 * Owner: constant data, part of the executable.
 * A handler of api.h, for its table; tests/e2e/openapi_test.py holds document and router together.
 * Nothing blocks.
 * Want of memory is answered by 503. */
#pragma once

#include "core/admin/api.h"

api_handler on_openapi;
