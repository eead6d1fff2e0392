/* golden.h: known bytes for the codec tests, and ways to hold and to damage them.
 * Owner: the test that calls; heap copies are freed by the caller.
 * One thread, that of the test.
 * Nothing blocks.
 * A wrong hex text fails the running test. */
#pragma once

#include "core/base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Bytes of a hex text in which blanks do not count. */
size_t golden_hex(const char *hex, uint8_t *out, size_t out_size);

/* The bytes alone in memory of exactly their size, so that AddressSanitizer sees a look beyond them. */
uint8_t *golden_alone(const uint8_t *data, size_t n);

/* Made by `protoc --encode=io.cloudevents.v1.CloudEvent`, without data:
 *   id: "A-1" source: "/erp/plant-7" spec_version: "1.0" type: "com.example.despatchadvice.created"
 *   count = integer -7, dataschema = uri "https://example.com/s", digest = bytes 00ff, flag = true, ref =
 * uri_ref "../x", subject = string "Läger", time = timestamp 1772271000.25 */
#define GOLDEN_HEAD                                                                                          \
    "0a03412d31 120c2f6572702f706c616e742d37 1a03312e30"                                                     \
    "2222636f6d2e6578616d706c652e64657370617463686164766963652e63726561746564"                               \
    "2a140a05636f756e74120b10f9ffffffffffffffff01"                                                           \
    "2a250a0a64617461736368656d6112172a1568747470733a2f2f6578616d706c652e636f6d2f73"                         \
    "2a0e0a066469676573741204220200ff 2a0a0a04666c616712020801 2a0d0a03726566120632042e2e2f78"               \
    "2a130a077375626a65637412081a064cc3a46765722a150a0474696d65120d3a0b0898eb8acd061080e59a77"
#define GOLDEN_BINARY "32030001ff"                                                     /* 00 01 ff */
#define GOLDEN_TEXT   "3a0b7b2261223a20312e31307d"                                     /* {"a": 1.10} */
#define GOLDEN_PROTO  "421d0a17747970652e676f6f676c65617069732e636f6d2f612e4212020801" /* a.B, 08 01 */
#define GOLDEN_SMALL  "0a0131 12022f73 1a03312e30 220174"                              /* 1 /s 1.0 t */

/* A path told from the root of the project, as one that is right from anywhere. */
void golden_path(const char *path, char *full, size_t size);
/* Opens it to be read; the caller closes it. */
FILE *golden_open(const char *path);

/* The content of a file, its path told from the root of the project. */
uint8_t *golden_file(const char *path, size_t *n);

/* Whether the fault says this code and names this field (NULL: none). Prints the fault if not. */
bool golden_fault(const struct fault *fault, enum rh_code code, const char *field);
