/* api_table.c: what the router offers over HTTP beside the pages of pages.c. */
#include "core/admin/api.h"

const struct api_endpoint api_table[] = {
    {0},
};
