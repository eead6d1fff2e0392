/* mistakes.h: the list of what is wrong with a configuration, in the order of the file.
 * Owner: the caller of config_parse; the main thread.
 * Only the first CONFIG_MISTAKES_MAX are kept, all are counted.
 * Nothing blocks.
 * Nothing fails; a sentence that does not fit is cut. */
#pragma once

#include "core/config/config.h"

#include <stddef.h>
#include <stdint.h>

/* Longest quotation of a value in a sentence, with quotes and the end. */
#define CONFIG_QUOTE_BYTES 64u

void config_mistake_add(struct config_mistakes *mistakes, uint32_t line, uint32_t column, const char *format,
                        ...) __attribute__((format(printf, 4, 5)));

/* Whether the sentence of another mistake would still be kept: what is costly to word is left out when not.
 */
bool config_mistake_kept(const struct config_mistakes *mistakes);

/* Puts them in the order of the file: by line, then by column. */
void config_mistakes_sort(struct config_mistakes *mistakes);

/* `text` quoted, with what can not be printed escaped, and cut to fit. Returns out. */
const char *config_quote(char out[static CONFIG_QUOTE_BYTES], const char *text, size_t length);
