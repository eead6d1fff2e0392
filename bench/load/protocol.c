#include "bench/load/protocol.h"

#include <stdio.h>
#include <string.h>

void topic_name(char out[TOPIC_NAME_BYTES], uint32_t topic) {
    (void)snprintf(out, TOPIC_NAME_BYTES, "erp.order.%06u", topic % TOPICS_MAX);
}

void topic_wildcard(char out[TOPIC_NAME_BYTES], uint32_t topic) {
    (void)snprintf(out, TOPIC_NAME_BYTES, "*.order.%06u", topic % TOPICS_MAX);
}

void topic_pattern(char out[TOPIC_NAME_BYTES], uint32_t topic, bool wildcard) {
    (wildcard ? topic_wildcard : topic_name)(out, topic);
}

bool line_starts(const uint8_t *p, size_t n, const char *text) {
    return n >= strlen(text) && memcmp(p, text, strlen(text)) == 0;
}

size_t line_size(const uint8_t *p, size_t n) {
    const uint8_t *end = n == 0 ? NULL : memchr(p, '\n', n);
    return end == NULL ? 0 : (size_t)(end - p) + 1;
}
