/* letters.h: dead letters: events of type roundhouse.deadletter.v1, whose data is another event's bytes.
 * Owner: the command `dlq`; its thread.
 * A letter is a copy in one block.
 * Nothing blocks, but printing as the stream does.
 * What is no dead letter is told apart when it is read: everything else may be asked of all. */
#pragma once

#include <roundhouse/client.h>

#include <stdbool.h>
#include <stdio.h>

struct letter {
    rh_event event; /* borrows from behind this struct */
    const uint8_t *id;
    size_t id_length;
    const uint8_t *topic; /* of the original; length 0 = not known */
    size_t topic_length;
    const uint8_t *original; /* NULL = its bytes are gone */
    size_t original_length;
};

/* NULL without memory. */
struct letter *letter_copy(const rh_event *event);
/* Whether it was chosen by its id; NULL chooses all. */
bool letter_chosen(const struct letter *letter, const char *id);
/* One line for people. */
void letter_list(FILE *out, const struct letter *letter);
/* One line of JSON: what is known of it, and the original event. */
void letter_show(FILE *out, const struct letter *letter);
