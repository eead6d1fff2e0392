/* files.h: files that are part of the executable, served as they are: the dashboard.
 * Owner: constant data, given by admin_config.files.
 * Thread: the admin plane's.
 * Nothing blocks.
 * Want of memory is answered by 503. What is not among them is no answer of this file. */
#pragma once

#include "core/base/embedded.h"

#include <stdbool.h>

struct api_call;

/* The file for a path: "/" is index.html for whoever takes text/html, "/NAME" is NAME. NULL: there is none.
 */
const struct embedded_file *files_find(const struct api_call *call, const char *path);
/* With an ETag, by which a browser asks whether it still has it. */
void files_reply(struct api_call *call, const struct embedded_file *file);
